"""What people ask about Docker and iptables: each folder of fixtures/questions is one question, and its answer is judged.

``question.md`` holds the question, the commands that a person would type (lines that begin with ``$ iptexplain``, run in the
folder), and below each what its answer has to say, as a list:

- ``decides``: the rule or the policy, with its line; ``rule``: what stands in that line of the dump
- ``why``: the reason; ``way out``: a command or what else helps; ``limit``: what the answer rests on and no dump can show

``answer-N.txt`` is the whole answer of the Nth command.
"""

from __future__ import annotations

import json
import re
import shlex
import string
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from tests.conftest import ROOT, Golden

FOLDERS = sorted(p for p in (ROOT / "fixtures/questions").iterdir() if p.is_dir())
FINDING = ("test", "diff", "lint")
"""Commands that end with 1 where there is something to be found, as in these answers."""
KEYS = ("decides", "rule", "why", "way out", "limit")
LETTERS = string.ascii_lowercase[: string.ascii_lowercase.index("s") + 1]


class Call(NamedTuple):
    """One command, its number in the question, and the pairs of key and words that its answer has to have."""

    folder: Path
    number: int
    words: list[str]
    must: list[tuple[str, str]]


def calls(folder: Path) -> list[Call]:
    found: list[Call] = []
    for line in (folder / "question.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("    $ iptexplain "):
            found.append(Call(folder, len(found) + 1, shlex.split(line)[2:], []))
        elif listed := re.match(r"- ([a-z ]+): (.+)", line):
            found[-1].must.append((listed[1], listed[2]))
    return found


CALLS = [call for folder in FOLDERS for call in calls(folder)]


def rules_of(call: Call) -> list[str]:
    """The lines of the rules that the command reads."""
    files = [p for word in call.words if (p := call.folder / word).is_file() and p.suffix not in (".yaml", ".log")]
    text = files[0].read_text(encoding="utf-8")
    return (json.loads(text)["iptables"] if text.startswith("{") else text).splitlines()


def test_every_letter_has_a_question() -> None:
    assert [f.name[:2] for f in FOLDERS] == [f"{letter}-" for letter in LETTERS]


@pytest.mark.parametrize("call", CALLS, ids=lambda c: f"{c.folder.name}-{c.number}")
def test_answer(call: Call, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(call.folder)
    result = CliRunner().invoke(program, call.words)
    assert result.exit_code == (1 if call.words[0] in FINDING else 0), result.output
    golden(call.folder / f"answer-{call.number}.txt", result.stdout)
    missing = [f"{key}: {words}" for key, words in call.must if key != "rule" and words not in result.stdout]
    assert not missing


@pytest.mark.parametrize("call", CALLS, ids=lambda c: f"{c.folder.name}-{c.number}")
def test_line_that_decides_is_that_rule(call: Call) -> None:
    """Each ``rule`` is what stands in the dump at the line that the ``decides`` above it names."""
    for (_, decides), (key, rule) in zip(call.must, call.must[1:], strict=False):
        if key == "rule":
            line = re.findall(r"line (\d+)", decides)[-1]
            assert rules_of(call)[int(line) - 1] == rule


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.name)
def test_question_demands_all_of_an_answer(folder: Path) -> None:
    asked = calls(folder)
    keys = [key for call in asked for key, _ in call.must]
    assert set(keys) == set(KEYS)
    assert all(call.must for call in asked)
    assert {f.name for f in folder.glob("answer-*.txt")} <= {f"answer-{call.number}.txt" for call in asked}
