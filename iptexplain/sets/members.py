"""The packets that an IP set of the snapshot contains."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from iptexplain.host.ipsets import ANY_PORT, PORTS, Element, IpSet, IpSets
from iptexplain.rules.addresses import Address
from iptexplain.sets.boxes import at_point
from iptexplain.sets.fields import Fields, bits_of
from iptexplain.sets.space import NO, YES, Diagram, Space

ICMP = ("icmp", "ipv6-icmp")


def members(space: Space, fields: Fields, sets: IpSets, family: int, name: str, sides: Sequence[str]) -> Diagram | None:
    """The packets for which ``-m set --match-set NAME SIDES`` holds; None: the set is not known, or their fields do not tell.

    See IpSets.contains, which answers for one packet.
    """
    found = sets.sets.get(name)
    if found is None:
        return None
    if found.dimensions == ("set",):
        parts = [members(space, fields, sets, family, e.parts[0], sides) for e in found.elements]
        return None if None in parts else space.union([p for p in parts if p is not None])
    if len(sides) < len(found.dimensions) or found.family not in (None, family):
        return NO
    if any(e.vague for e in found.elements):
        return None
    entries = [_entry(space, fields, found, e, sides) for e in found.elements]
    known = [e for e in entries if e is not None]
    if len(known) < len(entries):
        return None
    if any(e.nomatch for e in found.elements) or found.dimensions == ("net", "iface"):
        return _narrowest(space, fields, found, known, sides)
    return space.union(known)


def _entry(space: Space, fields: Fields, found: IpSet, entry: Element, sides: Sequence[str]) -> Diagram | None:
    parts = [_part(space, fields, *one) for one in zip(found.dimensions, entry.parts, sides, strict=False)]
    known = [part for part in parts if part is not None]
    return reduce(space.both, known, YES) if len(known) == len(parts) else None


def _narrowest(space: Space, fields: Fields, found: IpSet, entries: Sequence[Diagram], sides: Sequence[str]) -> Diagram:
    """Where entries overlap, the narrowest says whether it is a match, the first of several; with interfaces, the narrowest
    network ends the search even if the interface is another."""
    result = NO
    widths = [e.width for e in found.elements]
    for width in sorted(set(widths), reverse=True):
        level = [n for n, w in enumerate(widths) if w == width]
        if found.dimensions == ("net", "iface"):
            nets = [_part(space, fields, "net", found.elements[n].parts[0], sides[0]) for n in level]
            result = space.minus(result, space.union([net for net in nets if net is not None]))
        for n in reversed(level):
            result = (space.minus if found.elements[n].nomatch else space.either)(result, entries[n])
    return result


def _part(space: Space, fields: Fields, dimension: str, part: Any, side: str) -> Diagram | None:
    """The packets that one dimension of an entry fits; None: their fields do not tell."""
    if dimension in ("ip", "net"):
        first, last = part
        assert isinstance(first, Address)
        return space.among(fields.level[side], [(first.number, last.number)])
    if dimension == "iface":
        level = fields.level["iif" if side == "src" else "oif"]
        number = fields.interfaces.number(part)
        return space.among(level, [(number, number)])
    if dimension == "mac":
        number = fields.all[fields.level["mac_src"]].number(part)
        return space.among(fields.level["mac_src"], [(number, number)]) if side == "src" else None
    if dimension == "mark":
        return at_point(space, dict(zip(fields.bits("mark"), bits_of("mark", part), strict=True)))
    return _port(space, fields, part, side)


def _port(space: Space, fields: Fields, part: tuple[str | None, int, int], side: str) -> Diagram:
    """A port of one protocol, or of any: ICMP's type and code are taken for its port, other protocols have port 0."""
    protocol, low, high = part
    level = fields.level["proto"]
    port = space.among(fields.level["sport" if side == "src" else "dport"], [(low, high)])
    cases = []
    for number in range(256):
        name = fields.all[level].value(number)
        if name in ((protocol,) if protocol else ANY_PORT):
            fits = (
                port
                if name in PORTS
                else _message(space, fields, low, high)
                if name in ICMP
                else YES
                if low == 0
                else NO
            )
            cases.append(space.both(space.among(level, [(number, number)]), fits))
    return space.union(cases)


def _message(space: Space, fields: Fields, low: int, high: int) -> Diagram:
    """The ICMP messages whose type and code, as one number, lie between two."""
    kind, code = fields.level["icmp_type"], fields.level["icmp_code"]
    return space.union([
        space.both(
            space.among(kind, [(n, n)]), space.among(code, [(max(low - (n << 8), 0), min(high - (n << 8), 255))])
        )
        for n in range(low >> 8, (high >> 8) + 1)
    ])  # fmt: skip
