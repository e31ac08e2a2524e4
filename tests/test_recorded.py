"""The trace, held against what a real kernel did with packets in random and Docker-shaped rulesets (fixtures/kernel)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.kernel.compare import compared

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
