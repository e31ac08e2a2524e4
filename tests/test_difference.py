"""diff and check: what is said of pairs of rulesets, and that every example that is given ends as the answer says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from iptexplain.explain.difference import Compared, compare
from iptexplain.host.snapshot import read_snapshot
from iptexplain.sets.difference import EVERYTHING, Scope
from iptexplain.sets.ways import UNDECIDED, End
from iptexplain.walk.outcome import Outcome
from iptexplain.walk.packet import Packet
from iptexplain.walk.trace import trace
from tests.conftest import Golden

FIXTURES = Path(__file__).parent.parent / "fixtures"
CASES = sorted(path.parent for path in FIXTURES.glob("differences/*/old.v4"))
EQUAL = {"renamed-chains", "reordered", "regrouped-ports", "limit-moved"}


def run(*arguments: Any, status: int = 1) -> str:
    result = CliRunner().invoke(program, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    return result.stdout


def compared(old: Path, new: Path, scope: Scope = EVERYTHING) -> list[Compared]:
    snapshots = [read_snapshot(file.read_text(), file.name) for file in (old, new)]
    return compare(snapshots[0], snapshots[1], ("OLD", "NEW"), scope)


def confirm(found: list[Compared]) -> None:
    """Trace the example of every flow through both rulesets."""
    for one in found:
        for flow in one.flows:
            for ruleset, ends in zip(one.comparison.rulesets, (flow.region.was, flow.region.now), strict=True):
                way = trace(ruleset, one.topology, Packet(dict(flow.example)))
                outcomes = way.outcome.branches or (way.outcome,)
                assert {ended(o) for o in outcomes} == {(e.way, e.interface) for e in ends}, (flow, way)
                if len(ends) == 1 and ends[0].way != UNDECIDED:
                    assert by_of(ends[0]) in (None, decider(way)), (flow, way)


def ended(outcome: Outcome) -> tuple[str, str | None]:
    return outcome.kind, outcome.interface if outcome.kind in ("forwarded", "sent") else None


def by_of(end: End) -> Any:
    return end.accepted or end.by


def decider(way: Any) -> Any:
    """The rule that ended the way, else the last one of the filter table that let it pass."""
    passed = [s.place for s in way.steps if s.place.table == "filter" and s.action == "ACCEPT"]
    return way.outcome.by or (passed[-1] if passed else None)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_said_of_a_pair(case: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case)
    status = 0 if case.name in EQUAL else 1
    golden(case / "answer.txt", run("diff", "old.v4", "new.v4", status=status))
    golden(case / "answer.json", run("diff", "old.v4", "new.v4", "-o", "json", status=status))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_examples_end_as_told(case: Path) -> None:
    found = compared(case / "old.v4", case / "new.v4")
    assert all(one.decided for one in found)
    confirm(found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_other_way_round(case: Path) -> None:
    """What one direction opens the other closes; a ruleset is equal to itself."""
    kinds = {"opened": "closed", "closed": "opened"}
    there, back = (
        sorted(kinds.get(flow.kind, flow.kind) if turned else flow.kind for one in found for flow in one.flows)
        for turned, found in (
            (False, compared(case / "old.v4", case / "new.v4")),
            (True, compared(case / "new.v4", case / "old.v4")),
        )
    )
    assert there == back
    assert [one.flows for one in compared(case / "new.v4", case / "new.v4")] in ([[]], [[], []])
