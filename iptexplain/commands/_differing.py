"""What diff and check share: the options for what is compared, the answer and its exit status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from iptexplain.commands._io import read, show, show_json
from iptexplain.errors import UsageError
from iptexplain.explain.difference import compare, counts, difference_json
from iptexplain.host.joint import assume_of_both
from iptexplain.host.snapshot import Snapshot
from iptexplain.sets.difference import Scope

F = TypeVar("F", bound=Callable[..., Any])


def strict_option(function: F) -> F:
    """``--strict``."""
    return click.option(
        "--strict", is_flag=True,
        help="Exit with status 4 when something was not compared, or no dump shows whether it differs.",
    )(function)  # fmt: skip


def read_both(old: str, new: str, names: tuple[str, str], assumed: tuple[str, ...]) -> tuple[Snapshot, Snapshot]:
    """Both files, which are called by ``names``, with what is assumed."""
    if old == new == "-":
        raise UsageError(f"{names[0]} and {names[1]} cannot both be standard input: name a file for one of them")
    before, after = read(old), read(new)
    return assume_of_both(before, after, assumed) if assumed else (before, after)


def answer(
    old: Snapshot, new: Snapshot, names: tuple[str, str], scope: Scope, strict: bool, output: str, color: str
) -> int:  # fmt: skip
    """Print how ``new`` differs from ``old``, which are called by ``names``; the exit status."""
    compared = compare(old, new, names, scope)
    found = counts(compared)
    decided = all(one.decided for one in compared)
    if output == "json":
        show_json(difference_json(compared))
    else:
        facts = {"families": [one.facts() for one in compared], "counts": found, "decided": decided}
        show("difference", {**facts, "sides": dict(zip(("old", "new"), names, strict=True))}, output, color)
    if strict and (not decided or found["unknown"]):
        return 4
    return 0 if decided and not any(found.values()) else 1
