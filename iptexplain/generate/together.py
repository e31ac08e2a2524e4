"""A policy's wishes as one: their rules in an order in which all of them are heard, or what contradicts what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

from iptexplain.errors import UsageError
from iptexplain.explain.nodes import Written
from iptexplain.explain.situation import Situation
from iptexplain.explain.words import said
from iptexplain.generate.asked import Asked
from iptexplain.generate.between import Side, allow, isolate, named
from iptexplain.generate.policy import Between, Policy, Restricted
from iptexplain.generate.restrict import Restriction, nothing_published, published, restrict
from iptexplain.generate.wish import Line, Wish, first_place

Sides = tuple[Between, Sequence[Side], Sequence[Side]]


class Meant(NamedTuple):
    """What the wishes mean in one family."""

    restrict: list[tuple[Restricted, Restriction]]
    allow: list[Sides]
    isolate: list[Sides]


def meant(policy: Policy, situations: Sequence[Situation], written: Written) -> list[tuple[Situation, Meant]]:
    """The families in which something is wished for. What names nothing, and what contradicts, is told with its line."""
    found = [(situation, Meant([], [], [])) for situation in situations]
    for wish in policy.restrict:
        of = [(here, published(s, wish.ports, wish.container, wish.network), s.family) for s, here in found]
        nothing = nothing_published(situations, wish.ports, wish.container, wish.network)
        if nothing:
            written.wrong(wish.location, nothing)
        for here, ports, family in of:
            if ports:
                clients = [c for c in wish.clients if c.family == family]
                here.restrict.append((wish, Restriction(ports, clients, wish.drops_rest)))
    for kind in ("allow", "isolate"):
        for between in getattr(policy, kind):
            try:
                ends = {s.family: (one, other) for s, one, other in named(situations, between.a, between.b)}
            except UsageError as e:
                written.wrong(between.location, e.message)
                continue
            for situation, here in found:
                if situation.family in ends:
                    getattr(here, kind).append((between, *ends[situation.family]))
    for _, here in found:
        _contradictions(here, written)
    return [(situation, here) for situation, here in found if any(here)]


def _contradictions(here: Meant, written: Written) -> None:
    first: dict[tuple[str | None, int, str], int] = {}
    for wish, restriction in here.restrict:
        for port in restriction.ports:
            line = first.setdefault((port.host_ip, port.host_port, port.proto), wish.location.line)
            if line != wish.location.line:
                told = f"line {line} says already who may use {port.host_port}/{port.proto}: name all clients there"
                written.wrong(wish.location, told)
    closed = {p.bridge: w.location.line for w, r in here.restrict if r.drops_rest for p in r.ports if p.bridge}
    for opening, a, b in here.allow:
        for one, other in product(a, b):
            if one.bridge != other.bridge and other.bridge in closed:
                told = f"by line {closed[other.bridge]} nothing but its ports is open on the network of {said(other.name)} (drop-rest)"
                written.wrong(
                    opening.location, f"{told}, and this opens it to {said(one.name)}: take away one of the two"
                )
        for apart, c, d in here.isolate:
            if (_meet(a, c) and _meet(b, d)) or (_meet(a, d) and _meet(b, c)):
                told = f"line {apart.location.line} keeps {said(apart.a)} and {said(apart.b)} apart"
                written.wrong(opening.location, f"{told}, and this opens a way between them: take away one of the two")


def _meet(some: Iterable[Side], others: Iterable[Side]) -> bool:
    """Whether the same container can be on both sides."""
    return any(
        one.bridge == other.bridge and (None in (one.address, other.address) or one.address == other.address)
        for one, other in product(some, others)
    )


def together(situation: Situation, here: Meant, written: Written, before: bool = False) -> Wish:
    """The rules of one family, which must have a chain DOCKER-USER. What a wish cannot be made of is told with its line.

    In DOCKER-USER then come: who is kept apart; who may use published ports; the rules that are there; what is let through (or
    that ``before`` them). Among the last, no wish's drop stands before what another lets through.
    """
    lines: dict[str, list[Line]] = {"allow": [], "isolate": []}
    asked: list[Asked] = []
    for kind, sides in (("allow", here.allow), ("isolate", here.isolate)):
        for wish, one, other in sides:
            try:
                made = allow(situation, one, other, wish.service) if kind == "allow" else isolate(situation, one, other)
                lines[kind] += made.lines
                asked += made.asked
            except UsageError as e:
                written.wrong(wish.location, e.message)
    passing = [line for line in lines["allow"] if line.table == "filter"]
    passing.sort(key=lambda line: line.options.endswith("-j DROP"))
    restricted = [restriction for _, restriction in here.restrict]
    ports = restrict(situation, restricted, followed=bool(passing)) if restricted else Wish(situation.family, None, ())
    return ports._replace(
        asked=(*ports.asked, *asked),
        lines=(
            *_numbered(passing, first_place(situation, before)),
            *_numbered([line for line in lines["allow"] if line.table == "raw"], 1),
            *ports.lines,
            *_numbered(lines["isolate"], 1),
        ),
    )


def _numbered(lines: Iterable[Line], start: int) -> Iterator[Line]:
    """One after the other from a place on; what two wishes have in common is there once."""
    once: dict[str, Line] = {}
    for line in lines:
        once.setdefault(line.options, line)
    for number, line in enumerate(once.values(), start):
        yield line._replace(at=number)
