"""One packet's way through the host: hooks, conntrack, NAT and routing, rule for rule as the kernel does it."""

from __future__ import annotations

from typing import Any

from iptexplain.host.topology import Topology
from iptexplain.rules.addresses import Address
from iptexplain.rules.answer import Answer
from iptexplain.rules.extension import Target
from iptexplain.rules.model import Place, Ruleset
from iptexplain.rules.nat import NatTarget
from iptexplain.walk.conntrack import TRACKED_PORTS, Connection, new_state, tuple_of
from iptexplain.walk.decide import Decisions, all_ways
from iptexplain.walk.hooks import CONNTRACK, MANIP, tables_at
from iptexplain.walk.outcome import Outcome, Trace
from iptexplain.walk.packet import Packet
from iptexplain.walk.routing import refused, setting
from iptexplain.walk.seen import Seen
from iptexplain.walk.table import Step, TableWalk


def trace(
    ruleset: Ruleset, topology: Topology, packet: Packet, connection: Connection | None = None, reply: bool = False
) -> Trace:
    """The way of ``packet`` through ``ruleset`` on a host of this ``topology``.

    ``connection``: the known connection that it belongs to, ``reply``: whether it goes the connection's other way. Where
    rules cannot be decided, every way is taken: if all end alike the answer is definite, else its kind is unknown.
    """
    ways = list(all_ways(lambda decisions: _Walk(ruleset, topology, packet, decisions, connection, reply).run()))
    first = ways[0]
    different = [w.outcome for w in ways if not w.outcome.same_end(first.outcome)]
    if not different:
        return first
    branches: list[Outcome] = []
    for way in ways:
        if not any(way.outcome.same_end(b) for b in branches):
            branches.append(way.outcome)
    asked = {(u.place, u.match): u for way in ways for u in way.unknowns}
    unknown = Outcome("unknown", None, None, first.outcome.fields, branches=tuple(branches))
    return first._replace(outcome=unknown, unknowns=tuple(asked.values()))


class _Ended(Exception):
    """The walk is over."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


DEFAULTS: dict[str, Any] = {
    "iif": "", "oif": "", "physin": "", "physout": "", "fragment": False, "mark": 0, "connmark": 0, "ttl": 64, "tos": 0,
}  # fmt: skip
"""What a packet has when nobody says otherwise."""


class _Walk:
    def __init__(self, ruleset: Ruleset, topology: Topology, packet: Packet, decisions: Decisions,
                 connection: Connection | None, reply: bool) -> None:  # fmt: skip
        self.ruleset, self.topology, self.decisions = ruleset, topology, decisions
        self.asked = packet
        self.seen = Seen({**DEFAULTS, **packet.fields}, topology, self.tracked)
        self.connection, self.reply = connection, reply
        if connection:
            self.seen.fields["connmark"] = connection.mark
        self.is_first = connection is None
        self.state: str | None = None
        self.steps: list[Step] = []
        self.loopback = False
        self.confirmed = False
        self.bridged = False

    def run(self) -> Trace:
        try:
            self._incoming() if self.seen.fields["iif"] else self._outgoing()
        except _Ended as e:
            outcome = e.outcome
        asked = tuple(self.decisions.asked)
        known = self.connection if self.confirmed or not self.is_first else None
        if known:
            known = known._replace(mark=self.seen.fields["connmark"])
        return Trace(self.asked, tuple(self.steps), outcome, known, self.state, self.reply, asked)

    def _end(
        self, kind: str, by: Place | str | None = None, interface: str | None = None, answer: str | None = None
    ) -> None:
        raise _Ended(Outcome(kind, by, interface, dict(self.seen.fields), answer, self.bridged))

    # -- the paths

    def _incoming(self) -> None:
        f, topology = self.seen.fields, self.topology
        came_in = f["iif"]
        neighbour = topology.endpoint_at(f["dst"])
        near = neighbour is not None and neighbour.interface == came_in
        sent_to = f.get("mac_dst")
        self.bridged = came_in in topology.bridges and sent_to != "host" and (near or sent_to is not None)
        call = "net.bridge.bridge-nf-call-iptables" if topology.family == 4 else "net.bridge.bridge-nf-call-ip6tables"
        filtered = bool(topology.sysctl(call, 1))
        if not filtered:
            f["physin"] = ""
        if self.bridged and not filtered:
            self._end("forwarded", None, came_in)
        before = f["dst"]
        self._hook("PREROUTING")
        route = topology.route(f["dst"])
        if f["dst"] != before and came_in in topology.bridges and filtered:
            self.bridged = bool(route and route.interface == came_in and not topology.is_local(f["dst"]))
        if self.bridged and not topology.is_local(f["dst"]):
            if f["dst"] != before:
                self._send_back(f["dst"])
            f["oif"] = came_in
            self._hook("FORWARD")
            f["iif"] = ""
            self._hook("POSTROUTING")
            self._end("forwarded", None, came_in)
        self.bridged = False
        problem = refused(topology, f["src"], f["dst"], came_in)
        if problem:
            self._end("dropped", problem)
        if topology.address_type(f["dst"]) in ("LOCAL", "BROADCAST", "MULTICAST"):
            self._deliver(came_in)
        if topology.address_type(before) in ("BROADCAST", "MULTICAST"):
            self._end("dropped", "other")  # ip_forward takes only what was sent to this host alone
        self._forward(came_in)

    def _send_back(self, address: Address) -> None:
        """A packet that was rewritten to ``address`` on the bridge it came from: nobody may have that address, and a
        bridge sends nothing out by the port it came in by, but in hairpin mode."""
        port = self.seen.fields["physin"]
        owner = self.topology.endpoint_at(address)
        if owner is None and self.topology.known_addresses and self.topology.endpoints:
            self._end("dropped", "neighbour")
        if owner and owner.port == port and not self.topology.ports.get(port, ("", False))[1]:
            self._end("dropped", "other")

    def _deliver(self, interface: str) -> None:
        self.seen.fields["oif"] = ""
        self._hook("INPUT")
        self._end("delivered-local", None, interface)

    def _forward(self, came_in: str) -> None:
        f, topology = self.seen.fields, self.topology
        forwarding = "net.ipv4.ip_forward" if topology.family == 4 else "net.ipv6.conf.all.forwarding"
        if not topology.sysctl(forwarding, 1):
            self._end("dropped", "no-forwarding")
        route = topology.route(f["dst"])
        if route is None or route.kind != "unicast":
            self._end("dropped", "no-route")
            return
        if f["ttl"] <= 1:
            self._end("dropped", "ttl")
        f["oif"] = route.interface
        f["ttl"] -= 1
        self._hook("FORWARD")
        self._hook("POSTROUTING")
        self._end("forwarded", None, route.interface)

    def _outgoing(self) -> None:
        f = self.seen.fields
        f["oif"] = self._way_out()
        self._hook("OUTPUT")
        out = self._way_out()
        f["oif"] = out
        self._hook("POSTROUTING")
        if out != "lo":
            self._end("sent", None, out)
        self.loopback = True
        f["iif"], f["oif"] = "lo", ""
        self._hook("PREROUTING")
        self._deliver("lo")

    def _way_out(self) -> str:
        f = self.seen.fields
        if self.topology.is_local(f["dst"]):
            return "lo"
        route = self.topology.route(f["dst"])
        if route is None or route.kind != "unicast":
            self._end("dropped", "no-route")
        assert route is not None
        return route.interface

    # -- one hook

    def _hook(self, hook: str) -> None:
        self.seen.fields["hook"] = hook
        for table in tables_at(hook, self.ruleset.backend):
            if table == CONNTRACK:
                self._track()
            elif table == "nat":
                self._nat(hook)
            elif self._has(table, hook):
                self._filter(table, hook)
        if hook in ("INPUT", "POSTROUTING"):
            self.confirmed = True  # the last hook of the way: conntrack keeps the connection (nf_confirm)

    def _has(self, table: str, hook: str) -> bool:
        found = self.ruleset.tables.get(table)
        return found is not None and hook in found.chains

    def _filter(self, table: str, hook: str) -> Target | None:
        """A table's chains; ends the walk when they drop the packet."""
        walk = TableWalk(self.ruleset, table, hook, self.seen, self.decisions, self.steps)
        before = dict(self.seen.fields)
        if walk.run() == "DROP":
            self.seen.fields.clear()
            self.seen.fields.update(before)
            answer = getattr(walk.target, "answer_to", None)
            told = answer(self.seen) if answer else None
            self._end("rejected" if answer else "dropped", self.steps[-1].place, None, told)
        return walk.target

    def _track(self) -> None:
        if self.loopback:
            return
        if self.state == "UNTRACKED":
            return
        given = self.seen.fields.get("ctstate")
        self.state = given or (
            self.connection.state(self.seen, self.reply) if self.connection else new_state(self.seen)
        )
        self.tuple = tuple_of(self.seen)

    def tracked(self, name: str) -> Any:
        """A field of the packet's conntrack entry."""
        if name == "ctstate":
            return self.state or "UNTRACKED"
        if name == "ctdir":
            return "REPLY" if self.reply else "ORIGINAL"
        connection = self.connection or Connection(self.tuple, self.tuple.reversed())
        value = connection.field(name)
        return Answer.UNKNOWN if value is None else value

    # -- NAT

    def _nat(self, hook: str) -> None:
        if self.state in ("INVALID", "UNTRACKED", None) or (self.loopback and hook in ("PREROUTING", "INPUT")):
            return
        manip = MANIP[hook]
        if not self.is_first:
            self._known_nat(manip)
            return
        if self.state != "NEW":
            return
        target = self._filter("nat", hook) if self._has("nat", hook) else None
        if isinstance(target, NatTarget):
            self._rewrite(target, manip)
        f = self.seen.fields
        if hook == "OUTPUT" and f["src"].number >> 24 == 127 and self.topology.family == 4 and self._way_out() != "lo":
            if not setting(self.topology, "route_localnet", self._way_out()):
                f["dst"], f["dport"] = self.tuple.dst, self.tuple.dport
                self._end("dropped", "martian")  # ip_route_me_harder: loopback's address may not leave
        by_syn = self.seen.fields["proto"] == "tcp" and "SYN" in self.seen.fields.get("flags", ())
        self.connection = Connection(self.tuple, tuple_of(self.seen).reversed(), by_syn=by_syn)

    def _known_nat(self, manip: str) -> None:
        """A later packet of a connection: what the first one's rules decided is put in, or undone, without asking them."""
        assert self.connection is not None
        address, port = (
            self.connection.destination(self.reply) if manip == "dst" else self.connection.source(self.reply)
        )
        self._put(manip, address, port)

    def _put(self, manip: str, address: Address, port: int | None) -> dict[str, Any]:
        f = self.seen.fields
        key = {"dst": "dport", "src": "sport"}[manip]
        changes: dict[str, Any] = {manip: address} if f[manip] != address else {}
        if port is not None and f["proto"] in TRACKED_PORTS and f.get(key) != port:
            changes[key] = port
        f.update(changes)
        return changes

    def _rewrite(self, target: NatTarget, manip: str) -> None:
        chosen = target.translation(self.seen)
        f = self.seen.fields
        address = chosen.first
        if address is None:
            address = self._own_address(target.name, manip) or f[manip]
        port = f.get({"dst": "dport", "src": "sport"}[manip])
        if chosen.ports and not chosen.ports.low <= (port or 0) <= chosen.ports.high:
            port = chosen.ports.low
        last = self.steps[-1]
        changes = self._put(manip, address, port)
        self.steps[-1] = last._replace(to=changes)

    def _own_address(self, name: str, manip: str) -> Address | None:
        """MASQUERADE takes the address that the kernel prefers on the way out, REDIRECT the one of the interface it came in by."""
        f, topology = self.seen.fields, self.topology
        if name == "MASQUERADE":
            return topology.masquerade_address(f["dst"], f["oif"])
        if name == "REDIRECT":
            if not f["iif"]:
                return next((a.address for a in topology.addresses if a.interface == "lo"), None)
            return next((a.address for a in topology.addresses if a.interface == f["iif"]), None)
        return None
