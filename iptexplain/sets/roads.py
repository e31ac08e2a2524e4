"""Where routing sends all packets at once: walk/routing.py and walk/bridge.py, asked once for each kind of address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from iptexplain.host.topology import Topology
from iptexplain.rules.addresses import Address
from iptexplain.rules.matches.physdev import SOME_PORT
from iptexplain.rules.targets.reject import MANY
from iptexplain.sets.change import Change, Copy, Shift
from iptexplain.sets.fields import REWRITTEN
from iptexplain.sets.kinds import Kinds
from iptexplain.sets.space import NO, YES, Diagram
from iptexplain.sets.ways import NEXT, End, Piece, Ways
from iptexplain.walk.bridge import Bridging
from iptexplain.walk.routing import (
    Lost,
    hears_itself,
    lost_on_arrival,
    refused,
    way_in,
    way_out,
    way_out_anew,
)

Ask = Callable[[Address, Address], Any]
Switch = Callable[[str, str], Piece]
"""The way of a packet that leaves a bridge (the first name) by a port."""


class Roads:
    """Pieces of the way that the host's addresses and routes decide."""

    def __init__(self, ways: Ways, kinds: Kinds, topology: Topology) -> None:
        self.ways, self.kinds, self.topology = ways, kinds, topology
        self.space, self.level = ways.space, kinds.fields.level
        self._routed_by = {*kinds.fields.bits("mark"), *(self.level[name] for name in ("src", "dst", "tos", "dport"))}
        self.one_hop: dict[int, Change] = {self.level["ttl"]: Shift(((1, 255, 0),))}
        """What a router does to a packet."""
        self._ways_in: dict[str, dict[Any, Diagram]] = {}
        """Interface → answers of routing, for whom they are: all analyses on one ground ask for them."""

    def lost(self, reason: str) -> Piece:
        return self.ways.ending(End("dropped", by=reason))

    # -- coming in

    def port_in(self, interface: str) -> dict[int, Change]:
        """Of a packet on a filtered bridge some port is known, of any other none."""
        names, level = self.kinds.fields.interfaces, self.level["physin"]
        if Bridging(self.topology, interface).filtered:
            return {level: Shift(((0, 0, names.number(SOME_PORT)),))}
        return {level: 0}

    def kind_of_frame(self, changes: dict[int, Change], interface: str) -> Piece:
        """The changes, and the kind of frame that the destination comes with."""
        level, field = self.level["pkttype"], self.kinds.fields.all[self.level["pkttype"]]
        cases = []
        for part, kind in self._frames("dst", interface):
            new = tuple(sorted({**changes, level: field.number(kind)}.items()))
            cases.append((part, self.ways.ending(End(NEXT, new))))
        return self.ways.cases(cases)

    def _frames(self, side: str, interface: str) -> list[tuple[Diagram, str]]:
        """The packets by the kind of frame that they come with."""
        return self.kinds.by_address(
            f"{side} pkttype@{interface}", side, lambda a: self.topology.frame_kind(a, interface)
        )

    def lost_on_arrival(self, interface: str) -> Piece:
        if self.topology.family == 4 or Bridging(self.topology, interface).filtered:
            return self.ways.go_on
        return self.ways.choice(self._lost_on_arrival(interface), self.lost("martian"), self.ways.go_on)

    def _lost_on_arrival(self, interface: str, source: str = "src") -> Diagram:
        """``source``: the field with the sender's address."""
        if self.topology.family == 4:
            return NO
        found = self._by_both(interface, lambda s, d: lost_on_arrival(self.topology, s, d, interface), source)
        return found.get(True, NO)

    def _lost_copies(self, interface: str) -> Diagram:
        """What the host sends by ``interface`` and would not take from there; it takes what has an address that NAT chose."""
        return self.space.both(*(self._lost_on_arrival(interface, source) for source in ("src", "ctorigsrc")))

    def arrival(self, interface: str, deliver: Piece, forward: Callable[[str], Piece], switch: Switch) -> Piece:
        """Behind PREROUTING: for the host, or onward by an interface, or lost."""
        ways: dict[Any, Piece] = {"": deliver}

        def onward(found: tuple[str | Lost, str | Lost]) -> Piece:
            if found not in ways:
                ways[found] = self._onward(*found, deliver, lambda out: self._forwarded(interface, forward(out)))
            return ways[found]

        if interface not in self._ways_in:
            self._ways_in[interface] = self._by_both(interface, lambda s, d: self._way_in(s, d, interface))
        found = self._ways_in[interface]
        routed = self.ways.cases([(where, onward(answer)) for answer, where in found.items()])
        bridge = Bridging(self.topology, interface)
        if not bridge.filtered:
            return routed
        seen = self.ways.choice(self._lost_on_arrival(interface), self.lost("martian"), routed)
        return self._switched(bridge, seen, switch, found)

    def _way_in(self, source: Address, target: Address, interface: str) -> tuple[str | Lost, str | Lost]:
        """With a long life and with one that ends here."""
        long, short = ({"src": source, "dst": target, "ttl": ttl} for ttl in (64, 1))
        return way_in(self.topology, long, interface), way_in(self.topology, short, interface)

    def _onward(self, long: str | Lost, short: str | Lost, deliver: Piece, forward: Callable[[str], Piece]) -> Piece:
        if isinstance(long, Lost) and long == short:
            return self.lost(long.reason)
        if long == "":
            return deliver
        passed = self.lost(long.reason) if isinstance(long, Lost) else forward(long)
        ended = self.lost(short.reason) if isinstance(short, Lost) else passed
        return self.ways.choice(self.space.among(self.level["ttl"], [(0, 1)]), ended, passed)

    def _forwarded(self, interface: str, onward: Piece) -> Piece:
        """What was sent to all or to a group is not forwarded, when NAT has made it somebody's."""
        to_many = self.space.union([part for part, kind in self._frames("ctorigdst", interface) if kind in MANY])
        return self.ways.choice(to_many, self.lost("other"), onward)

    def unseen(self, interface: str) -> Piece:
        """Whether a packet is switched without being shown to iptables at all."""
        bridge = Bridging(self.topology, interface)
        if not bridge.is_bridge or bridge.filtered:
            return self.ways.go_on
        near = self.space.union(list(self._near(bridge).values()))
        return self.ways.choice(near, self.ways.ending(End("forwarded", interface=interface)), self.ways.go_on)

    def _near(self, bridge: Bridging) -> dict[str, Diagram]:
        """The packets for other machines on the bridge, by the port that they leave by."""
        near: dict[str, list[Diagram]] = {}
        for endpoint in self.topology.endpoints:
            if endpoint.interface == bridge.name:
                itself = self.kinds.value("physin", endpoint.port) if endpoint.port else NO
                for address in endpoint.addresses:
                    there = self.space.among(self.level["dst"], [(address.number, address.number)])
                    there = self.space.minus(there, itself)
                    near.setdefault(bridge.way_out({"dst": address}), []).append(there)
        return {port: self.space.union(parts) for port, parts in sorted(near.items())}

    def _switched(self, bridge: Bridging, routed: Piece, switch: Switch, ways: Mapping[Any, Diagram]) -> Piece:
        """What is for another machine on the bridge that it came in by is switched; what NAT sends back there as well."""
        local = self._where("is_local", self.topology.is_local)
        near = {port: self.space.minus(there, local) for port, there in self._near(bridge).items()}
        found = self.ways.cases([(there, switch(bridge.name, port)) for port, there in near.items()], routed)
        kept = self._where(f"kept:{bridge.name}", bridge.keeps)
        again = self.ways.choice(kept, self._sent_back(bridge, switch, ways), routed)
        return self.ways.choice(self.kinds.number(REWRITTEN, 1), again, found)

    def _sent_back(self, bridge: Bridging, switch: Switch, ways: Mapping[Any, Diagram]) -> Piece:
        """Rewritten packets that leave by the bridge they came in by; see Bridging.loses for who gets to nobody."""
        ports: dict[Piece, list[Diagram]] = {}
        for address, there in self._owned.items():
            ports.setdefault(switch(bridge.name, bridge.way_out({"dst": address})), []).append(there)
        listed = self.topology.known_addresses and self.topology.endpoints
        found = self.ways.cases(
            [(self.space.union(parts), piece) for piece, parts in ports.items()],
            self.lost("neighbour") if listed else switch(bridge.name, SOME_PORT),
        )
        found = self.ways.choice(self._behind_the_same_port, self.lost("other"), found)
        refused: dict[str, list[Diagram]] = {}
        for (long, _), where in ways.items():
            if self.topology.family == 4 and isinstance(long, Lost) and long.reason != "ttl":
                refused.setdefault(long.reason, []).append(where)
        for reason, parts in refused.items():
            found = self.ways.choice(self.space.union(parts), self.lost(reason), found)
        return found

    @cached_property
    def _owned(self) -> dict[Address, Diagram]:
        """The packets for each machine that is not the host, by its addresses."""
        owned = [a for e in reversed(self.topology.endpoints) for a in e.addresses]
        return {a: self.kinds.number("dst", a.number) for a in owned}

    @cached_property
    def _behind_the_same_port(self) -> Diagram:
        """The packets for machines behind the port that they came in by, unless that sends them out again."""
        found = []
        for address, owner in {a: e for e in reversed(self.topology.endpoints) for a in e.addresses}.items():
            if owner.port and not self.topology.ports.get(owner.port, ("", False))[1]:
                found.append(self.space.both(self._owned[address], self.kinds.value("physin", owner.port)))
        return self.space.union(found)

    # -- going out

    def way_out(self) -> Piece:
        """The interface by which the host sends a packet."""
        cases = []
        for part, out in self.kinds.by_address("way_out", "dst", self._way_out):
            lost = self.lost(out.reason) if isinstance(out, Lost) else None
            by = ((self.level["oif"], self.kinds.fields.interfaces.number(out)),) if isinstance(out, str) else ()
            cases.append((part, lost or self.ways.ending(End(NEXT, by))))
        return self.ways.cases(cases)

    def _way_out(self, address: Address) -> str | Lost:
        return way_out(self.topology, address)

    def sent(self, come_back: Callable[[str, str], Piece]) -> Piece:
        """Behind POSTROUTING: away, or back to the host itself."""

        def fate(address: Address) -> tuple[str, str | None]:
            out = self._way_out(address)
            if isinstance(out, Lost):
                return "", None
            stays = out == "lo" or hears_itself(self.topology, address)
            return out, self.topology.frame_kind(address, out) if stays else None

        cases = []
        for part, (out, kind) in self.kinds.by_address("sent", "dst", fate):
            away = self.ways.ending(End("sent", interface=out))
            copied = self.ways.choice(self._lost_copies(out), away, come_back(out, kind)) if kind else away
            cases.append((part, copied))
        return self.ways.cases(cases)

    def routed_anew(self, table: Piece) -> Piece:
        """A table of OUTPUT, and behind it the packets that it has changed: lost, where they have no way any more."""
        still_there = self._still_there()

        def later(end: Diagram) -> Piece:
            changed = self.space.union(
                [self._differs(*c) for c in self.space.values[end].changes if c[0] in self._routed_by]
            )
            return self.ways.choice(changed, self.ways.after(end, still_there), Piece(end, frozenset({end})))

        return self.ways.followed(table, later)

    def _still_there(self) -> Piece:
        """Lost where walk/routing.py (way_out_anew) has no way for them; loopback's addresses are sources of their own kind."""
        from_loopback = self.space.among(self.level["src"], [(127 << 24, (128 << 24) - 1)])
        cases = []
        for part, ways in self.kinds.by_address("leaves", "dst", self._leaves):
            other, loopback = (self.lost(way.reason) if isinstance(way, Lost) else self.ways.go_on for way in ways)
            cases.append((part, self.ways.choice(from_loopback, loopback, other)))
        return self.ways.cases(cases)

    def _leaves(self, target: Address) -> tuple[str | Lost, str | Lost]:
        """Anew from any address, and from one of loopback's."""
        family = self.topology.family
        return (
            way_out_anew(self.topology, Address(family, 0), target),
            way_out_anew(self.topology, Address(family, 127 << 24 | 1), target),
        )

    def _differs(self, level: int, change: Change) -> Diagram:
        """The packets to which a change makes a difference."""
        among, top = self.space.among, self.space.tops[level]
        if isinstance(change, int):
            return self.space.complement(among(level, [(change, change)]))
        if isinstance(change, Shift):
            moved = [(low, high) for low, high, new in change.pieces if new != low]
            return among(level, moved)
        if isinstance(change, Copy) and change.level != level and top == 1:
            bits = [(among(level, [(bit, bit)]), among(change.level, [(1 - bit, 1 - bit)])) for bit in (0, 1)]
            return self.space.union([self.space.both(*pair) for pair in bits])
        return YES

    # -- kinds of addresses

    def _where(self, name: str, holds: Callable[[Address], bool]) -> Diagram:
        return self.space.union([part for part, truth in self.kinds.by_route(name, "dst", holds) if truth])

    def _by_both(self, interface: str, ask: Ask, source: str = "src") -> dict[Any, Diagram]:
        """Each answer and the packets for which it is given, asked for each kind of source (the field) and of destination,
        so far as routing can tell them apart."""
        sources = self._examples(f"{source}@{interface}", source, lambda a: self._as_source(a, interface))
        # Of what IPv4 asks of a destination nothing hangs on the way in.
        link = interface if self.topology.family == 6 else ""
        targets = self._examples(f"dst@{link}", "dst", lambda a: self._as_target(a, link))
        found: dict[Any, list[Diagram]] = {}
        for there, destination in targets:
            for here, origin in sources:
                found.setdefault(ask(origin, destination), []).append(self.space.both(there, here))
        return {answer: self.space.union(parts) for answer, parts in found.items()}

    def _examples(self, name: str, side: str, kind: Callable[[Address], Any]) -> list[tuple[Diagram, Address]]:
        parts = self.kinds.by_route(name, side, kind)
        points = [(part, self.space.pick(part) or {}) for part, _ in parts]
        return [(part, Address(self.topology.family, point.get(self.level[side], 0))) for part, point in points]

    def _as_source(self, a: Address, interface: str) -> Any:
        """All that way_in asks of a source."""
        return (*self.kinds.places.apart(a), refused(self.topology, a, interface))

    def _as_target(self, a: Address, interface: str) -> Any:
        """All that way_in asks of a destination."""
        route = self.topology.route(a, interface)
        for_host = self.topology.is_for_host(a, interface)
        return (
            *self.kinds.places.apart(a),
            self.topology.address_type(a),
            for_host,
            route and (route.kind, route.interface),
        )
