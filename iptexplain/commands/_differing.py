"""What diff and check share: the options for what is compared, the answer and its exit status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from iptexplain.commands._io import show, show_json
from iptexplain.explain.difference import compare, counts, difference_json
from iptexplain.host.snapshot import Snapshot
from iptexplain.sets.difference import Scope

F = TypeVar("F", bound=Callable[..., Any])


def strict_option(function: F) -> F:
    """``--strict``."""
    return click.option(
        "--strict", is_flag=True,
        help="Exit with status 4 when something was not compared, or no dump shows whether it differs.",
    )(function)  # fmt: skip


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
