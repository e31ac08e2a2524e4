"""Diagrams as boxes of ranges, which a person can read."""

from __future__ import annotations

from collections.abc import Collection, Iterator
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
        ranges: dict[Diagram, list[Interval]] = {}
        low = 0
        for bound, kid in zip(space.bounds[node], space.kids[node], strict=True):
            ranges.setdefault(kid, []).append((low, bound))
            low = bound + 1
        for kid, intervals in ranges.items():
            yield from walk(kid, {**box, space.level[node]: tuple(intervals)})

    return walk(a, {})


def split(space: Space, a: Diagram, wanted: Collection[Diagram] | None = None) -> dict[Diagram, Diagram]:
    """Each end of a map but NO (as a diagram; of those ``wanted``, if said), with the set of the points that it is for."""

    def walk(node: Diagram) -> dict[Diagram, Diagram]:
        if node not in done:
            level, bounds = space.level[node], space.bounds[node]
            if level == BOTTOM:
                done[node] = {node: YES} if wanted is None or node in wanted else {}
                return done[node]
            kids = [walk(kid) for kid in space.kids[node]]
            ends = dict.fromkeys(end for kid in kids for end in kid)
            done[node] = {end: space.node(level, bounds, [kid.get(end, NO) for kid in kids]) for end in ends}
        return done[node]

    done: dict[Diagram, dict[Diagram, Diagram]] = {NO: {}}
    return walk(a)
