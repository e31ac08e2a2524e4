"""Forks: where a rule's answer is unknown, the walk is taken both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from iptexplain.rules.extension import Match
from iptexplain.rules.model import Place

T = TypeVar("T")
BRANCH_LIMIT = 64


class Unknown(NamedTuple):
    """A condition of a rule that nobody can decide, and the way that was taken at it."""

    place: Place
    match: Match | None
    """The condition; None: what the target does."""
    taken: bool


class Decisions:
    """The answers for one walk: ``prefix`` first, then no; every question is remembered in order."""

    def __init__(self, prefix: tuple[bool, ...] = ()) -> None:
        self.prefix = prefix
        self.asked: list[Unknown] = []

    def decide(self, place: Place, match: Match | None) -> bool:
        """Which way to take; the same condition at the same place is decided once."""
        for unknown in self.asked:
            if unknown.place == place and unknown.match == match:
                return unknown.taken
        n = len(self.asked)
        taken = self.prefix[n] if n < len(self.prefix) else False
        self.asked.append(Unknown(place, match, taken))
        return taken


def all_ways(walk: Callable[[Decisions], T]) -> Iterator[T]:
    """Run ``walk`` once for each combination of answers to its unknown conditions, "no" first; at most BRANCH_LIMIT times."""
    waiting: list[tuple[bool, ...]] = [()]
    for _ in range(BRANCH_LIMIT):
        if not waiting:
            return
        prefix = waiting.pop(0)
        decisions = Decisions(prefix)
        yield walk(decisions)
        taken = tuple(u.taken for u in decisions.asked)
        waiting += [(*taken[:n], True) for n in range(len(prefix), len(taken))]
