"""All packets' way through the host at once: as walk/passage.py takes one packet along, piece for piece.

First packets of connections, and such as somebody says belong to one (``ctstate``, ``ctdir``, ``ctstatus``), to which NAT does
nothing; what conntrack remembers of particular connections is not looked at: a rule that asks for the ends of one that was
rewritten, or of an answer's, may hold or not. Every field in the answer is the packet's as it came, or was made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from functools import cache, cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

from iptexplain.host.topology import Topology
from iptexplain.rules.matches.physdev import SOME_PORT
from iptexplain.rules.model import Place, Ruleset
from iptexplain.sets.boxes import split
from iptexplain.sets.chains import Chains
from iptexplain.sets.change import Change, Changes, Copy, substituted
from iptexplain.sets.conditions import Conditions
from iptexplain.sets.fields import MARKS, REWRITTEN, STATUS
from iptexplain.sets.ground import LIMIT, Ground
from iptexplain.sets.nat import Nat
from iptexplain.sets.space import BOTTOM, NO, YES, Diagram
from iptexplain.sets.ways import ACCEPT, DROP, NEXT, REJECT, End, Piece
from iptexplain.walk.hooks import CONNTRACK, MANIP, asked_at

CHANGING = frozenset({*MARKS, "ctstate", "ctstatus", REWRITTEN, "tracked", "ttl", "tos"})
"""Fields that may change from one table to the next, beside those that NAT rewrites."""

NOTHING: Mapping[Place, Hashable] = MappingProxyType({})

BEGUN = {"ctorigsrc": "src", "ctorigdst": "dst", "ctorigsrcport": "sport", "ctorigdstport": "dport"}


LASTING = frozenset({"proto", "src", "dst", "sport", "dport", "iif", "icmp_type", "icmp_code", "ctstate", "ctdir"})
"""Fields that a packet keeps from one hook to the next, if no rule changes them."""


class Sent(NamedTuple):
    """Packets as they come, or are made. ``alike``: level → number, in which they are all alike."""

    packets: Diagram = YES
    alike: Changes = ()


ANY = Sent()


class Analysis:
    """The ways of all packets through ``ruleset`` on a host of this ``topology``. Raises TooLarge beyond ``limit`` nodes.

    ``named``: whether the ends tell which rule decided. ``ground``: where other analyses stand, too (it has limits of its
    own); ``same``: how a rule's place is called there, where it is that of a rule of theirs.
    """

    def __init__(
        self, ruleset: Ruleset, topology: Topology, named: bool = True, limit: int = LIMIT, seconds: float | None = None,
        ground: Ground | None = None, same: Mapping[Place, Hashable] = NOTHING,
    ) -> None:  # fmt: skip
        self.ruleset, self.topology = ruleset, topology
        ground = ground or Ground([ruleset], topology, limit, seconds)
        self.fields, self.space, self.kinds, self.ways = ground.fields, ground.space, ground.kinds, ground.ways
        self.conditions = Conditions(self.space, self.kinds, topology, {}, ground.questions, same)
        nat = Nat(self.ways, self.conditions, topology)
        self.chains = {
            name: Chains(self.ways, self.conditions, table, nat.of, named) for name, table in ruleset.tables.items()
        }
        self.roads = ground.roads
        self.hooks: dict[tuple[str, bool], Piece] = {}
        """What was worked out of each hook; see ``hook``."""
        self._whole: dict[tuple[str, Sent], Diagram] = {}

    def narrow(self, packets: Diagram) -> None:
        """Have rules asked about these packets alone, as they come or are made; before anything else is asked."""
        nat = self.ruleset.tables.get("nat")
        sent = self.space.both(packets, self.kinds.value("iif", "")) != NO
        moved = {"iif", *(("dst", "dport") if nat else ()), *(("src", "sport") if sent else ())}
        self.conditions.within = self.space.exists(packets, self._levels(CHANGING | moved))
        # When nat is asked for a new destination, the packets are still as they came.
        as_they_came = self.space.exists(packets, self._levels(CHANGING))
        self.conditions.within_at = {hook: as_they_came for hook, manip in MANIP.items() if manip == "dst"}

    def _levels(self, names: Collection[str]) -> set[int]:
        """Those of some fields, with all of their bits."""
        return {level for level, field in enumerate(self.fields.all) if field.name.partition(":")[0] in names}

    # -- answers

    def ways_of(self, interface: str, among: Sent = ANY) -> Diagram:
        """A map of the packets that come in by ``interface`` ("": that the host makes) to their Ends.

        ``among``: the packets that matter; of others the map says nothing that is true. It is there for speed: what a few
        packets meet is much less than what all meet.
        """
        key = (interface, among)
        if key not in self._whole:
            self._whole[key] = (self._incoming(interface, among) if interface else self._outgoing(among)).map
        return self._whole[key]

    def ends_of(self, packet: Mapping[str, Any]) -> list[End]:
        """How one packet can end: more than one way, where nobody can decide."""
        point = dict.fromkeys(range(len(self.fields.all)), 0) | self.fields.point(packet)
        left = substituted(self.space, self.ways_of(str(packet["iif"])), tuple(sorted(point.items())), NO)
        return list(self.space.ends(left))

    # -- the paths

    def _start(self, **fields: Any) -> dict[int, Change]:
        level = self.fields.level
        start: dict[int, Change] = {level[new]: Copy(level[old]) for new, old in BEGUN.items()}
        return start | {level[REWRITTEN]: 0, level["tracked"]: 0} | self._fixed(**fields)

    @cached_property
    def _unmarked(self) -> Piece:
        """Only packets of connections that are known can have been seen, or rewritten, before."""
        bits: dict[int, Change] = {self.fields.level[f"ctstatus:{bit}"]: 0 for bit in STATUS}
        return self.ways.choice(self.kinds.known, self.ways.go_on, self._go(bits))

    def _fixed(self, **fields: Any) -> dict[int, Change]:
        return {
            self.fields.level[name]: number
            for name, value in fields.items()
            for number in self.fields.point({name: value}).values()
        }

    def _go(self, changes: Mapping[int, Change]) -> Piece:
        return self.ways.ending(End(NEXT, tuple(sorted(changes.items()))))

    def _incoming(self, interface: str, among: Sent) -> Piece:
        port = self.roads.port_in(interface)
        start = self._start(iif=interface, oif="", physout="") | port
        among = Sent(self.space.exists(among.packets, port), tuple(x for x in among.alike if x[0] not in port))
        seen = self._narrowed(self.hook("PREROUTING"), among)
        inside = self._after(seen, among)
        forward = self._narrowed(self.hook("FORWARD"), inside)
        past = self._narrowed(self.hook("POSTROUTING"), self._after(forward, inside))
        way = [
            self.roads.unseen(interface),
            self._unmarked,
            self.roads.kind_of_frame(start, interface),
            self.roads.lost_on_arrival(interface),
            seen,
            self.roads.arrival(
                interface,
                self._deliver(interface, inside),
                lambda out: self._forward(out, forward, past),
                self._switches(forward),
            ),
        ]
        return self.ways.path(way)

    def _narrowed(self, piece: Piece, among: Sent) -> Piece:
        """The piece where a packet is one of ``among``; elsewhere anything."""
        if self.space.level[piece.map] == BOTTOM:
            return piece
        found = self.space.both(among.packets, substituted(self.space, piece.map, among.alike, NO))
        return Piece(found, piece.open & self.space.reachable(found))

    def _after(self, piece: Piece, among: Sent) -> Sent:
        """What packets of ``among`` can be once they are past a piece: in fields that it sets to a number, that; in others that it
        changes, anything."""
        ends: dict[Diagram, Changes] = {end: self.space.values[end].changes for end in piece.open}
        changed = {level for changes in ends.values() for level, _ in changes} | set(self.roads.one_hop)
        alike = tuple((level, number) for level, number in among.alike if level not in changed)
        if among.packets == YES:
            return Sent(YES, alike)
        parts = split(self.space, piece.map, piece.open)
        return Sent(self.space.union([self._image(where, ends[end]) for end, where in sorted(parts.items())]), alike)

    def _image(self, packets: Diagram, changes: Changes) -> Diagram:
        """Packets with changes, as far as they keep their fields from one hook to the next."""
        changed = dict(changes)
        found = self.space.exists(packets, self._passing | changed.keys())
        kept = {level: n for level, n in changed.items() if isinstance(n, int) and level not in self._passing}
        for level in sorted(kept, reverse=True):
            found = self.space.both(self.space.among(level, [(kept[level],) * 2]), found)
        return found

    @cached_property
    def _passing(self) -> set[int]:
        """The levels of fields that are others at the next hook, or that are of no use to tell a few packets from all."""
        return {level for name, level in self.fields.level.items() if name not in LASTING}

    def _deliver(self, interface: str, among: Sent) -> Piece:
        came_in = self._narrowed(self.hook("INPUT"), among)
        return self.ways.chained([came_in, self.ways.ending(End("delivered-local", interface=interface))])

    def _forward(self, out: str, forward: Piece, past: Piece) -> Piece:
        """``forward`` and ``past``: the two hooks, for the packets that matter."""
        fixed = self._fixed(oif=out)
        end = self.ways.ending(End("forwarded", interface=out))
        # Both hooks are first reduced to this way out: of a host's many bridges each concerns few rules.
        forward, past = (self.ways.changed(hook, tuple(fixed.items())) for hook in (forward, past))
        return self.ways.path([self._go(fixed | self.roads.one_hop), forward, past, end])

    def _switches(self, forward: Piece) -> Callable[[str, str], Piece]:
        """From one port of a bridge to another. Where no rule asks for the port, all are alike."""
        hooks = (forward, self.hook("POSTROUTING"))
        asked = any(self.space.depends(hook.map, [self.fields.level["physout"]]) for hook in hooks)
        switch = cache(lambda bridge, port: self._switch(bridge, port, forward))
        return lambda bridge, port: switch(bridge, port if asked else SOME_PORT)

    def _switch(self, bridge: str, port: str, forward: Piece) -> Piece:
        end = self.ways.ending(End("forwarded", interface=bridge))
        out, past = self._go(self._fixed(oif=bridge, physout=port)), self._go(self._fixed(iif=""))
        return self.ways.chained([out, forward, past, self.hook("POSTROUTING"), end])

    def _outgoing(self, among: Sent) -> Piece:
        start = self._start(iif="", physin="", physout="", pkttype="unicast")
        out, made = self.roads.way_out(), self._narrowed(self.hook("OUTPUT"), among)
        way = [
            self._unmarked,
            self._go(start),
            out,
            made,
            out,
            self._narrowed(self.hook("POSTROUTING"), self._after(made, among)),
            self.roads.sent(self._come_back),
        ]
        return self.ways.path(way)

    def _come_back(self, out: str, kind: str) -> Piece:
        """What the host sends to itself, or a copy of what it sends to all, comes in by ``out``; ``kind`` of frame."""
        back = self._fixed(iif=out, oif="", **({"pkttype": kind} if out != "lo" else {})) | {
            self.fields.level["ctstatus:CONFIRMED"]: 1
        }
        tracked = self.fields.level["tracked"]
        invalid = self.kinds.value("ctstate", "INVALID")
        copy = self.ways.chained([
            self.ways.choice(invalid, self._go(back | {tracked: 0}), self._go(back | {tracked: 1})),
            self.hook("PREROUTING", loopback=True),
            self._go(self._fixed(oif="")),
            self.hook("INPUT", loopback=True),
            self.ways.ending(End("delivered-local", interface=out)),
        ])  # fmt: skip
        if out == "lo":
            return copy
        # The packet itself goes out only now; what is told is its copy's end.
        confirmed = self._go({self.fields.level["ctstatus:CONFIRMED"]: 1})
        itself = self.ways.then(confirmed, self.hook("POSTROUTING", loopback=True))
        return self.ways.followed(itself, lambda _: copy)

    # -- one hook

    def hook(self, hook: str, loopback: bool = False) -> Piece:
        """All tables of a hook. ``loopback``: for packets that have been through nat already, and through conntrack."""
        key = (hook, loopback)
        if key not in self.hooks:
            self.hooks[key] = self.ways.chained(self.tables(hook, loopback))
        return self.hooks[key]

    def tables(self, hook: str, loopback: bool = False) -> list[Piece]:
        """The tables of a hook that do anything, in order."""
        asked = asked_at(hook, (self.ruleset.backend,))
        found = [self._table(name, hook, loopback) for name, backends in asked if backends]
        found = [table for table in found if table != self.ways.go_on]
        return [self.roads.routed_anew(table) for table in found] if hook == "OUTPUT" else found

    def _table(self, name: str, hook: str, loopback: bool) -> Piece:
        has = name != CONNTRACK and name in self.chains and hook in self.ruleset.tables[name].chains
        if name == "nat":
            return self.ways.go_on if loopback else self._nat(hook, has)
        if not has:
            return self.ways.go_on
        found = self._passed(name, hook)
        if name == "raw" and not loopback:
            # Conntrack has not looked at the packet yet: it has no state, unless a rule exempts it.
            found = self.ways.changed(found, tuple(self._fixed(ctstate="INVALID").items()))
        return found

    def _passed(self, name: str, hook: str) -> Piece:
        """A table's chains: what they accept goes on."""
        ways = {ACCEPT: NEXT, DROP: "dropped", REJECT: "rejected"}

        def passed(end: End) -> End:
            if end.way != ACCEPT:
                return end._replace(way=ways.get(end.way, end.way))
            accepted = end.by if name == "filter" and not isinstance(end.by, str) else None
            return end._replace(way=NEXT, by=None, accepted=accepted)

        return self.ways.turned(self.chains[name].at(hook).map, passed)

    def _nat(self, hook: str, has: bool) -> Piece:
        """Its rules are asked for the first packet of a connection."""
        found = self._passed("nat", hook) if has else self.ways.go_on
        return self.ways.choice(self.kinds.value("ctstate", "NEW"), found, self.ways.go_on)

    @cached_property
    def interfaces(self) -> list[str]:
        """By which a packet can come in, each of those that rules or host name, and one for all others."""
        return [name for name in self.fields.interfaces.names if name not in ("", "/")]
