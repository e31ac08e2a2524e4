"""README.md shows what the program really prints, and shows every command."""

import re

import click
import pytest

from iptexplain.commands import program
from iptexplain.explain.reach import SECONDS
from iptexplain.sets.ground import LIMIT
from tests.examples import ROOT, WIDTH, arguments, shown

README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCED = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
BLOCKS = [block for language, block in FENCED if not language]


def examples() -> list[tuple[str, str]]:
    """Each ``$ command`` with the text that stands below it."""
    found = []
    for block in BLOCKS:
        _, *parts = re.split(r"^\$ ", block, flags=re.MULTILINE)
        found += [(command, below) for command, _, below in (part.partition("\n") for part in parts)]
    return found


EXAMPLES = examples()
TELLING = {"diff", "check"}
"""Commands whose exit status tells what they found."""


@pytest.mark.parametrize(("command", "below"), EXAMPLES, ids=[command for command, _ in EXAMPLES])
def test_readme_shows_what_is_printed(command: str, below: str) -> None:
    words = arguments(command)
    assert words is not None
    status, printed = shown(words)
    assert status == 0 or (status == 1 and words[0] in TELLING), printed
    rest = f"\n{printed}"
    for excerpt in re.split(r"^…\n", below, flags=re.MULTILINE):
        if excerpt.strip("\n"):
            wanted = "\n" + excerpt.strip("\n") + "\n"
            assert wanted in rest, f"'{command}' prints (in {WIDTH} columns):\n{printed}"
            rest = rest[rest.index(wanted) + len(wanted) - 1 :]


def test_readme_shows_every_command() -> None:
    """Those without ``$`` are not run: what ``capture`` prints is different on every host (tests/kernel/test_capture.py runs it)."""
    lines = [line.removeprefix("$ ").removeprefix("sudo ") for block in BLOCKS for line in block.splitlines()]
    calls = [words for line in lines if line.startswith("iptexplain") and (words := arguments(line))]
    assert set(program.list_commands(click.Context(program))) <= {words[0] for words in calls}


def test_checkout_needs_two_commands() -> None:
    assert [line.split("#")[0].strip() for line in BLOCKS[0].splitlines()] == ["make explain", "make test"]


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_limits_of_reach_are_those_of_the_program() -> None:
    _, help_ = shown(["reach", "--help"])
    for text in (README, help_):
        words = " ".join(text.split())
        assert f"after {SECONDS} seconds, or with {LIMIT:,} nodes" in words.replace("After", "after")
