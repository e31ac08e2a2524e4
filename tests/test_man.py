"""The manual page: it is fresh, it is sound roff, it says everything that click knows, and its examples run."""

import re
import shutil
import subprocess

import click
import pytest

from iptexplain.commands import program
from iptexplain.outputs.man import page, roff
from tests.conftest import Golden
from tests.examples import arguments, shown

PAGE = page(program, "iptexplain")
TEXT = re.sub(r"\\f[BIR]", "", PAGE).replace(r"\-", "-").replace(r"\e", "\\").replace(r"\(dq", '"')
EXAMPLES = re.search(r'\.SH EXAMPLES\n(.*?)\.SH "', TEXT, re.DOTALL)
CALLS = re.findall(r"^\.EX\n(.*?)^\.EE$", EXAMPLES[1] if EXAMPLES else "", re.DOTALL | re.MULTILINE)
LINES = [line for call in CALLS for line in call.splitlines()]


def test_page_is_fresh(golden: Golden) -> None:
    golden("man/iptexplain.1", PAGE)


def test_page_is_what_the_command_prints() -> None:
    assert shown(["man"]) == (0, PAGE)


@pytest.mark.parametrize(
    "check",
    [["mandoc", "-Tlint", "-W", "warning"], ["groff", "-man", "-ww", "-Tutf8", "-z"]],
    ids=["mandoc", "groff"],
)
def test_page_is_sound(check: list[str]) -> None:
    if not shutil.which(check[0]):
        pytest.skip(f"{check[0]} is not installed")
    done = subprocess.run([*check, "/dev/stdin"], input=PAGE, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_page_has_every_command_and_option() -> None:
    top = click.Context(program, **program.context_settings)
    for name in program.list_commands(top):
        command = program.get_command(top, name)
        assert command is not None
        assert re.search(rf'^\.SS "?{name}\b', TEXT, re.MULTILINE)
        for parameter in command.get_params(click.Context(command, parent=top)):
            if isinstance(parameter, click.Option):
                for option in parameter.opts:
                    assert re.search(rf"^(.*, )?{option}(,| |$)", TEXT, re.MULTILINE), f"{name} {option}"
                assert " ".join((parameter.help or "").split()) in TEXT


@pytest.mark.parametrize("line", LINES)
def test_example_runs(line: str) -> None:
    words = arguments(line)
    if words:
        assert shown(words)[0] == 0


def test_examples_are_found() -> None:
    assert any(arguments(line) for line in LINES)


def test_roff_escapes() -> None:
    document = ".dot at the start\n'quote\na\\\\b and \\`c\\` with `--long-option` and *WORD*\n\n    .code \\n `x`"
    assert roff(document, "x").splitlines()[1:] == [
        ".PP",
        r"\&.dot at the start",
        r"\&'quote",
        r"a\eb and \(gac\(ga with \fB\-\-long\-option\fR and \fIWORD\fR",
        ".PP",
        ".RS 4",
        ".EX",
        r"\&.code \en \(gax\(ga",
        ".EE",
        ".RE",
    ]
