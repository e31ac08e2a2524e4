"""Diagrams as boxes of ranges, which a person can read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from iptexplain.rules.values import Interval
from iptexplain.sets.space import BOTTOM, NO, YES, Diagram, Space

Box = dict[int, tuple[Interval, ...]]
"""Level → sorted, separate intervals; a level that is left out may have any number."""


def boxes(space: Space, a: Diagram) -> Iterator[tuple[Box, Any]]:
    """The diagram as separate boxes, each with its value; where it ends in NO there is none."""

    def walk(node: Diagram, box: Box) -> Iterator[tuple[Box, Any]]:
        if space.level[node] == BOTTOM:
            if node != NO:
                yield dict(box), space.values[node]
            return
        if node not in known:
            known[node] = _ranges(space, node)
        for kid, intervals in known[node]:
            yield from walk(kid, {**box, space.level[node]: intervals})

    known: dict[Diagram, list[tuple[Diagram, tuple[Interval, ...]]]] = {}
    return walk(a, {})


def _ranges(space: Space, node: Diagram) -> list[tuple[Diagram, tuple[Interval, ...]]]:
    """The node's children but NO, each with the numbers that lead to it."""
    ranges: dict[Diagram, list[Interval]] = {}
    low = 0
    for bound, kid in zip(space.bounds[node], space.kids[node], strict=True):
        if kid != NO:
            ranges.setdefault(kid, []).append((low, bound))
        low = bound + 1
    return [(kid, tuple(intervals)) for kid, intervals in ranges.items()]


def in_box(space: Space, box: Box) -> Diagram:
    """The set of the points of a box."""
    found = YES
    for level in sorted(box, reverse=True):
        found = space.both(space.among(level, box[level]), found)
    return found


def at_point(space: Space, numbers: Mapping[int, int]) -> Diagram:
    """The set of the points that have these numbers: level → number."""
    return in_box(space, {level: ((number, number),) for level, number in numbers.items()})


def split(space: Space, a: Diagram, wanted: Collection[Diagram] | None = None) -> dict[Diagram, Diagram]:
    """Each end of a map but NO (as a diagram; of those ``wanted``, if said), with the set of the points that it is for."""

    def walk(node: Diagram) -> dict[Diagram, Diagram]:
        if node not in done:
            if space.level[node] == BOTTOM:
                done[node] = {node: YES} if wanted is None or node in wanted else {}
            else:
                done[node] = below(node)
        return done[node]

    def below(node: Diagram) -> dict[Diagram, Diagram]:
        parts: dict[Diagram, list[tuple[int, Diagram]]] = {}
        for place, kid in enumerate(space.kids[node]):
            for end, part in walk(kid).items():
                parts.setdefault(end, []).append((place, part))
        return {end: _sparse(space, node, places) for end, places in parts.items()}

    done: dict[Diagram, dict[Diagram, Diagram]] = {NO: {}}
    return walk(a)


def _sparse(space: Space, node: Diagram, places: Iterable[tuple[int, Diagram]]) -> Diagram:
    """A node like another, with children at some places and NO between them."""
    old, bounds, kids, free = space.bounds[node], [], [], 0
    for place, kid in places:
        if place > free:
            bounds.append(old[place - 1])
            kids.append(NO)
        bounds.append(old[place])
        kids.append(kid)
        free = place + 1
    if free < len(old):
        bounds.append(old[-1])
        kids.append(NO)
    return space.node(space.level[node], bounds, kids)
