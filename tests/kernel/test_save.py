"""``save --normal`` is what the real iptables-save prints after the real iptables-restore loaded the dump, on both backends.

And what is refused in fixtures/dumps, the real iptables-restore refuses too.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from iptexplain.errors import DumpError
from iptexplain.rules.answer import Backend
from iptexplain.rules.model import Dump, Ruleset
from iptexplain.rules.parse import parse
from iptexplain.rules.save import save_ruleset, save_table
from tests.kernel.namespace import Namespace
from tests.test_dumps import FIELD, FIXTURES, REFUSED, TAKEN, field, read

BACKENDS = {"nft": Backend.NFT, "legacy": Backend.LEGACY}
REPLAY = Path(__file__).with_name("replay.py")
NAMESPACES = 3
"""How many work side by side: loading with nft is mostly waiting."""

NOT_HERE = re.compile(r"-j ULOG\b")
"""Rules that need what no kernel since 3.17 has."""

UNKNOWN_TO_IPTABLES = {"unknown-extensions"}

UNDERSTOOD_ONLY_HERE = {"inverted", "pasted-session"}
"""iptables-restore refuses ``!`` in its old place and text around a dump: it gets what we make of them."""

ONE_BY_ONE = ("out-of-range", "option-without-protocol", "wrong-place", "rule-lines")
"""Cases whose wrong lines are wrong by themselves."""

AS_A_WHOLE = ("truncated", "commit-missing", "chain-missing", "loop", "jump-to-base-chain", "chain-lines", "no-table",
              "unknown-table", "nft-ruleset", "something-else", "list-output")  # fmt: skip

TAKEN_BY_IPTABLES = ("not closed",)
"""iptables-restore takes an open quote, line end included; iptables-save then prints a rule of two lines."""


class Job(NamedTuple):
    """A ruleset, and the text that the real iptables-restore gets of it."""

    name: str
    ruleset: Ruleset
    text: str


def whole(ruleset: Ruleset) -> str:
    return "".join(f"{line}\n" for table in ruleset.tables.values() for line in save_table(table, ruleset.backend))


def jobs(name: str, dump: Dump) -> Iterator[Job]:
    """The dump as it is; where it holds several rulesets or is a listing, each ruleset as it is rendered."""
    as_it_is = len(dump.rulesets) == 1 and not re.search(r"^\s+\*|^-P|\r", dump.text, re.MULTILINE)
    as_it_is = as_it_is and not any(f"{case}/" in name for case in UNDERSTOOD_ONLY_HERE)
    for ruleset in dump.rulesets:
        yield Job(name, ruleset, dump.text if as_it_is else whole(ruleset))


def fixtures() -> Iterator[Job]:
    for path in TAKEN:
        if path.parent.name not in UNKNOWN_TO_IPTABLES:
            yield from jobs(str(path.relative_to(FIXTURES)), parse(read(path), path.name))


def of_the_field() -> Iterator[Job]:
    """The dumps of the field, and those in records of kernel tests that lie among them; one job for each text."""
    texts = {read(p): p.name for p in field()}
    for path in sorted(Path(FIELD or "").glob("*-cases/**/*.json")):
        record = json.loads(path.read_text())
        for text in (record.get("dump"), record.get("dump6"), *(record.get("container_dumps") or {}).values()):
            texts.setdefault(text or "", path.name)
    for text, name in texts.items():
        try:
            yield from jobs(name, parse("\n".join(x for x in text.split("\n") if not NOT_HERE.search(x)), name))
        except DumpError:
            continue


def replay(backend: str, work: Sequence[tuple[int, str, *tuple[str, ...]]]) -> list[Any]:
    """What the real programs say of each (family, dump, more to be added to it): [error or None, save, save -c]."""

    def part(work: Sequence[tuple[int, str, *tuple[str, ...]]]) -> list[Any]:
        with Namespace() as namespace:
            done = namespace.run([sys.executable, REPLAY, backend], input=json.dumps(work), timeout=300)
        assert done.returncode == 0, done.stderr
        answers: list[Any] = json.loads(done.stdout)
        return answers

    found: list[Any] = [None] * len(work)
    with ThreadPoolExecutor(NAMESPACES) as pool:
        for i, answers in enumerate(pool.map(part, [work[i::NAMESPACES] for i in range(NAMESPACES)])):
            found[i::NAMESPACES] = answers
    return found


def tables(lines: list[str]) -> dict[str, list[str]]:
    """The lines of each table of a dump, without the comments around it."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if line.startswith("*"):
            current = found[line[1:]] = []
        if line and not line.startswith("#"):
            current.append(line)
    return found


def differences(job: Job, backend: str, saved: str, counted: bool) -> Iterator[str]:
    bare = {n: t._replace(generated=None, counted=counted) for n, t in job.ruleset.tables.items()}
    ours = tables(list(save_ruleset(job.ruleset._replace(tables=bare, backend=BACKENDS[backend]))))
    real = tables(saved.split("\n"))
    for name in bare:
        mine, theirs = ours.get(name, []), real.get(name, [])
        if mine != theirs:
            rows = [f"  real {r}\n  ours {o}" for r, o in zip(theirs, mine, strict=False) if r != o]
            yield f"{job.name}, {name}, {backend}: {len(theirs)} and {len(mine)} lines\n" + "\n".join(rows[:3])


def check(work: list[Job], backend: str, all_taken: bool) -> None:
    wrong: list[str] = []
    answers = replay(backend, [(job.ruleset.family, job.text) for job in work])
    compared = 0
    for job, (error, plain, counted) in zip(work, answers, strict=True):
        if error:
            if all_taken:
                wrong.append(f"{job.name}: iptables-{backend}-restore refuses it: {error}")
            continue
        compared += 1
        wrong += [*differences(job, backend, plain, False), *differences(job, backend, counted, True)]
    assert not wrong, f"{len(wrong)} of {compared} dumps differ\n" + "\n".join(wrong[:20])
    assert compared > len(work) * 0.9


@pytest.mark.parametrize("backend", BACKENDS)
def test_normal_is_what_iptables_save_prints(backend: str) -> None:
    check(list(fixtures()), backend, all_taken=backend == "nft")


@pytest.mark.parametrize("backend", BACKENDS)
def test_dumps_of_the_field_too(backend: str) -> None:
    """And whatever of them iptables-restore takes, is taken here (what it refuses needs no ruleset)."""
    check(list(of_the_field()), backend, all_taken=False)


def wrong_lines() -> Iterator[tuple[str, int, str]]:
    """(name, family, text) of what iptables-restore must refuse."""
    for case in REFUSED:
        text = read(case / "dump.txt")
        if case.name in AS_A_WHOLE:
            yield case.name, 4, text
        if case.name not in ONE_BY_ONE:
            continue
        with pytest.raises(DumpError) as caught:
            parse(text, case.name)
        lines = text.split("\n")
        for error in caught.value.errors:
            if error.location and not any(words in error.message for words in TAKEN_BY_IPTABLES):
                before = lines[: error.location.line]
                table = next(line for line in reversed(before) if line.startswith("*"))
                yield f"{case.name}: {before[-1]}", 4, f"{table}\n{before[-1]}\nCOMMIT\n"


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_refused_iptables_restore_refuses(backend: str) -> None:
    work = list(wrong_lines())
    answers = replay(backend, [(family, text) for _, family, text in work])
    assert len(work) > 40
    assert [name for (name, *_), (error, *_) in zip(work, answers, strict=True) if not error] == []
