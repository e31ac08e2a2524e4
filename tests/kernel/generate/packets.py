"""Packets for random rules: most of them such as one of the rules wishes for, coming from where they would come."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from random import Random
from typing import Any, Protocol

from tests.kernel.generate.follow_ups import follow_ups
from tests.kernel.generate.pools import PORTS, Near, Pools
from tests.kernel.generate.scene import Wish
from tests.kernel.generate.tables import Wanted

Packet = dict[str, Any]
PATHS = {
    "PREROUTING": ["in", "in", "forward"], "INPUT": ["in"], "FORWARD": ["forward"], "OUTPUT": ["out"],
    "POSTROUTING": ["forward", "forward", "out"],
}  # fmt: skip
ANYWHERE = ["INPUT", "FORWARD", "FORWARD", "OUTPUT"]
ASKING = {8, 0, 13, 14, 128, 129}
"""ICMP types that carry an id; the others are errors about another packet."""
OF_FIXED_LENGTH = ("sctp", "esp", "ah", "ipencap")
ODD_FLAGS = ["ACK", "RST", "SYN,ACK", "FIN,ACK", "PSH,ACK"]


class Sender(Protocol):
    """Makes a first packet of a connection."""

    random: Random
    pools: Pools

    def first(self) -> Packet: ...


def packets(sender: Sender, count: int) -> list[Packet]:
    """At least ``count`` packets: first ones, each with those that follow it."""
    made: list[Packet] = []
    while len(made) < count:
        packet = sender.first()
        made += [packet, *follow_ups(sender.random, packet, len(made), sender.pools.family)]
    return made


class ForRules:
    """First packets for a random ruleset."""

    def __init__(self, random: Random, pools: Pools, wanted: list[Wanted]) -> None:
        self.random, self.pools, self.wanted = random, pools, wanted

    def first(self) -> Packet:
        r = self.random
        hooks, wish = r.choice(self.wanted) if self.wanted and r.random() < 0.8 else (frozenset(), {})
        hook = r.choice(sorted(hooks)) if hooks else r.choice(ANYWHERE)
        path = r.choice(PATHS[hook])
        if path in ("in", "out") and r.random() < {"in": 0.08, "out": 0.2}[path]:
            path = "loopback"
        src, dst = (self._within(wish[side]) if side in wish else None for side in ("src", "dst"))
        packet = self._own(path, src, dst) if path in ("out", "loopback") else self._incoming(path, wish, src, dst)
        return packet | self._protocol(wish, packet) | self._rest(wish, packet)

    def _within(self, network: str) -> str:
        """An address of a network: one that somebody has, if there is any."""
        net = ip_network(network, strict=False)
        if net.num_addresses == 1:
            return str(net.network_address)
        known = self.pools.within(network)
        return self.random.choice(known) if known else str(net.network_address + min(net.num_addresses - 1, 2))

    def _own(self, path: str, src: str | None, dst: str | None) -> Packet:
        """Of the host itself."""
        own = [each.address for each in self.pools.own]
        if path == "loopback" and dst not in own:
            dst = self.random.choice([self.pools.loopback, *own])
        dst = dst or self.random.choice([end.address for end in self.pools.near] + self.pools.remote)
        if src not in own:
            src = self.pools.loopback if dst == self.pools.loopback else self.pools.own_towards(dst)
        return {"from": "host", "src": src, "dst": dst}

    def _incoming(self, path: str, wish: Wish, src: str | None, dst: str | None) -> Packet:
        r, own = self.random, [each.address for each in self.pools.own]
        sender = self._sender(wish, src)
        if src is None or src in own or ip_address(src).is_loopback:
            src = r.choice(self.pools.remote) if sender is self.pools.gateway and r.random() < 0.8 else sender.address
        if dst is None or dst == src:
            dst = self._own_end(sender) if path == "in" else self._other_end(wish, sender)
        if self.pools.family == 4 and path == "in" and not sender.bridged and r.random() < 0.04:
            nets = [
                str(each.network.broadcast_address) for each in self.pools.own if each.interface == sender.interface
            ]
            src, dst = sender.address, r.choice([*nets[:1], "224.0.0.1", "255.255.255.255"])
        if r.random() < 0.04:  # a source that does not live behind the interface it comes in by
            elsewhere = [end.address for end in self.pools.near if end.interface != sender.interface]
            src = r.choice(elsewhere + self.pools.remote[:1])
        return {"from": sender.name, "src": src, "dst": dst}

    def _sender(self, wish: Wish, src: str | None) -> Near:
        """The neighbour that such a packet would come from."""
        near = self.pools.near
        for fits in (
            [end for end in near if end.name == wish.get("from")],
            [end for end in near if "iif" in wish and _is_named(end.interface, wish["iif"])],
            [end for end in near if end.address == src],
            [end for end in near if src and self._beside(end, src)],
            [self.pools.gateway] if src else near,
        ):
            if fits:
                return self.random.choice(fits)
        return self.pools.gateway

    def _beside(self, end: Near, address: str) -> bool:
        nets = [own.network for own in self.pools.own if own.interface == end.interface]
        return any(ip_address(address) in net for net in nets)

    def _own_end(self, sender: Near) -> str:
        own = self.pools.own
        if self.random.random() < 0.6:
            return self.random.choice(own).address
        return next((each.address for each in own if each.interface == sender.interface), own[0].address)

    def _other_end(self, wish: Wish, sender: Near) -> str:
        others = [end for end in self.pools.near if end is not sender]
        by_interface = [end.address for end in others if "oif" in wish and _is_named(end.interface, wish["oif"])]
        return self.random.choice(by_interface or [end.address for end in others] + self.pools.remote)

    def _protocol(self, wish: Wish, packet: Packet) -> Packet:
        r, icmp = self.random, "icmp" if self.pools.family == 4 else "icmpv6"
        protocol = wish.get("proto") or r.choices(["tcp", "udp", icmp], [6, 4, 2])[0]
        if protocol in ("icmp", "icmpv6"):
            return self._icmp(icmp, wish, packet)
        fields: Packet = {"proto": protocol}
        if protocol in ("tcp", "udp", "sctp", "udplite"):
            fields["sport"] = wish.get("sport") or r.randint(32768, 60768)
            fields["dport"] = wish.get("dport") or r.choice(PORTS)
        if protocol == "tcp":
            flags = wish.get("flags") or r.choice(["SYN"] * 12 + ODD_FLAGS)
            fields["flags"] = "" if flags == "NONE" else flags
        return fields

    def _icmp(self, protocol: str, wish: Wish, packet: Packet) -> Packet:
        kind = wish.get("icmp_type", 8 if protocol == "icmp" else 128)
        if kind in ASKING:
            return {"proto": protocol, "icmp_type": kind, "icmp_id": self.random.randint(1, 65535)}
        code = wish.get("icmp_code", 1 if kind in (1, 3) else 0)
        about = {"src": packet["dst"], "dst": packet["src"], "proto": "udp", "sport": 1234, "dport": 53}
        return {"proto": protocol, "icmp_type": kind, "icmp_code": code, "inner": about}

    def _rest(self, wish: Wish, packet: Packet) -> Packet:
        r, fields = self.random, {}
        if wish.get("proto") in OF_FIXED_LENGTH:
            pass
        elif "payload_len" in wish:
            fields["payload_len"] = wish["payload_len"]
        elif r.random() < 0.1:
            fields["payload_len"] = r.choice([10, 56, 200, 1000])
        if "tcp_options" in wish and wish.get("proto") == "tcp":
            fields["tcp_options"] = wish["tcp_options"]
        fields |= {key: wish[key] for key in ("ttl", "tos") if key in wish and r.random() < 0.85}
        if "ttl" not in fields and r.random() < 0.04:
            fields["ttl"] = r.choice([1, 2, 255])
        return fields


def _is_named(interface: str, pattern: str) -> bool:
    return interface == pattern or (pattern.endswith("+") and interface.startswith(pattern[:-1]))
