"""What a NAT target makes of a packet: the kernel's choice where it is bound to one, else what it may choose from.

After net/netfilter/nf_nat_core.c (get_unique_tuple, nf_nat_l4proto_unique_tuple). That another connection has the same ends
already is seen by the walk, which then takes ``other_port``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from iptexplain.host.topology import Topology, is_link_local
from iptexplain.rules.addresses import Address, to_address
from iptexplain.rules.nat import NatRange, NatTarget
from iptexplain.rules.values import Range
from iptexplain.walk.conntrack import PINGS, TRACKED_PORTS
from iptexplain.walk.packet import OneOf, Packet

LOOPBACK = {4: "127.0.0.1", 6: "::1"}
PORT_KEYS = {"src": "sport", "dst": "dport"}

PORT_CLASSES = (Range(1, 511), Range(600, 1023), Range(1024, 65535))
"""From which ports a new source port is taken: from the class of the old one (512 to 599 take from the second)."""


def port_key(fields: dict[str, Any], manip: str) -> str | None:
    """The field that NAT treats as the port of one end: for pings their id, None where there is none."""
    if fields["proto"] in TRACKED_PORTS:
        return PORT_KEYS[manip]
    return "icmp_id" if fields["proto"] in PINGS else None


def translated(
    target: NatTarget, packet: Packet, topology: Topology, manip: str, choose: Callable[[int], int]
) -> dict[str, Any] | None:
    """The new address and port of the end ``manip`` (src or dst), as fields of the packet; None: the target drops it, for
    the interface has no address that it could take.

    ``choose(n)`` picks one of n addresses that a packet may be sent on to: where it goes from there depends on it. Of
    source addresses and of ports, which no more than a reply depends on, the answer names the range (OneOf).
    """
    fields, chosen = packet.fields, target.translation(packet)
    if chosen.first is None and target.name in ("MASQUERADE", "REDIRECT"):
        own = _own_address(target.name, fields, topology)
        if own is None and topology.known_addresses:
            return None
        chosen = chosen._replace(first=own, last=own)
    random = any(target.get(key) for key in ("random", "random_fully"))
    changes: dict[str, Any] = {}
    if chosen.first is not None and chosen.last is not None:
        port = fields.get(PORT_KEYS[manip])
        fits = chosen.ports is None or (isinstance(port, int) and chosen.ports.low <= port <= chosen.ports.high)
        kept = fields[manip] if fits and not random and manip == "src" else None
        changes[manip] = _address(chosen.first, chosen.last, kept, manip, choose)
    key = port_key(fields, manip)
    if key and isinstance(fields.get(key), int):
        changes[key] = _port(chosen, fields[key], manip, random, key == "icmp_id")
    return changes


def _address(first: Address, last: Address, kept: Any, manip: str, choose: Callable[[int], int]) -> Address | OneOf:
    """One of several by a hash of the packet's ends; ``kept``: the source, which stays when it lies among them already."""
    if first == last:
        return first
    if manip == "dst":
        return Address(first.family, first.number + choose(last.number - first.number + 1))
    if isinstance(kept, Address) and first.number <= kept.number <= last.number:
        return kept
    return OneOf(first, last)


def _port(chosen: NatRange, old: int, manip: str, random: bool, ping: bool) -> int | OneOf:
    """The port: kept where the rule allows it, counted from its base, the first of a range, or any of them."""
    if chosen.ports is None:
        if not random or (manip == "dst" and not ping):
            return old
        return OneOf(0, 65535) if ping else other_port(old) or old
    low, high = chosen.ports
    if chosen.base is not None and manip == "dst":
        return low + (old - chosen.base & 0xFFFF) % (high - low + 1)
    if low == high or (low <= old <= high and not random):
        return old if low <= old <= high else low
    return low if manip == "dst" and not random else OneOf(low, high)


def other_port(port: Any) -> OneOf | None:
    """What the kernel takes instead of a source port that another connection has; None: there is no port to take."""
    if not isinstance(port, int):
        return None
    low, high = next(c for c in PORT_CLASSES if port <= c.high)
    return OneOf(low, high)


def _own_address(name: str, fields: dict[str, Any], topology: Topology) -> Address | None:
    """The host's address that MASQUERADE (the one for the way out) and REDIRECT (the one of the way in) take; None: it has none."""
    if name == "MASQUERADE":
        return topology.masquerade_address(fields["dst"], fields["oif"])
    if not fields["iif"]:
        return to_address(LOOPBACK[topology.family], topology.family)
    mine = [a.address for a in topology.addresses if a.interface == fields["iif"]]
    if topology.family == 6:
        mine = [a for a in mine if is_link_local(a) or not is_link_local(fields["dst"])]
    return mine[0] if mine else None
