"""Who sends, and to where, as sets of addresses: what a question about all packets is made of."""

from __future__ import annotations

from collections.abc import Callable

from iptexplain.explain.situation import Situation
from iptexplain.host.endpoints import split_port
from iptexplain.host.topology import Route, Topology, is_link_local
from iptexplain.rules.addresses import Address
from iptexplain.rules.values import Interval
from iptexplain.sets.places import Places

Addresses = tuple[Interval, ...]
"""Sorted, separate ranges of addresses, as numbers."""


def behind(topology: Topology, wanted: Callable[[Route], bool]) -> Addresses:
    """The addresses whose route is one of those ``wanted``, without the host's own and those that are nobody's."""

    def leads(address: Address) -> bool:
        route = topology.route(address)
        if route is None or not wanted(route) or not address.number or topology.address_type(address) != "UNICAST":
            return False
        return is_near(route) or not is_link_local(address)

    return tuple(Places(topology).split(leads).get(True, ()))


def is_near(route: Route) -> bool:
    """Whether it leads to the link-local addresses of an interface: those are never forwarded, and no other route leads there."""
    return is_link_local(Address(route.network.family, route.network.number))


def on_interface(topology: Topology, interface: str) -> Addresses:
    """The machines that an interface leads to."""
    return behind(topology, lambda route: route.interface == interface)


def far_away(topology: Topology) -> Addresses:
    """All that the default route leads to."""
    return behind(topology, lambda route: not route.network.mask)


def own(topology: Topology, interfaces: Callable[[str], bool] = bool) -> Addresses:
    """The host's addresses, on such ``interfaces``."""
    return tuple((n, n) for n in sorted({a.address.number for a in topology.addresses if interfaces(a.interface)}))


def meant(situation: Situation, text: str, address: Address) -> Addresses:
    """Whom an end stands for: a machine, all of a network, all that the default route leads to, all that the host is."""
    name = split_port(text)[0]
    if name == "host":
        return own(situation.topology)
    if name == "internet":
        return far_away(situation.topology)
    bridges = {n.name: n.bridge for n in situation.docker.networks if n.name}
    interface = bridges.get(name, name)
    if any(a.interface == interface for a in situation.topology.addresses):
        return on_interface(situation.topology, interface)
    return ((address.number, address.number),)
