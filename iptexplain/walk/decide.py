"""Forks: where a rule's answer is unknown, the walk is taken both ways; where NAT may choose, each way that it may choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

from iptexplain.host.assume import ORDER
from iptexplain.rules.answer import Answer
from iptexplain.rules.extension import Extension, Match
from iptexplain.rules.model import Place

T = TypeVar("T")
BRANCH_LIMIT = 64


class Unknown(NamedTuple):
    """A question that nobody can decide, and the way that was taken at it."""

    place: Place
    about: Extension | None
    """The condition, or the target whose verdict or choice is meant; None: whether a program accepts the packet (QUEUE)."""
    taken: int
    """0 for no and 1 for yes; of a choice, its number."""
    idle: bool = False
    """Whether nothing depends on it: the packet is the same after the rule and goes on, matched or not."""

    @property
    def is_order(self) -> bool:
        """Whether it is the question which of two backends is asked first in a table."""
        return self.place.rule == ORDER

    @property
    def match(self) -> Match | None:
        return self.about if isinstance(self.about, Match) else None


class Decisions:
    """The answers for one walk: ``prefix`` first, then 0 (no, or the first); every question is remembered in order.

    ``assumed`` settles questions by the name of the match or target before they are asked.
    """

    def __init__(self, prefix: tuple[int, ...] = (), assumed: Mapping[str, str] | None = None) -> None:
        self.prefix, self.assumed = prefix, assumed or {}
        self.asked: list[Unknown] = []
        self.counts: list[int] = []
        self.idle: list[Unknown] = []
        """Questions that need no answer: their rule neither ends the packet's way nor changes the packet."""
        self.used: set[str] = set()
        """The assumptions that settled something."""

    def decide(self, place: Place, about: Extension | None, idle: bool = False) -> bool:
        """Which way to take at an unknown condition or verdict; the same one at the same place is decided once.

        ``idle``: both ways lead to the same end, so the answer is no and the walk does not fork.
        """
        name = about.called if about else "QUEUE"
        if name in self.assumed:
            self.used.add(name)
            return assumed_answer(about, self.assumed[name])
        if idle:
            self.idle.append(Unknown(place, about, 0, True))
            return False
        return bool(self.choose(place, about, 2))

    def legacy_first(self, table: str) -> bool:
        """Whether of two backends' tables of one name legacy's is asked first: the one that was made last is (nf_hook_entries_grow),
        and no dump shows which."""
        if ORDER in self.assumed:
            self.used.add(ORDER)
            return self.assumed[ORDER] == "legacy"
        return bool(self.choose(Place(table, "", ORDER, 0), None, 2))

    def choose(self, place: Place, about: Extension | None, count: int) -> int:
        """Which of ``count`` ways to take, from 0."""
        for unknown in self.asked:
            if (unknown.place, unknown.about) == (place, about):
                return unknown.taken
        n = len(self.asked)
        taken = self.prefix[n] if n < len(self.prefix) else 0
        self.asked.append(Unknown(place, about, taken))
        self.counts.append(count)
        return taken


def assumed_answer(about: Extension | None, word: str) -> bool:
    """Whether a condition holds (or a program accepts) under the word that somebody assumed for it."""
    if isinstance(about, Match):
        return about.assumed(word) is Answer.YES
    return word in ("accept", "yes")


def all_ways(walk: Callable[[Decisions], T], assumed: Mapping[str, str]) -> tuple[list[T], bool]:
    """``walk`` taken once for each combination of answers, "no" first; whether BRANCH_LIMIT ended that before all were taken."""
    waiting: list[tuple[int, ...]] = [()]
    ways: list[T] = []
    while waiting and len(ways) < BRANCH_LIMIT:
        prefix = waiting.pop(0)
        decisions = Decisions(prefix, assumed)
        ways.append(walk(decisions))
        taken = tuple(u.taken for u in decisions.asked)
        for n in range(len(prefix), len(taken)):
            waiting += [(*taken[:n], other) for other in range(1, decisions.counts[n])]
    return ways, bool(waiting)
