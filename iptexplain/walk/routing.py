"""What routing has to say beside the route: which packets it refuses, whether it forwards, what the way back would be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from iptexplain.host.sysctls import FORWARDING, of_interface
from iptexplain.host.topology import Topology, is_link_local
from iptexplain.rules.addresses import Address


class Lost(NamedTuple):
    """Where routing ends a packet's way: the reason as an outcome names it."""

    reason: str


def way_in(topology: Topology, fields: Mapping[str, Any], interface: str) -> str | Lost:
    """Where a packet goes that came in by ``interface``: the interface that it leaves by, or "" for the host itself.

    After ip_route_input_slow (net/ipv4/route.c), ip6_route_input and ip6_forward.
    """
    source, target = fields["src"], fields["dst"]
    if martian(topology, source, target, interface):
        return Lost("martian")
    kind = topology.address_type(target)
    if kind in FOR_HOST or (kind == "LOCAL" and topology.is_for_host(target, interface)):
        reason = refused(topology, source, interface)
        return Lost(reason) if reason else ""
    route = topology.route(target, interface)
    onward = route if route and route.kind == "unicast" else None
    if not forwards(topology, interface) and (onward or topology.family == 4):
        return Lost("no-forwarding")
    if onward is None:
        return Lost("no-route")
    reason = refused(topology, source, interface)
    if reason:
        return Lost(reason)
    if fields["ttl"] <= 1:
        return Lost("ttl")
    stays = is_link_local(source) or source == Address(6, 0)
    return Lost("martian") if stays and onward.interface != interface else onward.interface


def way_out(topology: Topology, target: Address, link: str = "") -> str | Lost:
    """The interface by which the host sends a packet to ``target``; ``link``: the one that a link-local target lies behind.

    To 0.0.0.0 is to the host itself, and IPv6 sends to a group by the first interface (ip_route_output_key_hash_rcu).
    """
    if topology.is_local(target) or not target.number:
        return "lo"
    route = topology.route(target, link)
    if route is None and target.number >> 120 == 0xFF:
        return next((a.interface for a in topology.addresses if a.interface != "lo"), "lo")
    return route.interface if route and route.kind == "unicast" else Lost("no-route")


def way_out_anew(topology: Topology, source: Address, target: Address, link: str = "") -> str | Lost:
    """The same for a packet that rules have changed: it is routed with its source, and from loopback's addresses IPv4 lets
    nothing leave by another interface, unless that has route_localnet (ip_route_me_harder, __mkroute_output)."""
    out = way_out(topology, target, link)
    stays = topology.family == 4 and source.number >> 24 == 127 and out != "lo"
    if isinstance(out, Lost) or not stays or setting(topology, "route_localnet", out):
        return out
    return Lost("martian")


FOR_HOST = ("BROADCAST", "MULTICAST", "ANYCAST")
"""The types of address, beside its own, at which the host gets a packet."""


def martian(topology: Topology, source: Address, target: Address, interface: str) -> bool:
    """Whether IPv4 drops a packet that comes in for its addresses alone: loopback's belong to lo (unless route_localnet is on),
    nobody sends from a group or from everybody's address, and from 0.0.0.0 only who has no address yet."""
    if topology.family == 6 or interface == "lo":
        return False
    if source.number >> 28 == 14 or source.number == EVERYBODY:
        return True
    if 0 in (source.number, target.number):
        return target.number != EVERYBODY and (source.number, target.number) != (0, 0)
    from_loopback = 127 in (source.number >> 24, target.number >> 24)
    return from_loopback and not setting(topology, "route_localnet", interface)


EVERYBODY = 0xFFFFFFFF
"""255.255.255.255"""


def refused(topology: Topology, source: Address, interface: str) -> str | None:
    """Why IPv4 lets nobody with this ``source`` in by ``interface``: ``martian`` or ``rp_filter``; None: it may.

    Nobody sends from the host's own addresses (unless accept_local is on). rp_filter 1 wants the route back to the sender to
    leave by the same interface, 2 any route to him at all, and for both he is one machine (fib_validate_source).
    """
    if topology.family == 6 or interface == "lo" or source.number == 0:
        return None
    strictness, accepts = (setting(topology, name, interface) for name in ("rp_filter", "accept_local"))
    if not strictness:
        return "martian" if topology.has(source) and not accepts else None
    kind = topology.address_type(source)
    if kind == "BROADCAST" or (kind == "LOCAL" and not accepts):
        return "martian"
    if kind == "LOCAL":
        return None if strictness == 2 or topology.has(source, interface) else "rp_filter"
    back = topology.route(source)
    if back is None or back.kind != "unicast":
        return "rp_filter"
    return "rp_filter" if strictness == 1 and back.interface != interface else None


def setting(topology: Topology, name: str, interface: str) -> int:
    """A per-interface sysctl: the larger of its own and that of all interfaces."""
    return max(topology.sysctl(of_interface(scope, name), 0) for scope in ("all", interface))


def lost_on_arrival(topology: Topology, source: Address, target: Address, interface: str) -> bool:
    """Whether IPv6 drops a packet before any hook: ::1 and groups of one interface do not come over a wire, nobody is a group
    (ip6_rcv_core)."""
    if topology.family == 4 or interface == "lo":
        return False
    if target.number >> 120 == 0xFF and target.number >> 112 & 0xF < 2:
        return True
    return 1 in (source.number, target.number) or source.number >> 120 == 0xFF


def hears_itself(topology: Topology, target: Address) -> bool:
    """Whether the host gets a copy of what it sends: a broadcast, or to the group of all hosts, in which everybody is."""
    everybody = target.number == (0xE0000001 if target.family == 4 else 0xFF02 << 112 | 1)
    return everybody or topology.address_type(target) == "BROADCAST"


def forwards(topology: Topology, interface: str) -> bool:
    """Whether packets that come in by ``interface`` are forwarded; IPv4 has a switch for each interface, IPv6 one for all."""
    everywhere = topology.sysctl(FORWARDING[topology.family], 1)
    if topology.family == 6:
        return bool(everywhere)
    return bool(topology.sysctl(of_interface(interface, "forwarding"), everywhere))


def way_back(topology: Topology, source: Address, interface: str, loose: bool, accept_local: bool) -> bool:
    """Whether an answer to ``source`` would leave by ``interface``, or ``loose``: by any (ipt_rpfilter.c, ip6t_rpfilter.c)."""
    if topology.is_local(source):
        return accept_local and (loose or topology.family == 6 or topology.has(source, interface))
    route = topology.route(source, interface)
    return route is not None and route.kind == "unicast" and (loose or route.interface == interface)
