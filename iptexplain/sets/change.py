"""What happens to points: levels get new numbers, and a diagram is asked about the points before that."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import NamedTuple

from iptexplain.sets.space import BOTTOM, Diagram, Space


class Copy(NamedTuple):
    """The number of another level of the same size (or of the level itself); ``flipped``: of one bit, its opposite."""

    level: int
    flipped: bool = False


class Shift(NamedTuple):
    """The level's own number moved: (first, last, the new first) for separate, sorted pieces; outside of them it stays."""

    pieces: tuple[tuple[int, int, int], ...]

    def of(self, number: int) -> int:
        return next((new + number - low for low, high, new in self.pieces if low <= number <= high), number)


class Chosen(NamedTuple):
    """Some number that only the kernel knows; ``text`` says from where, and no two choices have one text."""

    text: str


Change = int | Copy | Shift | Chosen
"""What a level's number is replaced by: a number, or something made of the point's own."""

Changes = tuple[tuple[int, Change], ...]
"""Level and change, sorted by the level."""


def composed(first: Changes, then: Changes) -> Changes:
    """Both changes as one: what ``then`` copies or moves is what ``first`` has put there."""
    before = dict(first)
    return tuple(sorted({**before, **{level: _after(before, level, change) for level, change in then}}.items()))


def _after(before: Mapping[int, Change], level: int, change: Change) -> Change:
    if isinstance(change, Copy):
        old = before.get(change.level, Copy(change.level))
        if isinstance(old, int):
            return old ^ change.flipped
        if change.flipped:
            return Copy(old.level, not old.flipped) if isinstance(old, Copy) else Chosen(f"not {old}")
        return old if not isinstance(old, Shift) or change.level == level else Chosen(f"{change.level} after {old}")
    if isinstance(change, Shift):
        moved = before.get(level)
        return (
            change
            if moved is None
            else change.of(moved)
            if isinstance(moved, int)
            else Chosen(f"{change} after {moved}")
        )
    return change


def substituted(space: Space, a: Diagram, changes: Changes, unknown: Diagram) -> Diagram:
    """The diagram as seen before its points were changed. Where the answer
    differs with a number that was Chosen it ends in ``unknown``."""

    def walk(node: Diagram) -> Diagram:
        level = space.level[node]
        if level > lowest:
            return node
        if node not in done:
            change = new.get(level)
            if isinstance(change, int):
                done[node] = walk(space.child(node, change))
            elif isinstance(change, Chosen):
                done[node] = reduce(agreed, (walk(kid) for kid in space.kids[node]))
            else:
                bounds, kids = space.bounds[node], [walk(kid) for kid in space.kids[node]]
                if isinstance(change, Copy):
                    level, kids = change.level, kids[:: -1 if change.flipped else 1]
                elif isinstance(change, Shift):
                    bounds, kids = _unshifted(change, bounds, kids, space.tops[level])
                done[node] = ordered(space, level, bounds, kids)
        return done[node]

    def agreed(a: Diagram, b: Diagram) -> Diagram:
        """``a`` where both say the same."""
        if a == b:
            return a
        level = min(space.level[a], space.level[b])
        if level == BOTTOM:
            return unknown
        if (a, b) not in met:
            asked = [node for node in (a, b) if space.level[node] == level]
            bounds = sorted({bound for node in asked for bound in space.bounds[node]})
            ways = [[space.child(node, n) if node in asked else node for node in (a, b)] for n in bounds]
            met[a, b] = space.node(level, bounds, [agreed(*way) for way in ways])
        return met[a, b]

    met: dict[tuple[Diagram, Diagram], Diagram] = {}
    new = dict(changes)
    lowest = max(new, default=-1)
    done: dict[Diagram, Diagram] = {}
    return walk(a)


def _unshifted(
    shift: Shift, bounds: Sequence[int], kids: Sequence[Diagram], top: int
) -> tuple[tuple[int, ...], list[Diagram]]:
    """The children by the number before it was moved."""
    old: list[tuple[int, Diagram]] = []
    place = 0

    def take(first: int, last: int, new: int) -> None:
        i = bisect_left(bounds, new)
        while bounds[i] < new + last - first:
            old.append((bounds[i] - new + first, kids[i]))
            i += 1
        old.append((last, kids[i]))

    for low, high, new in (*shift.pieces, (top + 1, top, 0)):
        if low > place:
            take(place, low - 1, place)
        if low <= high:
            take(low, high, new)
        place = high + 1
    return tuple(bound for bound, _ in old), [kid for _, kid in old]


def ordered(space: Space, level: int, bounds: Sequence[int], kids: Sequence[Diagram]) -> Diagram:
    """A node whose children may ask its own level again, or levels above."""
    highest = min(space.level[kid] for kid in kids)
    if highest > level:
        return space.node(level, bounds, kids)
    lows = [0, *(bound + 1 for bound in bounds)]
    if highest == level:
        slices = [
            part for low, *end in zip(lows, bounds, kids, strict=False) for part in _slice(space, level, low, *end)
        ]
        return space.node(level, [bound for bound, _ in slices], [kid for _, kid in slices])
    parts = [
        space.both(space.among(level, [(low, bound)]), kid) for low, bound, kid in zip(lows, bounds, kids, strict=False)
    ]
    return space.overlaid(parts)


def _slice(space: Space, level: int, low: int, high: int, kid: Diagram) -> Iterator[tuple[int, Diagram]]:
    """What a child that may ask its parent's level leads to between two numbers: up to each bound."""
    if space.level[kid] == level:
        bounds, i = space.bounds[kid], bisect_left(space.bounds[kid], low)
        while bounds[i] < high:
            yield bounds[i], space.kids[kid][i]
            i += 1
        kid = space.kids[kid][i]
    yield high, kid
