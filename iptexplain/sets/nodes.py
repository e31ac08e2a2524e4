"""Interval decision diagrams: sets of points, and maps from points to anything, over fields of any width.

A point has one number for each level. A node asks one level: its children lie between sorted upper bounds, so a field costs
one level whether it has 8 bits or 128, and a path from the root is a box of ranges. Nodes are shared (hash-consed): two
diagrams are equal exactly when they are the same number. NO and YES are the ends of a set; a map has other ends.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from itertools import compress
from operator import ne
from time import process_time
from typing import Any

from iptexplain.errors import IptexplainError
from iptexplain.rules.values import Interval

Diagram = int
"""A node, by its number."""

NO: Diagram = 0
YES: Diagram = 1
BOTTOM = 1 << 30
"""The level of an end: below all others."""

MOST_LEVELS = 20_000
CALLS = 5
"""How many nested calls an operation makes for a level, at most."""


class TooLarge(IptexplainError):
    """A diagram needs more nodes or seconds than it may have."""


class Nodes:
    """The nodes. ``tops``: the greatest number of each level; ``limit``: nodes, ``seconds``: processor time that may be used up.

    Raises TooLarge beyond those.
    """

    def __init__(self, tops: Iterable[int], limit: int = 10_000_000, seconds: float | None = None) -> None:
        self.tops = list(tops)
        self.limit, self.seconds = limit, seconds
        self.deadline = None if seconds is None else process_time() + seconds
        self.level: list[int] = [BOTTOM, BOTTOM]
        self.bounds: list[tuple[int, ...]] = [(), ()]
        self.kids: list[tuple[Diagram, ...]] = [(), ()]
        self.values: dict[Diagram, Any] = {NO: False, YES: True}
        self._ends: dict[Hashable, Diagram] = {}
        self._nodes: dict[tuple[int, tuple[int, ...], tuple[Diagram, ...]], Diagram] = {}

    def grant(self, part: float) -> None:
        """A part of the budget more, whatever was used up: to say what was found."""
        self.limit = max(self.limit, len(self.level)) + int(self.limit * part)
        if self.deadline is not None and self.seconds is not None:
            self.deadline = max(self.deadline, process_time()) + self.seconds * part

    # -- making

    def add_level(self, top: int) -> int:
        """One more level, below all others."""
        if len(self.tops) == MOST_LEVELS:
            raise TooLarge(f"more than {MOST_LEVELS} levels are needed")
        self.tops.append(top)
        # Operations go down level by level, with a few calls of their own for each.
        sys.setrecursionlimit(max(sys.getrecursionlimit(), 1000 + CALLS * len(self.tops)))
        return len(self.tops) - 1

    def end(self, value: Hashable) -> Diagram:
        """The map that gives ``value`` everywhere."""
        found = self._ends.get(value)
        if found is None:
            found = self._ends[value] = self._append(BOTTOM, (), ())
            self.values[found] = value
        return found

    def among(self, level: int, intervals: Iterable[Interval]) -> Diagram:
        """The set of the points whose number at ``level`` lies in one of the sorted, separate ``intervals``."""
        bounds: list[int] = []
        kids: list[Diagram] = []
        for low, high in intervals:
            if low > (bounds[-1] + 1 if bounds else 0):
                bounds.append(low - 1)
                kids.append(NO)
            bounds.append(high)
            kids.append(YES)
        if not bounds or bounds[-1] < self.tops[level]:
            bounds.append(self.tops[level])
            kids.append(NO)
        return self.node(level, bounds, kids)

    def _append(self, level: int, bounds: tuple[int, ...], kids: tuple[Diagram, ...]) -> Diagram:
        number = len(self.level)
        if number >= self.limit:
            raise TooLarge(f"more than {self.limit} nodes are needed")
        if self.deadline is not None and not number & 0xFFF and process_time() > self.deadline:
            raise TooLarge("more time is needed")
        self.level.append(level)
        self.bounds.append(bounds)
        self.kids.append(kids)
        return number

    def node(self, level: int, bounds: Sequence[int], kids: Sequence[Diagram]) -> Diagram:
        """The node that asks ``level``, with the children up to each bound; neighbours that are alike are one."""
        changing = [*map(ne, kids, kids[1:]), True]
        if False in changing:
            bounds, kids = list(compress(bounds, changing)), list(compress(kids, changing))
        if len(kids) == 1:
            return kids[0]
        key = (level, tuple(bounds), tuple(kids))
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = self._append(*key)
        return found

    # -- asking

    def child(self, node: Diagram, number: int) -> Diagram:
        """Where a point with ``number`` at the node's level goes on."""
        return self.kids[node][bisect_left(self.bounds[node], number)]

    def at(self, a: Diagram, point: Mapping[int, int]) -> Any:
        """The value at ``point``: level → number; a level that it leaves out counts as 0."""
        while self.level[a] != BOTTOM:
            a = self.child(a, point.get(self.level[a], 0))
        return self.values[a]

    def reachable(self, a: Diagram) -> set[Diagram]:
        """All nodes of a diagram, ends included."""
        seen, waiting = {a}, [a]
        while waiting:
            fresh = [kid for kid in self.kids[waiting.pop()] if kid not in seen]
            seen.update(fresh)
            waiting += fresh
        return seen

    def ends(self, a: Diagram) -> list[Any]:
        """The values that a map takes."""
        return [self.values[node] for node in sorted(self.reachable(a)) if self.level[node] == BOTTOM]

    def depends(self, a: Diagram, levels: Collection[int]) -> bool:
        """Whether the value differs with the numbers at ``levels``."""
        return bool(levels) and any(self.level[node] in levels for node in self.reachable(a))

    def pick(self, a: Diagram) -> dict[int, int] | None:
        """A point of the set: level → number, without the levels that do not matter; None: the set is empty."""
        if a == NO:
            return None
        point: dict[int, int] = {}
        while a != YES:
            low = 0
            for bound, kid in zip(self.bounds[a], self.kids[a], strict=True):
                if kid != NO:
                    break
                low = bound + 1
            point[self.level[a]], a = low, kid
        return point
