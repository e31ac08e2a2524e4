"""The trace, held against what a real kernel did with packets in random and Docker-shaped rulesets (fixtures/kernel)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.compare import compared, differences

CASES = sorted((Path(__file__).parent.parent / "fixtures" / "kernel").glob("*.json"))


def test_there_are_recordings() -> None:
    assert len(CASES) >= 120


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_kernel_took_the_same_way(file: Path) -> None:
    wrong = [
        f"packet {one.number}, {one.result['packet']}: {difference}"
        for one in compared(json.loads(file.read_text()))
        for difference in one.differences
    ]
    assert not wrong, "\n".join(wrong)


def answer(*steps: str, kind: str = "forwarded", dst: str = "10.0.0.5", **more: Any) -> dict[str, Any]:
    """Of the kernel or of the trace: each step as its table, chain and rule."""
    told = [
        dict(zip(("table", "chain", "rule"), s.split(), strict=True), action="ACCEPT", text=TEXTS.get(s, ""))
        for s in steps
    ]
    end = {"kind": kind, "iface": "eth1", "tuple": {"proto": "tcp", "dst": dst}}
    return {"packet": {}, "ctstate": "NEW", "steps": told, "outcome": end, **more}


TEXTS = {"nat PREROUTING 1": "-A PREROUTING -j DNAT --to-destination 10.0.0.5-10.0.0.6"}
BEFORE, CHOICE, FIRST, OTHER = "raw PREROUTING 1", "nat PREROUTING 1", "filter FORWARD 1", "filter FORWARD 2"


@pytest.mark.parametrize(
    ("kernel", "about"),
    [
        (answer(BEFORE, CHOICE, FIRST), []),
        (answer(BEFORE, CHOICE, OTHER, kind="dropped", dst="10.0.0.6"), []),
        (answer(CHOICE, OTHER, kind="dropped", dst="10.0.0.6"), ["step 1"]),
        (answer(BEFORE, "nat PREROUTING 2", OTHER, kind="dropped", dst="10.0.0.6"), ["step 2"]),
        (answer(BEFORE, CHOICE, OTHER, kind="dropped", dst="10.0.0.6", ctstate="INVALID"), ["ctstate"]),
        (answer(BEFORE, CHOICE, FIRST, dst="10.0.0.7"), ["outcome", "interface", "dst"]),
        (answer(BEFORE, OTHER, kind="dropped", packet={"after": 0}), []),
        (answer(OTHER, kind="dropped", packet={"after": 0}), ["step 1"]),
    ],
)
def test_what_the_choice_of_nat_excuses(kernel: dict[str, Any], about: list[str]) -> None:
    """The steps behind it and which of the ends it is; not the steps before it, not the state of the connection."""
    ours = answer(BEFORE, CHOICE, FIRST, kind="unknown")
    branches = [answer(dst="10.0.0.5"), answer(kind="dropped", dst="10.0.0.5")]
    ours["outcome"] |= {"iface": None, "branches": [branch["outcome"] for branch in branches]}
    assert [d.about for d in differences(kernel, ours, is_open=True)] == about
