"""Interval decision diagrams: sets of points, and maps from points to anything, over fields of any width.

A point has one number for each level. A node asks one level: its children lie between sorted upper bounds, so a field costs
one level whether it has 8 bits or 128, and a path from the root is a box of ranges. Nodes are shared (hash-consed): two
diagrams are equal exactly when they are the same number. NO and YES are the ends of a set; a map has other ends.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from time import monotonic
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


class Space:
    """The nodes. ``tops``: the greatest number of each level; ``limit``: nodes, ``seconds``: time that may be used up.

    Raises TooLarge beyond those.
    """

    def __init__(self, tops: Iterable[int], limit: int = 10_000_000, seconds: float | None = None) -> None:
        self.tops = list(tops)
        self.limit, self.seconds = limit, seconds
        self.deadline = None if seconds is None else monotonic() + seconds
        self.level: list[int] = [BOTTOM, BOTTOM]
        self.bounds: list[tuple[int, ...]] = [(), ()]
        self.kids: list[tuple[Diagram, ...]] = [(), ()]
        self.values: dict[Diagram, Any] = {NO: False, YES: True}
        self._ends: dict[Hashable, Diagram] = {}
        self._nodes: dict[tuple[int, tuple[int, ...], tuple[Diagram, ...]], Diagram] = {}
        self._filled: dict[tuple[Diagram, Diagram, Diagram], Diagram] = {}
        self._complements: dict[Diagram, Diagram] = {NO: YES, YES: NO}
        self._lacking: dict[Diagram, dict[Diagram, bool]] = {}

    def grant(self, part: float) -> None:
        """A part of the budget more, whatever was used up: to say what was found."""
        self.limit = max(self.limit, len(self.level)) + int(self.limit * part)
        if self.deadline is not None and self.seconds is not None:
            self.deadline = max(self.deadline, monotonic()) + self.seconds * part

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
        if self.deadline is not None and not number & 0xFFF and monotonic() > self.deadline:
            raise TooLarge("more time is needed")
        self.level.append(level)
        self.bounds.append(bounds)
        self.kids.append(kids)
        return number

    def node(self, level: int, bounds: Sequence[int], kids: Sequence[Diagram]) -> Diagram:
        """The node that asks ``level``, with the children up to each bound; neighbours that are alike are one."""
        last = kids[0]
        for kid in kids[1:]:
            if kid == last:
                keep = [i for i in range(len(kids)) if i + 1 == len(kids) or kids[i] != kids[i + 1]]
                bounds, kids = [bounds[i] for i in keep], [kids[i] for i in keep]
                break
            last = kid
        if len(kids) == 1:
            return kids[0]
        key = (level, tuple(bounds), tuple(kids))
        found = self._nodes.get(key)
        if found is None:
            found = self._nodes[key] = self._append(*key)
        return found

    # -- combining

    def fill(self, a: Diagram, hole: Diagram, b: Diagram) -> Diagram:
        """``a``, but where it ends in ``hole``, ``b``. On this all other combinations stand."""
        if a == hole:
            return b
        if a == b or b == hole or self.lacks(a, hole):
            return a
        key = (a, hole, b)
        found = self._filled.get(key)
        if found is None:
            found = self._filled[key] = self._fill(a, hole, b)
        return found

    def _fill(self, a: Diagram, hole: Diagram, b: Diagram) -> Diagram:
        level_a, level_b = self.level[a], self.level[b]
        if level_a < level_b:
            return self.node(level_a, self.bounds[a], [self.fill(kid, hole, b) for kid in self.kids[a]])
        if level_b < level_a:
            return self.node(level_b, self.bounds[b], [self.fill(a, hole, kid) for kid in self.kids[b]])
        if len(self.kids[a]) <= len(self.kids[b]):
            return self._fill_few(a, hole, b)
        bounds_a, kids_a = self.bounds[a], self.kids[a]
        bounds: list[int] = []
        kids: list[Diagram] = []
        i = 0
        for bound, kid in zip(self.bounds[b], self.kids[b], strict=True):
            end = bisect_left(bounds_a, bound, i)
            bounds += bounds_a[i:end]
            bounds.append(bound)
            slice_a = kids_a[i : end + 1]
            kids += slice_a if kid == hole else [self.fill(k, hole, kid) for k in slice_a]
            i = end + 1 if bounds_a[end] == bound else end
        return self.node(level_a, bounds, kids)

    def _fill_few(self, a: Diagram, hole: Diagram, b: Diagram) -> Diagram:
        """``fill`` where ``a`` has the fewer children: of ``b`` whole slices are taken over."""
        bounds_b, kids_b = self.bounds[b], self.kids[b]
        bounds: list[int] = []
        kids: list[Diagram] = []
        i = 0
        for bound, kid in zip(self.bounds[a], self.kids[a], strict=True):
            end = bisect_left(bounds_b, bound, i)
            if kid == hole:
                bounds += bounds_b[i:end]
                kids += kids_b[i : end + 1]
            elif self.lacks(kid, hole):
                kids.append(kid)
            else:
                bounds += bounds_b[i:end]
                kids += [self.fill(kid, hole, k) for k in kids_b[i : end + 1]]
            bounds.append(bound)
            i = end + 1 if bounds_b[end] == bound else end
        return self.node(self.level[a], bounds, kids)

    def lacks(self, a: Diagram, hole: Diagram) -> bool:
        """Whether ``a`` nowhere ends in ``hole``. (A set that is not empty ends in both NO and YES somewhere.)"""
        if self.level[a] == BOTTOM:
            return a != hole
        known = self._lacking.setdefault(hole, {})
        found = known.get(a)
        if found is None:
            found = known[a] = all([self.lacks(kid, hole) for kid in self.kids[a]])
        return found

    def either(self, a: Diagram, b: Diagram) -> Diagram:
        return self.fill(min(a, b), NO, max(a, b))

    def both(self, a: Diagram, b: Diagram) -> Diagram:
        """The points of two sets; the second may be a map: then the map where the set is, NO elsewhere."""
        return self.fill(a, YES, b)

    def complement(self, a: Diagram) -> Diagram:
        found = self._complements.get(a)
        if found is None:
            found = self.node(self.level[a], self.bounds[a], [self.complement(kid) for kid in self.kids[a]])
            self._complements[a], self._complements[found] = found, a
        return found

    def minus(self, a: Diagram, b: Diagram) -> Diagram:
        return self.both(self.complement(b), a)

    def joined(self, parts: Sequence[Any], join: Callable[[Any, Any], Any]) -> Any:
        """Neighbours joined, and their results again: a balanced tree costs far less than one after the other."""
        row = list(parts)
        while len(row) > 1:
            row = [join(*row[i : i + 2]) if i + 1 < len(row) else row[i] for i in range(0, len(row), 2)]
        return row[0]

    def overlaid(self, parts: Sequence[Diagram]) -> Diagram:
        """Maps that have no point in common, as one."""
        return int(self.joined(parts, lambda a, b: self.fill(a, NO, b))) if parts else NO

    def union(self, parts: Sequence[Diagram]) -> Diagram:
        return int(self.joined(parts, self.either)) if parts else NO

    # -- other ends

    def turned(self, a: Diagram, new: Callable[[Any], Diagram]) -> Diagram:
        """The map with other ends: ``new`` gives the one for each value."""

        def turn(node: Diagram) -> Diagram:
            if node not in done:
                if self.level[node] == BOTTOM:
                    done[node] = new(self.values[node])
                else:
                    done[node] = self.node(self.level[node], self.bounds[node], [turn(k) for k in self.kids[node]])
            return done[node]

        done: dict[Diagram, Diagram] = {}
        return turn(a)

    def where(self, a: Diagram, wanted: Callable[[Any], bool]) -> Diagram:
        """The set of the points for which the map's value is ``wanted``."""
        return self.turned(a, lambda value: YES if wanted(value) else NO)

    def exists(self, a: Diagram, levels: Collection[int]) -> Diagram:
        """The set of the points that are in ``a`` with some numbers at ``levels``."""

        def walk(node: Diagram) -> Diagram:
            if node not in done:
                kids = [walk(kid) for kid in self.kids[node]]
                over = self.level[node] in levels
                done[node] = (
                    self.union(sorted(set(kids))) if over else self.node(self.level[node], self.bounds[node], kids)
                )
            return done[node]

        done: dict[Diagram, Diagram] = {NO: NO, YES: YES}
        return walk(a)

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
        return any(self.level[node] in levels for node in self.reachable(a))

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
