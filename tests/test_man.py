"""The manual pages: they are fresh and sound roff; the first says all that click knows, and its examples run."""

import re
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from iptexplain.commands import program
from iptexplain.outputs.man import docker_page, page, roff
from iptexplain.outputs.man_rules import rules
from iptexplain.rules.answer import Backend
from iptexplain.rules.parse import parse
from iptexplain.rules.save import save_rule
from tests.conftest import ROOT, Golden
from tests.examples import arguments, shown

PAGE = page(program, "iptexplain")
DOCKER_PAGE = docker_page("iptexplain")
PAGES = {"iptexplain.1": (["man"], PAGE), "iptexplain-docker.7": (["man", "docker"], DOCKER_PAGE)}


def read(roff_text: str) -> str:
    return re.sub(r"\\f[BIR]", "", roff_text).replace(r"\-", "-").replace(r"\e", "\\").replace(r"\(dq", '"')


TEXT = read(PAGE)
EXAMPLES = re.search(r'\.SH EXAMPLES\n(.*?)\.SH "', TEXT, re.DOTALL)
CALLS = re.findall(r"^\.EX\n(.*?)^\.EE$", EXAMPLES[1] if EXAMPLES else "", re.DOTALL | re.MULTILINE)
LINES = [line for call in CALLS for line in call.splitlines()]


@pytest.mark.parametrize("file", PAGES)
def test_page_is_fresh(file: str, golden: Golden) -> None:
    golden(f"man/{file}", PAGES[file][1])


@pytest.mark.parametrize("file", PAGES)
def test_page_is_what_the_command_prints(file: str) -> None:
    words, text = PAGES[file]
    assert shown(words) == (0, text)


@pytest.mark.parametrize(
    "check",
    [["mandoc", "-Tlint", "-W", "warning"], ["groff", "-man", "-ww", "-Tutf8", "-z"]],
    ids=["mandoc", "groff"],
)
@pytest.mark.parametrize("file", PAGES)
def test_page_is_sound(file: str, check: list[str]) -> None:
    if not shutil.which(check[0]):
        pytest.skip(f"{check[0]} is not installed")
    done = subprocess.run([*check, "/dev/stdin"], input=PAGES[file][1], capture_output=True, text=True)
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


HOSTS = sorted((ROOT / "templates/man/rules").glob("*.v4"))


@pytest.mark.parametrize("host", HOSTS, ids=lambda h: h.stem)
def test_rules_are_those_of_recordings(host: Path) -> None:
    """They are links to them: a copy could be changed."""
    assert host.is_symlink() and host.resolve().relative_to(ROOT / "fixtures").parts[0].startswith("docker")
    assert f'"{host.stem}"' in (ROOT / "templates/man/iptexplain-docker.7.j2").read_text(encoding="utf-8")


def test_rules_stand_in_the_dump() -> None:
    """What the page shows as a rule is a line of a recording, to the letter."""
    lines = {line for host in HOSTS for line in host.read_text(encoding="utf-8").splitlines()}
    said = re.findall(r"^(raw|nat|filter): (-A .+)$", read(DOCKER_PAGE), re.MULTILINE)
    assert len(said) > 40
    assert not [rule for _, rule in said if rule not in lines]


def test_a_rule_that_is_not_there_cannot_be_shown() -> None:
    with pytest.raises(LookupError, match="two-networks: no rule of the role internal-in"):
        rules("two-networks", "internal-in")


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


def test_rules_for_a_host_without_dockers_rules_are_those_of_the_catalogue() -> None:
    """The commands that the manual gives, as iptables-save prints them, are the host of the question about rules by hand."""
    commands = re.findall(
        r"^iptables (?:-t (nat) )?(-A .*(?:br-web|172\.28\.0\.|ESTABLISHED).*)$", read(DOCKER_PAGE), re.MULTILINE
    )
    saved = set((ROOT / "fixtures/questions/i-by-hand/rules.v4").read_text().splitlines())
    asked = [f"*{table or 'filter'}\n{rule}\nCOMMIT\n" for table, rule in commands]
    written = [
        save_rule(r, Backend.NFT) for text in asked for t in parse(text).rulesets[0].tables.values() for r in t.rules()
    ]
    assert set(written) == {line for line in saved if line.startswith("-A ")}
