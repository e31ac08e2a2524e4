"""Two maps held against each other: where they differ, and where two ends that are written differently come to the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from iptexplain.rules.values import Interval
from iptexplain.sets.change import Change, Changes, Chosen, Copy, Shift
from iptexplain.sets.fields import NAT_FIELDS, Fields
from iptexplain.sets.kinds import Kinds
from iptexplain.sets.space import NO, YES, Diagram, Space
from iptexplain.sets.ways import End


class Apart(NamedTuple):
    """Two maps that differ, of the answers to open questions to ends."""

    old: Diagram
    new: Diagram


def parted(space: Space, old: Diagram, new: Diagram, questions: int) -> Diagram:
    """Where two maps differ, a map to Apart; NO elsewhere. From the level ``questions`` on stand the open questions: what they
    lead to belongs together."""

    def walk(a: Diagram, b: Diagram) -> Diagram:
        if a == b:
            return NO
        if (a, b) not in done:
            level = min(space.level[a], space.level[b])
            if level >= questions:
                done[a, b] = space.end(Apart(a, b))
            else:
                done[a, b] = below(level, a, b)
        return done[a, b]

    def below(level: int, a: Diagram, b: Diagram) -> Diagram:
        asked = [node for node in (a, b) if space.level[node] == level]
        bounds = sorted({bound for node in asked for bound in space.bounds[node]})
        sides = [_slices(space, node, bounds) if node in asked else [node] * len(bounds) for node in (a, b)]
        return space.node(level, bounds, [walk(*pair) for pair in zip(*sides, strict=True)])

    done: dict[tuple[Diagram, Diagram], Diagram] = {}
    return walk(old, new)


def _slices(space: Space, node: Diagram, bounds: list[int]) -> list[Diagram]:
    """The node's child up to each of these bounds, which are its own and more."""
    own, kids, i = space.bounds[node], space.kids[node], 0
    found = []
    for bound in bounds:
        while own[i] < bound:
            i += 1
        found.append(kids[i])
    return found


def rewriting(fields: Fields, end: End) -> Changes:
    """What NAT has made of addresses and ports."""
    levels = {fields.level[name] for name in NAT_FIELDS}
    return tuple((level, change) for level, change in end.changes if level in levels)


def alike(space: Space, fields: Fields, one: End, other: End) -> Diagram:
    """The packets for which two ends come to the same: an address that is rewritten to what it was already."""
    if one._replace(changes=()) != other._replace(changes=()):
        return NO
    changes = dict(one.changes), dict(other.changes)
    found = YES
    for level in (fields.level[name] for name in reversed(NAT_FIELDS)):
        same = _same(space, level, changes[0].get(level), changes[1].get(level))
        found = space.both(found, same)
    return found


def masqueraded_as_before(kinds: Kinds, out: str) -> Diagram:
    """The packets that have the address already which MASQUERADE gives them when they leave by ``out``."""
    host, space, src = kinds.places.topology, kinds.space, kinds.fields.level["src"]
    if not host.is_masquerade_plain(out):
        return NO
    parts = kinds.by_address(f"masqueraded@{out}", "dst", lambda a: host.masquerade_address(a, out))
    having = ((to, space.among(src, [(own.number, own.number)])) for to, own in parts if own)
    return space.union([space.both(*both) for both in having])


def _same(space: Space, level: int, one: Change | None, other: Change | None) -> Diagram:
    """The points at which two changes of a level give the same number."""
    if one == other:
        return YES
    if any(isinstance(change, Chosen | Copy) for change in (one, other)):
        return NO
    found: list[Interval] = []
    for low, high, is_fixed, number in _pieces(one, space.tops[level]):
        for start, end, fixed, also in _pieces(other, space.tops[level]):
            first, last = max(low, start), min(high, end)
            if is_fixed == fixed:
                at = (first, last) if number == also else (1, 0)
            else:
                where = number - also if is_fixed else also - number
                at = (max(first, where), min(last, where))
            if at[0] <= at[1]:
                found.append(at)
    return space.among(level, sorted(found))


def _pieces(change: Change | None, top: int) -> Iterator[tuple[int, int, bool, int]]:
    """A change as ranges, each with the number that all of it gets (True), or with how far it is moved (False)."""
    if isinstance(change, int):
        yield 0, top, True, change
        return
    place = 0
    for low, high, new in change.pieces if isinstance(change, Shift) else ():
        if low > place:
            yield place, low - 1, False, 0
        yield low, high, False, new - low
        place = high + 1
    if place <= top:
        yield place, top, False, 0
