"""What the kernel's routing refuses before any rule of INPUT or FORWARD is asked (net/ipv4/route.c, fib_frontend.c)."""

from __future__ import annotations

from iptexplain.host.topology import Topology
from iptexplain.rules.addresses import Address


def refused(topology: Topology, source: Address, target: Address, interface: str) -> str | None:
    """Why a packet that came in by ``interface`` goes no further: ``martian`` or ``rp_filter``; None: it may.

    Loopback addresses belong to lo (unless route_localnet is on), nobody else may send from the host's own addresses, and
    rp_filter 1 wants the route back to the sender to leave by the same interface, 2 any route at all.
    """
    if topology.family == 6 or interface == "lo":
        return None
    if not setting(topology, "route_localnet", interface) and (
        source.number >> 24 == 127 or target.number >> 24 == 127
    ):
        return "martian"
    if source.number >> 28 == 14 or source.number == 0xFFFFFFFF or topology.is_local(source):
        return "martian"
    back = topology.route(source)
    strictness = setting(topology, "rp_filter", interface)
    if strictness == 1 and (back is None or back.interface != interface):
        return "rp_filter"
    return "rp_filter" if strictness == 2 and back is None else None


def setting(topology: Topology, name: str, interface: str) -> int:
    """A per-interface sysctl: the larger of its own and that of all interfaces."""
    return max(topology.sysctl(f"net.ipv4.conf.{scope}.{name}", 0) for scope in ("all", interface))
