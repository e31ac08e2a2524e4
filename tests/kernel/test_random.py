"""Random rulesets: the trace against the running kernel, packet by packet, on both backends.

``--kernel-cases N`` says how many cases there are, ``--kernel-seed S`` with which seed they begin; without one each run
has its own, and the end of the output names it. ``--kernel-style NAME`` asks for one style; some have no turn of their own,
because the trace is known to differ from the kernel in a few of their odder packets. A failure prints a case that is as
small as it could be made, for ``python -m tests.kernel.lab CASE.json``.
"""

from __future__ import annotations

import json
import os
import secrets
from functools import cache
from typing import Any

import pytest

from tests.kernel.generate.styles import TURNS, cases
from tests.kernel.lab.laboratory import Backend
from tests.kernel.shrink import FAILS, asked, repeats, shrunk, wrong

CHUNK = 5
"""Cases of one test."""
SEEDS = 1 << 32
Record = Any


@cache
def base_seed(given: int | None) -> int:
    """The seed of the first case; of one run under xdist all workers have the same."""
    if given is not None:
        return given
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    return int(run, 16) % SEEDS if run else secrets.randbelow(SEEDS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    count = metafunc.config.getoption("--kernel-cases")
    chunks = [range(at, min(at + CHUNK, count)) for at in range(0, count, CHUNK)]
    metafunc.parametrize("numbers", chunks, ids=[f"{chunk.start}-{chunk.stop - 1}" for chunk in chunks])


def test_trace_goes_the_kernels_way(numbers: range, request: pytest.FixtureRequest, record_property: Record) -> None:
    first = base_seed(request.config.getoption("--kernel-seed"))
    counted = {"seed": first, "packets": 0, "skipped": 0, "undecided": 0}
    record_property("kernel-random", counted)
    for seed in (first + number for number in numbers):
        style = request.config.getoption("--kernel-style") or TURNS[seed % len(TURNS)]
        for backend, case in cases(style, seed).items():
            hold(case, backend, counted)
    # What is not compared must stay the exception: a laboratory that answers nothing would prove nothing.
    assert counted["packets"] * 4 > counted["skipped"]
    assert counted["undecided"] <= max(2, counted["packets"] // 100)


def hold(case: dict[str, Any], backend: Backend, counted: dict[str, int]) -> None:
    """Fail where kernel and trace differ, unless the kernel says something else when it is asked again."""
    answered = asked(case, backend)
    skipped = sum("skipped" in result for result in answered["results"])
    counted["skipped"] += skipped
    counted["packets"] += len(answered["results"]) - skipped
    found = wrong(answered)
    # A trace that fails does so whatever the kernel says.
    sure = {number for number, said in found.items() if said[0].startswith(FAILS)}
    sure |= repeats(answered, backend) if found else set()
    counted["undecided"] += len(found.keys() - sure)
    number = min(found.keys() & sure, default=None)
    if number is None:
        return
    smallest = shrunk(case, backend, number, found[number])
    pytest.fail(
        f"--kernel-seed {case['seed']} --kernel-cases 1 --kernel-style {case['style']} ({backend}): packet {number}: {found[number]}\n"
        f"The smallest case that differs, in {wrong(asked(smallest, backend))}:\n{json.dumps(smallest)}",
        pytrace=False,
    )
