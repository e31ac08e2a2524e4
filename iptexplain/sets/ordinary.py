"""Regions told by their ordinary packets before all others: such as come from where their sender's address lies, and first those
that begin a connection. What is true of these is said in few ranges; strange packets (with addresses from elsewhere, marks,
a short life) are told only where they are treated in a way of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, reduce
from itertools import count, islice
from typing import Any, NamedTuple

from iptexplain.host.infer import EXAMPLE_OUTSIDE
from iptexplain.host.topology import is_link_local
from iptexplain.rules.addresses import Address, to_address
from iptexplain.rules.matches.physdev import SOME_PORT
from iptexplain.rules.values import Interval
from iptexplain.sets.boxes import Box, at_point, boxes, in_box
from iptexplain.sets.change import substituted
from iptexplain.sets.example import FIRST
from iptexplain.sets.fields import ANOTHER
from iptexplain.sets.ground import Ground
from iptexplain.sets.simplest import simplified
from iptexplain.sets.space import NO, YES, Diagram
from iptexplain.walk.conntrack import PINGS, TRACKED_PORTS
from iptexplain.walk.translation import LOOPBACK

MOST = 500
"""How many boxes of a region are told."""

TO_HOST = ("LOCAL", "BROADCAST", "MULTICAST", "ANYCAST")
"""The types of addresses whose packets are for the host."""

USUAL: Mapping[str, Sequence[Any]] = {
    "proto": ("tcp", "udp", "icmp", "ipv6-icmp"), "dport": (8080, 80, 443, 22), "sport": (40000,),
    "icmp_type": (8, 128), "icmp_code": (0,),
}  # fmt: skip
"""What an example has where it may, the first that fits."""

NEVER = frozenset({"", SOME_PORT, "lo"})
"""Names by which nothing comes in from elsewhere."""


STRANGE = 2
"""The rank of lines of strange packets; see Line."""


Parts = dict[tuple[tuple[int, tuple[Interval, ...]], ...], list[tuple[Box, Diagram]]]


class Line(NamedTuple):
    """Some packets of a region, as ranges. ``is_own``: there are such as the host makes; ``comes_in``: there are such as come in;
    ``to_host``: they were sent to it; ``rank``: whether there are ordinary first packets of connections among them (0), other
    ordinary packets (1), or strange ones alone (2). ``packets``: exactly which they are."""

    box: Box
    packets: Diagram
    is_own: bool
    comes_in: bool
    to_host: bool
    rank: int


class Ordinary:
    """``ignored``: interfaces of which nothing is told."""

    def __init__(self, ground: Ground, ignored: frozenset[str] = frozenset()) -> None:
        self.ground, self.topology = ground, ground.topology
        self.space, self.fields, self.kinds = ground.space, ground.fields, ground.kinds
        self.incoming = [name for name in self.fields.interfaces.names if name not in NEVER | ignored]
        self._first = self._point(FIRST)
        self._usual = self._point({name: FIRST[name] for name in ("fragment", "ttl", "mark", "connmark")})
        for_host = self._where("dst", "for host", lambda a: self.topology.address_type(a) in TO_HOST or not a.number)
        self._targets = {True: for_host, False: self.space.complement(for_host)}

    # -- lines

    def as_first(self, packets: Diagram) -> Diagram:
        """All packets that are in the set if they are the first of a connection, whatever they are."""
        return substituted(self.space, packets, tuple(sorted(self.fields.point(FIRST).items())), NO)

    def lines(self, packets: Diagram, known: Diagram = NO) -> list[Line]:
        """The packets in as few lines as may be, without those of ``known`` that begin no connection; of more than MOST lines,
        the first."""
        return list(islice(self._lines(packets, self.space.complement(self.space.minus(known, self._first))), MOST))

    def _lines(self, packets: Diagram, news: Diagram) -> Iterator[Line]:
        incoming, own = self.kinds.one_of("iif", self.incoming), self.kinds.value("iif", "")
        for to_host, target in self._targets.items():
            sides = [self.space.both(side, target) for side in (incoming, own)]
            left = [self.space.both(side, packets) for side in sides]
            for rank, which in ((0, self._first), (1, self._usual), (STRANGE, self._first), (STRANGE, YES)):
                parts = []
                for n, side in enumerate(sides):
                    care = self.space.both(which, news)
                    if rank != STRANGE:
                        care = reduce(self.space.both, [care, self._ends(bool(n), to_host), side])
                    short = self._short(left[n], care)
                    parts.append(self._parts(short, self.space.both(care, left[n])))
                    left[n] = self.space.minus(left[n], short)
                yield from self._merged(parts[0], parts[1], to_host, rank)

    def _parts(self, short: Diagram, packets: Diagram) -> Parts:
        """The boxes of a set, each with the ``packets`` in it, by all that they say but of the way in."""
        found: Parts = {}
        for box, _ in boxes(self.space, short):
            exact = self.space.both(in_box(self.space, box), packets)
            if exact != NO:
                rest = tuple(
                    sorted((level, ranges) for level, ranges in box.items() if level != self.fields.level["iif"])
                )
                found.setdefault(rest, []).append((box, exact))
        return found

    def _merged(self, incoming: Parts, own: Parts, to_host: bool, rank: int) -> Iterator[Line]:
        """What is so for packets that come in, and for the host's own as well, is one line."""
        for rest, found in incoming.items():
            more = own.pop(rest, None) if len(found) == 1 else None
            for box, packets in found:
                both = self.space.either(packets, more[0][1]) if more else packets
                yield Line(box, both, bool(more), True, to_host, rank)
        for found in own.values():
            for box, packets in found:
                yield Line(box, packets, True, False, to_host, rank)

    def _short(self, packets: Diagram, care: Diagram) -> Diagram:
        return simplified(self.space, packets, care) if self.space.both(care, packets) != NO else NO

    # -- what is ordinary

    def _ends(self, is_own: bool, to_host: bool) -> Diagram:
        """Between ordinary addresses."""
        target = self._where("dst", "has", self.topology.has) if to_host else self._routed
        return self.space.both(self._made if is_own else self._coming, target)

    @cached_property
    def _routed(self) -> Diagram:
        return self._where("dst", "routed", lambda a: self._out(a) is not None)

    @cached_property
    def _coming(self) -> Diagram:
        """From elsewhere: by the interface behind which the sender is, or by one of which nobody knows what is behind it. Nobody
        sends to himself by way of this host."""
        found = [self.space.both(self.kinds.value("iif", name), self._senders(name)) for name in self.incoming]
        same = [self._between(a, a) for e in self.topology.endpoints for a in e.addresses]
        return self.space.minus(self.space.union(found), self.space.union(same))

    def _senders(self, interface: str) -> Diagram:
        if any(r.interface == interface for r in self.topology.routes):
            return self._where("src", f"behind {interface}", lambda a: self._out(a) == interface)
        far = {r.interface for r in self.topology.routes if not r.network.mask}
        return self._where("src", "far", lambda a: self._out(a) in far)

    def _out(self, address: Address) -> str | None:
        """The interface behind which somebody has an address; None: nobody beyond one link has."""
        route = self.topology.route(address)
        is_somebody = self.topology.address_type(address) == "UNICAST" and address.number and not is_link_local(address)
        return route.interface if route and route.kind == "unicast" and is_somebody else None

    @cached_property
    def _made(self) -> Diagram:
        """Of the host's own packets: from the address that the kernel puts in; to its own addresses from the same."""
        found = [self._between(a.address, a.address) for a in self.topology.addresses]
        for part, source in self.kinds.by_address("source for", "dst", self._source_for):
            if source is not None:
                found.append(self.space.both(part, self.space.among(self.fields.level["src"], [(source.number,) * 2])))
        return self.space.union(found)

    def _source_for(self, address: Address) -> Address | None:
        out = self._out(address)
        return self.topology.source_for(address, out) if out else None

    def _between(self, source: Address, target: Address) -> Diagram:
        level = self.fields.level
        ends = [self.space.among(level[name], [(a.number, a.number)]) for name, a in (("src", source), ("dst", target))]
        return self.space.both(ends[0], ends[1])

    def _where(self, side: str, name: str, holds: Callable[[Address], bool]) -> Diagram:
        return self.space.union([part for part, is_so in self.kinds.by_address(name, side, holds) if is_so])

    def _point(self, packet: Mapping[str, Any]) -> Diagram:
        return at_point(self.space, self.fields.point(packet))

    # -- examples

    def example(self, packets: Diagram) -> dict[str, Any]:
        """One packet of a set that is not empty, an ordinary one where there is a choice: its fields, as a trace reads them."""
        asked = {self.space.level[node] for node in self.space.reachable(packets)}
        point: dict[int, int] = {}
        for level, number in self._wishes():
            if level not in point:
                here = self.space.both(self.space.among(level, [(number, number)]), packets)
                if here != NO:
                    packets, point[level] = here, number
        for name in ("src", "dst"):
            packets, point = self._with_host(self.fields.level[name], packets, point)
        point = (self.space.pick(packets) or {}) | point
        return self._packet(point, asked)

    def _with_host(self, level: int, packets: Diagram, point: dict[int, int]) -> tuple[Diagram, dict[int, int]]:
        """An address that is not the first of a range, which would be a network's own."""
        lowest = (self.space.pick(packets) or {}).get(level, 0)
        for number in () if level in point else (lowest + 2, lowest + 3, lowest + 1):
            if number <= self.space.tops[level]:
                here = self.space.both(self.space.among(level, [(number, number)]), packets)
                if here != NO:
                    return here, {**point, level: number}
        return packets, point

    def _wishes(self) -> Iterator[tuple[int, int]]:
        """Levels with numbers that an example may have, the most welcome first."""
        level = self.fields.level
        routes = sorted(self.topology.routes, key=lambda r: r.network.prefix or 0)
        names = [r.interface for r in routes if r.interface in self.incoming]
        names += [name for name in self.incoming if self.fields.interfaces.number(name) and not name.endswith(ANOTHER)]
        yield from ((level["iif"], self.fields.interfaces.number(name)) for name in names)
        addresses = [to_address(EXAMPLE_OUTSIDE[self.topology.family])]
        addresses += [address for e in self.topology.endpoints for address in e.addresses]
        own = [*(a.address for a in self.topology.addresses), to_address(LOOPBACK[self.topology.family])]
        near = [Address(a.network.family, a.network.number + 2) for a in self.topology.addresses]
        yield from ((level["src"], a.number) for a in (*addresses, *near, *own))
        yield from ((level["dst"], a.number) for a in (*own, *addresses, *near))
        for name, values in USUAL.items():
            yield from ((level[name], self.fields.all[level[name]].number(value)) for value in values)
        yield from self.fields.point(FIRST).items()

    def _packet(self, point: Mapping[int, int], asked: set[int]) -> dict[str, Any]:
        told = {field.name.partition(":")[0] for level, field in enumerate(self.fields.all) if level in asked}
        names = dict.fromkeys(["iif", "proto", "src", "dst", "sport", "dport", *FIRST, "icmp_type", "icmp_code"])
        names |= dict.fromkeys(
            field.name.partition(":")[0] for field in self.fields.all if field.name.partition(":")[0] in told
        )
        packet = {name: self.fields.value(name, point) for name in names}
        if packet["iif"].endswith(ANOTHER):
            packet["iif"] = self._another(packet["iif"].removesuffix(ANOTHER))
        if packet["proto"] in PINGS:
            packet["icmp_id"] = 1
        unfit = {"sport", "dport"} if packet["proto"] not in TRACKED_PORTS else set()
        unfit |= {"icmp_type", "icmp_code"} if packet["proto"] not in PINGS else set()
        unfit |= {"flags"} if packet["proto"] != "tcp" else set()
        return {name: value for name, value in packet.items() if name not in unfit}

    def _another(self, begin: str) -> str:
        """A name that nobody has for an interface."""
        names = (f"{begin}other{n}" for n in count())
        wanted = self.fields.interfaces.number(begin + ANOTHER)
        return next(name for name in names if self.fields.interfaces.number(name) == wanted)
