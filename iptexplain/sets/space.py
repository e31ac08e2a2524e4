"""Sets and maps put together: both, either, one in the holes of another. On few operations all others stand.

Where one of two nodes has far fewer children, whole slices of the other's are taken over.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from iptexplain.sets.nodes import BOTTOM, NO, YES, Diagram, Nodes, TooLarge

__all__ = ["BOTTOM", "NO", "YES", "Diagram", "Space", "TooLarge"]


class Space(Nodes):
    """Nodes, and what can be made of them."""

    def __init__(self, tops: Iterable[int], limit: int = 10_000_000, seconds: float | None = None) -> None:
        super().__init__(tops, limit, seconds)
        # What was worked out for two diagrams is remembered under both their numbers in one.
        self._filled: defaultdict[Diagram, dict[int, Diagram]] = defaultdict(dict)
        self._cut: dict[Diagram, dict[int, Diagram]] = {NO: {}, YES: {}}
        self._either: dict[int, Diagram] = {}
        self._disjoint: dict[int, bool] = {}
        self._complements: dict[Diagram, Diagram] = {NO: YES, YES: NO}
        self._lacking: defaultdict[Diagram, dict[Diagram, bool]] = defaultdict(dict)

    # -- sets

    def both(self, a: Diagram, b: Diagram) -> Diagram:
        """The points of two sets; the second may be a map: then the map where the set is, NO elsewhere."""
        return self.cut(a, YES, b)

    def minus(self, a: Diagram, b: Diagram) -> Diagram:
        """The points of a set, or a map, that are not in the set ``b``."""
        return self.cut(b, NO, a)

    def cut(self, a: Diagram, end: Diagram, b: Diagram) -> Diagram:
        """The set or map ``b`` where the set ``a`` ends in ``end`` (YES or NO), NO elsewhere."""
        if a <= YES:
            return b if a == end else NO
        if b <= YES:
            return NO if b == NO else a if end == YES else self.complement(a)
        if a == b:
            return a if end == YES else NO
        known, key = self._cut[end], a << 32 | b
        found = known.get(key)
        if found is None:
            found = known[key] = self._cut_down(a, end, b)
        return found

    def _cut_down(self, a: Diagram, end: Diagram, b: Diagram) -> Diagram:
        level, level_b, cut = self.level[a], self.level[b], self.cut
        if level < level_b:
            kids = [(b if kid == end else NO) if kid <= YES else cut(kid, end, b) for kid in self.kids[a]]
            return self.node(level, self.bounds[a], kids)
        if level_b < level:
            return self.node(level_b, self.bounds[b], [kid and cut(a, end, kid) for kid in self.kids[b]])
        if len(self.kids[a]) > len(self.kids[b]):
            return self._cut_by_few(a, end, b)
        bounds_b, kids_b = self.bounds[b], self.kids[b]
        bounds: list[int] = []
        kids = []
        i = 0
        for bound, kid in zip(self.bounds[a], self.kids[a], strict=True):
            j = bisect_left(bounds_b, bound, i)
            if kid > YES:
                bounds += bounds_b[i:j]
                kids += [k and cut(kid, end, k) for k in kids_b[i : j + 1]]
            elif kid == end:
                bounds += bounds_b[i:j]
                kids += kids_b[i : j + 1]
            else:
                kids.append(NO)
            bounds.append(bound)
            i = j + 1 if bounds_b[j] == bound else j
        return self.node(level, bounds, kids)

    def _cut_by_few(self, a: Diagram, end: Diagram, b: Diagram) -> Diagram:
        """``cut`` where ``b`` has the fewer children."""
        bounds_a, kids_a, cut = self.bounds[a], self.kids[a], self.cut
        bounds: list[int] = []
        kids: list[Diagram] = []
        i = 0
        for bound, kid in zip(self.bounds[b], self.kids[b], strict=True):
            j = bisect_left(bounds_a, bound, i)
            if kid == NO:
                kids.append(NO)
            else:
                bounds += bounds_a[i:j]
                kids += [(kid if k == end else NO) if k <= YES else cut(k, end, kid) for k in kids_a[i : j + 1]]
            bounds.append(bound)
            i = j + 1 if bounds_a[j] == bound else j
        return self.node(self.level[a], bounds, kids)

    def either(self, a: Diagram, b: Diagram) -> Diagram:
        """The points of one set or the other."""
        if a > b:
            a, b = b, a
        if a <= YES or a == b:
            return b if a == NO else a
        key = a << 32 | b
        found = self._either.get(key)
        if found is None:
            found = self._either[key] = self._unite(a, b)
        return found

    def _unite(self, a: Diagram, b: Diagram) -> Diagram:
        if self.level[a] > self.level[b] or (self.level[a] == self.level[b] and len(self.kids[a]) > len(self.kids[b])):
            a, b = b, a
        either, level = self.either, self.level[a]
        if level < self.level[b]:
            kids = [kid if kid == YES else either(kid, b) for kid in self.kids[a]]
            return self.node(level, self.bounds[a], kids)
        bounds_b, kids_b = self.bounds[b], self.kids[b]
        bounds: list[int] = []
        kids = []
        i = 0
        for bound, kid in zip(self.bounds[a], self.kids[a], strict=True):
            j = bisect_left(bounds_b, bound, i)
            if kid == YES:
                kids.append(YES)
            else:
                bounds += bounds_b[i:j]
                slice_b = kids_b[i : j + 1]
                kids += slice_b if kid == NO else [either(kid, k) for k in slice_b]
            bounds.append(bound)
            i = j + 1 if bounds_b[j] == bound else j
        return self.node(level, bounds, kids)

    def disjoint(self, a: Diagram, b: Diagram) -> bool:
        """Whether two sets have no point in common; nothing is made for that."""
        if a > b:
            a, b = b, a
        if a <= YES or a == b:
            return a == NO
        key = a << 32 | b
        found = self._disjoint.get(key)
        if found is None:
            found = self._disjoint[key] = self._has_none(a, b)
        return found

    def _has_none(self, a: Diagram, b: Diagram) -> bool:
        if self.level[a] > self.level[b] or (self.level[a] == self.level[b] and len(self.kids[a]) > len(self.kids[b])):
            a, b = b, a
        if self.level[a] < self.level[b]:
            return all(self.disjoint(kid, b) for kid in self.kids[a])
        bounds_b, kids_b = self.bounds[b], self.kids[b]
        i = 0
        for bound, kid in zip(self.bounds[a], self.kids[a], strict=True):
            j = bisect_left(bounds_b, bound, i)
            if kid != NO and not all(self.disjoint(kid, k) for k in kids_b[i : j + 1] if k != NO):
                return False
            i = j + 1 if bounds_b[j] == bound else j
        return True

    def complement(self, a: Diagram) -> Diagram:
        """The points that a set lacks."""
        found = self._complements.get(a)
        if found is None:
            found = self.node(self.level[a], self.bounds[a], [self.complement(kid) for kid in self.kids[a]])
            self._complements[a], self._complements[found] = found, a
        return found

    # -- maps

    def fill(self, a: Diagram, hole: Diagram, b: Diagram) -> Diagram:
        """``a``, but where it ends in ``hole``, ``b``."""
        if a == hole:
            return b
        if a == b or b == hole or self.lacks(a, hole):
            return a
        known, key = self._filled[hole], a << 32 | b
        found = known.get(key)
        if found is None:
            found = known[key] = self._fill(a, hole, b)
        return found

    def _fill(self, a: Diagram, hole: Diagram, b: Diagram) -> Diagram:
        level_a, level_b, fill = self.level[a], self.level[b], self.fill
        if level_a < level_b:
            return self.node(level_a, self.bounds[a], [b if k == hole else fill(k, hole, b) for k in self.kids[a]])
        if level_b < level_a:
            return self.node(level_b, self.bounds[b], [a if k == hole else fill(a, hole, k) for k in self.kids[b]])
        if len(self.kids[a]) <= len(self.kids[b]):
            return self._fill_few(a, hole, b)
        bounds_a, kids_a = self.bounds[a], self.kids[a]
        bounds: list[int] = []
        kids: list[Diagram] = []
        i = 0
        for bound, kid in zip(self.bounds[b], self.kids[b], strict=True):
            j = bisect_left(bounds_a, bound, i)
            bounds += bounds_a[i:j]
            bounds.append(bound)
            slice_a = kids_a[i : j + 1]
            kids += slice_a if kid == hole else [kid if k == hole else fill(k, hole, kid) for k in slice_a]
            i = j + 1 if bounds_a[j] == bound else j
        return self.node(level_a, bounds, kids)

    def _fill_few(self, a: Diagram, hole: Diagram, b: Diagram) -> Diagram:
        """``fill`` where ``a`` has the fewer children."""
        bounds_b, kids_b, fill = self.bounds[b], self.kids[b], self.fill
        bounds: list[int] = []
        kids: list[Diagram] = []
        i = 0
        for bound, kid in zip(self.bounds[a], self.kids[a], strict=True):
            j = bisect_left(bounds_b, bound, i)
            if kid == hole:
                bounds += bounds_b[i:j]
                kids += kids_b[i : j + 1]
            elif self.lacks(kid, hole):
                kids.append(kid)
            else:
                bounds += bounds_b[i:j]
                kids += [kid if k == hole else fill(kid, hole, k) for k in kids_b[i : j + 1]]
            bounds.append(bound)
            i = j + 1 if bounds_b[j] == bound else j
        return self.node(self.level[a], bounds, kids)

    def lacks(self, a: Diagram, hole: Diagram) -> bool:
        """Whether ``a`` nowhere ends in ``hole``. (A set that is not empty ends in both NO and YES somewhere.)"""
        if self.level[a] == BOTTOM:
            return a != hole
        known = self._lacking[hole]
        found = known.get(a)
        if found is None:
            found = known[a] = all([self.lacks(kid, hole) for kid in self.kids[a]])
        return found

    # -- many

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
        return self._ending(a, lambda end: new(self.values[end]))

    def renamed(self, a: Diagram, ends: Mapping[Diagram, Diagram]) -> Diagram:
        """The map with other ``ends`` for some of its own."""
        return self._ending(a, lambda end: ends.get(end, end)) if any(o != n for o, n in ends.items()) else a

    def _ending(self, a: Diagram, new: Callable[[Diagram], Diagram]) -> Diagram:
        def turn(node: Diagram) -> Diagram:
            if self.level[node] == BOTTOM:
                found = new(node)
            else:
                kids = [done[kid] if kid in done else turn(kid) for kid in self.kids[node]]
                found = self.node(self.level[node], self.bounds[node], kids)
            done[node] = found
            return found

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
