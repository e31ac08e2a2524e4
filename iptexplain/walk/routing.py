"""What routing has to say beside the route: which packets it refuses, whether it forwards, what the way back would be."""

from __future__ import annotations

from iptexplain.host.topology import Topology
from iptexplain.rules.addresses import Address


def refused(topology: Topology, source: Address, target: Address, interface: str) -> str | None:
    """Why a packet that came in by ``interface`` goes no further: ``martian`` or ``rp_filter``; None: it may.

    Loopback addresses belong to lo (unless route_localnet is on), nobody else may send from the host's own addresses (unless
    accept_local is on), and rp_filter 1 wants the route back to the sender to leave by the same interface, 2 any route at
    all (net/ipv4/route.c, fib_frontend.c).
    """
    if topology.family == 6 or interface == "lo":
        return None
    if not setting(topology, "route_localnet", interface) and (
        source.number >> 24 == 127 or target.number >> 24 == 127
    ):
        return "martian"
    if source.number >> 28 == 14 or source.number == 0xFFFFFFFF:
        return "martian"
    if topology.is_local(source):
        return None if setting(topology, "accept_local", interface) else "martian"
    back = topology.route(source)
    strictness = setting(topology, "rp_filter", interface)
    if strictness == 1 and (back is None or back.interface != interface):
        return "rp_filter"
    return "rp_filter" if strictness == 2 and back is None else None


def setting(topology: Topology, name: str, interface: str) -> int:
    """A per-interface sysctl: the larger of its own and that of all interfaces."""
    return max(topology.sysctl(f"net.ipv4.conf.{scope}.{name}", 0) for scope in ("all", interface))


def lost_on_arrival(topology: Topology, source: Address, target: Address, interface: str) -> bool:
    """Whether IPv6 drops a packet before any hook: ::1 does not come over a wire, nobody is a group (ip6_rcv_core)."""
    if topology.family == 4 or interface == "lo":
        return False
    return 1 in (source.number, target.number) or source.number >> 120 == 0xFF


def hears_itself(topology: Topology, target: Address) -> bool:
    """Whether the host gets a copy of what it sends: a broadcast, or to the group of all hosts, in which everybody is."""
    everybody = target.number == (0xE0000001 if target.family == 4 else 0xFF02 << 112 | 1)
    return everybody or topology.address_type(target) == "BROADCAST"


def forwards(topology: Topology, interface: str) -> bool:
    """Whether packets that come in by ``interface`` are forwarded; IPv4 has a switch for each interface, IPv6 one for all."""
    if topology.family == 6:
        return bool(topology.sysctl("net.ipv6.conf.all.forwarding", 1))
    everywhere = topology.sysctl("net.ipv4.ip_forward", 1)
    return bool(topology.sysctl(f"net.ipv4.conf.{interface}.forwarding", everywhere))


def way_back(topology: Topology, source: Address, interface: str, loose: bool, accept_local: bool) -> bool:
    """Whether an answer to ``source`` would leave by ``interface``, or ``loose``: by any (ipt_rpfilter.c, ip6t_rpfilter.c).

    IPv6 looks only at the routes of that interface, IPv4 takes the best of all.
    """
    if topology.is_local(source):
        here = topology.family == 6 or any(a.interface == interface for a in topology.addresses if a.address == source)
        return accept_local and (loose or here)
    if topology.family == 6 and not loose:
        return any(
            r.network.covers(source) and r.interface == interface for r in topology.routes if r.kind == "unicast"
        )
    route = topology.route(source)
    return route is not None and route.kind == "unicast" and (loose or route.interface == interface)
