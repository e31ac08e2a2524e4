"""The addresses and interfaces of a host that rules and packets speak of, for one family."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from typing import NamedTuple

from tests.kernel.generate.topologies import Host
from tests.kernel.lab.topology import default_mac

REMOTE = {
    4: ["198.51.100.7", "198.51.100.20", "203.0.113.77", "8.8.8.8", "100.64.3.9"],
    6: ["2001:db8:ffff::9", "2001:db8:aaaa::1", "2606:4700::1111"],
}
NOBODY = {4: "192.0.2.200", 6: "2001:db8:c000:200::200"}
"""An address near the host that nobody has."""
LOOPBACK = {4: "127.0.0.1", 6: "::1"}
PORTS = [22, 25, 53, 80, 123, 143, 443, 445, 993, 1194, 2375, 3000, 3306, 3128, 5060, 5432, 6379, 8000, 8080, 8443, 9000,
         9090, 27017]  # fmt: skip


class Near(NamedTuple):
    """A machine behind an interface of the host."""

    name: str
    address: str
    interface: str
    bridged: bool
    mac: str


class Own(NamedTuple):
    """An address of the host's own, and its network."""

    address: str
    interface: str
    network: IPv4Network | IPv6Network


class Pools:
    def __init__(self, host: Host, family: int) -> None:
        self.family = family
        self.interfaces = [i["name"] for i in host["interfaces"]]
        self.ports = [e["port"] for i in host["interfaces"] for e in i.get("containers", [])]
        self.own = list(self._own(host))
        self.near = list(self._near(host))
        self.gateway = next(end for end in self.near if end.name == "gw")
        self.remote, self.loopback = REMOTE[family], LOOPBACK[family]
        self.every = [end.address for end in self.near] + [own.address for own in self.own] + self.remote

    def _own(self, host: Host) -> Iterator[Own]:
        for interface in host["interfaces"]:
            for text in interface.get("addresses", []):
                address = ip_interface(text)
                if address.version == self.family:
                    yield Own(str(address.ip), interface["name"], address.network)

    def _near(self, host: Host) -> Iterator[Near]:
        for interface in host["interfaces"]:
            for end in interface.get("peers", []) + interface.get("containers", []):
                mine = [a for a in end["addresses"] if ip_address(a).version == self.family]
                if mine:
                    mac = end.get("mac") or default_mac(end)
                    yield Near(end["name"], mine[0], interface["name"], interface["kind"] == "bridge", mac)

    def own_towards(self, address: str) -> str:
        """The host's address that is nearest to another."""
        near = [own.address for own in self.own if ip_address(address) in own.network]
        return next(iter(near), None) or next(o.address for o in self.own if o.interface == self.gateway.interface)

    def within(self, network: str) -> list[str]:
        """The known addresses of a network."""
        net = ip_network(network, strict=False)
        return [address for address in self.every if ip_address(address) in net]
