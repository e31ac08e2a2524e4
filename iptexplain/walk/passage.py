"""One way of one packet through the host: the hooks in their order, connection tracking, NAT and routing between them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NoReturn

from iptexplain.host.topology import Topology
from iptexplain.rules.answer import Backend
from iptexplain.rules.extension import Target
from iptexplain.rules.matches.physdev import SOME_PORT
from iptexplain.rules.model import Place, Ruleset
from iptexplain.rules.nat import NatTarget
from iptexplain.rules.targets.reject import MANY
from iptexplain.walk.bridge import Bridging
from iptexplain.walk.conntrack import PINGS, Connection, Tuple, tuple_of
from iptexplain.walk.decide import Decisions
from iptexplain.walk.hooks import CONNTRACK, MANIP, asked_at
from iptexplain.walk.outcome import Outcome
from iptexplain.walk.packet import OneOf, Packet
from iptexplain.walk.routing import Lost, hears_itself, lost_on_arrival, way_in, way_out, way_out_anew
from iptexplain.walk.seen import Seen
from iptexplain.walk.table import Step, TableWalk, TooLong
from iptexplain.walk.tracking import WITHOUT, Tracking
from iptexplain.walk.translation import other_port, port_key, translated

DEFAULTS: dict[str, Any] = {
    "iif": "", "oif": "", "physin": "", "physout": "", "fragment": False, "mark": 0, "connmark": 0, "ttl": 64, "tos": 0,
    "tracked": False,
}  # fmt: skip
"""What a packet has when nobody says otherwise."""


ROUTED_BY = ("src", "dst", "mark", "tos", "dport")
"""What a packet's way out of the host may depend on; and the port, which changes with the address."""


FIRST = 100
"""How many steps are kept of a way that was too long to follow."""


class _Ended(Exception):
    """The packet goes no further."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


class Passage:
    """The packet, its connection when it belongs to a known one (see Tracking), and the way that it takes.

    ``rulesets``: one of each backend that holds rules; ``taken``: the tuples of other connections, which NAT must not give to a
    new one.
    """

    def __init__(self, rulesets: Sequence[Ruleset], topology: Topology, packet: Packet, decisions: Decisions,
                 connection: Connection | None = None, reply: bool = False,
                 settled: frozenset[str] | None = None, taken: Collection[Tuple] = ()) -> None:  # fmt: skip
        self.rulesets = {r.backend: r for r in rulesets}
        self.topology, self.decisions, self.taken = topology, decisions, taken
        fields = {**DEFAULTS, **packet.fields}
        self.tracking = Tracking(fields.pop("ctstate", None), connection, reply, settled)
        self.seen = Seen(fields, topology, self.tracking.field)
        self.steps: list[Step] = []
        self.loopback = self.switched = False
        if connection:
            self.seen.fields["connmark"] = connection.mark
        if self.tracking.attached:
            self.seen.fields["tracked"] = True

    def run(self) -> Outcome:
        try:
            if self.seen.fields["iif"]:
                self._incoming()
            self._outgoing()
        except _Ended as e:
            return e.outcome
        except TooLong as e:
            del self.steps[FIRST:]
            return Outcome("unknown", e.place, None, dict(self.seen.fields))

    def _end(
        self, kind: str, by: Place | str | None = None, interface: str | None = None, answer: str | None = None
    ) -> NoReturn:
        raise _Ended(Outcome(kind, by, interface, dict(self.seen.fields), answer, self.switched))

    # -- the paths

    def _incoming(self) -> NoReturn:
        f, topology = self.seen.fields, self.topology
        came_in, before = f["iif"], f["dst"]
        # The frame's kind: NAT does not change it.
        f.setdefault("pkttype", "unicast" if f.get("mac_dst") == "host" else self.seen.field("pkttype"))
        bridge = Bridging(topology, came_in)
        self.switched = bridge.switches(f)
        f["physin"] = (f["physin"] or SOME_PORT) if bridge.filtered else ""
        if self.switched and not bridge.filtered:
            self._end("forwarded", None, came_in)
        if not bridge.filtered and lost_on_arrival(topology, f["src"], f["dst"], came_in):
            self._end("dropped", "martian")
        self._hook("PREROUTING")
        if bridge.filtered and f["dst"] != before:
            self.switched = bridge.keeps(f["dst"])
        if self.switched and not topology.is_local(f["dst"]):
            self._switch(bridge, f["dst"] != before)
        self.switched = False
        # On a filtered bridge IPv6 sees the packet only now, as the rules have made it.
        lost = bridge.filtered and lost_on_arrival(topology, f["src"], f["dst"], came_in)
        out = Lost("martian") if lost else way_in(topology, f, came_in)
        if isinstance(out, Lost):
            self._end("dropped", out.reason)
        if not out:
            self._deliver(came_in)
        if f["pkttype"] in MANY:
            self._end("dropped", "other")  # ip_forward takes only what was sent to this host alone
        f["oif"] = out
        f["ttl"] -= 1
        self._hook("FORWARD")
        self._hook("POSTROUTING")
        self._end("forwarded", None, out)

    def _switch(self, bridge: Bridging, rewritten: bool) -> NoReturn:
        f = self.seen.fields
        lost = bridge.loses(f) if rewritten else None
        if lost:
            self._end("dropped", lost)
        f["oif"], f["physout"] = bridge.name, bridge.way_out(f)
        self._hook("FORWARD")
        f["iif"] = ""
        self._hook("POSTROUTING")
        self._end("forwarded", None, bridge.name)

    def _deliver(self, interface: str) -> NoReturn:
        f = self.seen.fields
        f["oif"] = ""
        self._hook("INPUT")
        self._end("delivered-local", None, interface)

    def _outgoing(self) -> NoReturn:
        f, topology = self.seen.fields, self.topology
        f.setdefault("pkttype", "unicast")  # no frame has been made yet
        f["oif"] = self._way_out()
        self._hook("OUTPUT")
        out = self._way_out()
        f["oif"] = out
        self._hook("POSTROUTING")
        if out == "lo":
            self._come_back("lo")
        if not hears_itself(topology, f["dst"]) or lost_on_arrival(topology, f["src"], f["dst"], out):
            self._end("sent", None, out)
        packet = dict(f)
        f["pkttype"] = topology.frame_kind(f["dst"], out)
        try:
            self._come_back(out)
        except _Ended:
            # What came back was a copy, whose end is told; the packet itself goes out only now (ip_mc_output).
            self.seen.fields = packet
            self._hook("POSTROUTING")
            raise

    def _come_back(self, interface: str) -> NoReturn:
        """By lo, or as a copy of what was sent to many: the packet is on its way in, and carries its connection."""
        f = self.seen.fields
        self.loopback, f["tracked"] = True, self.tracking.state != "INVALID"
        f["iif"], f["oif"] = interface, ""
        self._hook("PREROUTING")
        self._deliver(interface)

    def _way_out(self) -> str:
        """The interface by which the packet leaves; ends the way where no route has one."""
        f = self.seen.fields
        out = way_out(self.topology, f["dst"], f.get("link", ""))
        if isinstance(out, Lost):
            self._end("dropped", out.reason)
        return out

    def _routed_by(self) -> dict[str, Any]:
        return {name: self.seen.fields[name] for name in ROUTED_BY if name in self.seen.fields}

    def _check_way_out(self, before: dict[str, Any]) -> None:
        """A packet of the host's own that rules have changed is routed anew, and lost as it was when there is no way."""
        f = self.seen.fields
        out = way_out_anew(self.topology, f["src"], f["dst"], f.get("link", ""))
        if isinstance(out, Lost):
            f.update(before)
            self._end("dropped", out.reason)

    # -- one hook

    def _hook(self, hook: str) -> None:
        self.seen.fields["hook"] = hook
        for table, backends in asked_at(hook, tuple(self.rulesets)):
            if table == CONNTRACK:
                if not self.loopback or self.tracking.state == "INVALID":
                    self.tracking.look_up(self.seen)
                continue
            asked = self._asked(table, hook, backends)
            for ruleset in asked if table != "nat" else (None,):
                before = self._routed_by() if hook == "OUTPUT" else None
                if ruleset is None:
                    self._nat(hook, asked)
                else:
                    self._filter(ruleset, table, hook)
                if before and before != self._routed_by():
                    self._check_way_out(before)
        if hook in ("INPUT", "POSTROUTING"):
            self.tracking.confirm()

    def _asked(self, table: str, hook: str, backends: Sequence[Backend]) -> list[Ruleset]:
        """The rulesets that have a base chain there, in the order in which the kernel asks them."""
        found = [self.rulesets[b] for b in backends if self.rulesets[b].chain(table, hook)]
        return found[::-1] if len(found) > 1 and self.decisions.legacy_first(table) else found

    def _filter(self, ruleset: Ruleset, table: str, hook: str) -> Target | None:
        """A table's chains; ends the way when they drop the packet."""
        walk = TableWalk(ruleset, table, hook, self.seen, self.decisions, self.steps)
        before = dict(self.seen.fields)
        if walk.run() == "DROP":
            self.seen.fields.clear()
            self.seen.fields.update(before)
            answer = getattr(walk.target, "answer_to", None)
            told = answer(self.seen) if answer else None
            if told == "tcp-reset" and self.tracking.connection and self.tracking.state not in WITHOUT:
                self.tracking.connection = self.tracking.connection.closed()
            self._end("rejected" if answer else "dropped", self.steps[-1].place, None, told)
        return walk.target

    # -- NAT

    def _nat(self, hook: str, rulesets: Sequence[Ruleset]) -> None:
        ct = self.tracking
        if ct.state in WITHOUT or (self.loopback and hook in ("PREROUTING", "INPUT")):
            return
        assert ct.connection is not None
        manip = MANIP[hook]
        is_error = ct.state == "RELATED" and self.seen.fields["proto"] in PINGS
        redirect = is_error and (self.topology.family, self.seen.fields.get("icmp_type")) == (4, 5)
        if redirect and (ct.connection.is_dnat or ct.connection.is_snat):
            # The two ends would speak past the translation (nf_nat_icmp_reply_translation).
            self._end("dropped", "other")
        if manip in ct.settled or is_error or (ct.fresh and not ct.attached and ct.state != "NEW"):
            self._known_nat(manip)
            return
        # The first to rewrite the packet is the last that is asked; to accept it is not to rewrite it (nf_nat_inet_fn).
        targets = (self._filter(ruleset, "nat", hook) for ruleset in rulesets)
        target = next((t for t in targets if isinstance(t, NatTarget)), None)
        ct.settled.add(manip)
        if ct.reply:
            self._known_nat(manip)
            return
        if target:
            self._rewrite(target, manip)
        if manip == "src" and tuple_of(self.seen).reversed() in self.taken:
            # The answers would be another connection's (nf_nat_used_tuple).
            port = other_port(self.seen.fields.get("sport"))
            self._put({"sport": port} if port else {})
        ct.connection = ct.connection._replace(reply=tuple_of(self.seen).reversed())

    def _known_nat(self, manip: str) -> None:
        """What the rules decided for the connection is put in, or undone, without asking them.

        An end that NAT left alone stays as the packet has it: an ICMP error can come from a third machine.
        """
        connection, reply = self.tracking.connection, self.tracking.reply
        assert connection is not None
        rewritten = connection.is_dnat if (manip == "dst") != reply else connection.is_snat
        if not rewritten:
            return
        known = connection.destination if manip == "dst" else connection.source
        address, port = known(reply)
        if isinstance(address, OneOf) and manip == "dst" and connection.chosen_by:
            address = address.member(self.decisions.choose(*connection.chosen_by, address.size))
        key = port_key(self.seen.fields, manip)
        self._put({manip: address, **({key: port} if key and port is not None else {})})

    def _put(self, fields: dict[str, Any]) -> dict[str, Any]:
        changes = {k: v for k, v in fields.items() if self.seen.fields.get(k) != v}
        self.seen.fields.update(changes)
        return changes

    def _rewrite(self, target: NatTarget, manip: str) -> None:
        place = self.steps[-1].place
        changes = translated(target, self.seen, self.topology, manip, lambda n: self.decisions.choose(place, target, n))
        if changes is None:
            self._end("dropped", place)
        self.steps[-1] = self.steps[-1]._replace(to=self._put(changes))
