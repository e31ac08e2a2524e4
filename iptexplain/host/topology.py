"""Which interface, address, route and bridge: from the snapshot, or inferred from the rules and then stated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from iptexplain.host.ipsets import IpSets
from iptexplain.host.sysctls import FORWARDING
from iptexplain.rules.addresses import BITS, Address, Network, to_address, to_network
from iptexplain.rules.values import Family

LINK_LOCAL = 0xFE80 >> 6
"""The first ten bits of fe80::/10."""


class HostAddress(NamedTuple):
    """An address of the host with its network, on an interface."""

    interface: str
    address: Address
    network: Network


class Route(NamedTuple):
    """A route: ``kind`` is unicast, or what the kernel does instead (unreachable, blackhole, prohibit)."""

    network: Network
    interface: str
    gateway: Address | None = None
    prefsrc: Address | None = None
    kind: str = "unicast"
    metric: int = 0


class Endpoint(NamedTuple):
    """A machine that is not the host: a container or a peer, behind an interface (and, on a bridge, a port of it)."""

    name: str
    interface: str
    addresses: tuple[Address, ...]
    port: str | None = None
    mac: str | None = None


class Assumption(NamedTuple):
    """Something that was taken for granted: which template says it, its values, and the line it was read from (0: none)."""

    name: str
    values: dict[str, Any]
    line: int = 0


class Topology:
    """The host's place in its networks, for one family."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.addresses: list[HostAddress] = []
        self.routes: list[Route] = []
        self.endpoints: list[Endpoint] = []
        self.bridges: set[str] = set()
        self.ports: dict[str, tuple[str, bool]] = {}
        """Port of a bridge → (bridge, hairpin)."""
        self.sysctls: dict[str, int] = {}
        self.ipsets = IpSets("")
        self.assumptions: list[Assumption] = []
        self.assumed: dict[str, str] = {}
        """What somebody assumed of conditions that no dump decides: name of a match or target → the word for it."""
        self.known_addresses = False
        """Whether the snapshot lists the host's addresses: then an address that is not among them is not the host's."""

    def is_local(self, address: Address) -> bool:
        return self.is_loopback(address) or self.has(address) or self._is_anycast(address)

    def has(self, address: Address, interface: str | None = None) -> bool:
        """Whether it is one of the host's addresses (on ``interface``), and not merely local."""
        return any(a.address == address and interface in (None, a.interface) for a in self.addresses)

    def _is_anycast(self, address: Address) -> bool:
        """The first address of a subnet is that of all of its routers, when IPv6 is forwarded (addrconf_join_anycast)."""
        if self.family == 4 or not self.sysctl(FORWARDING[6], 1):
            return False
        return any(a.network.number == address.number and (a.network.prefix or 0) < 127 for a in self.addresses)

    def is_loopback(self, address: Address) -> bool:
        """Whether it is of every host alone: 127.0.0.0/8, ::1."""
        return address.number >> 24 == 127 if self.family == 4 else address.number == 1

    def address_type(self, address: Address) -> str:
        """What the kernel's routing table calls an address (addrtype)."""
        if self.is_local(address):
            return "ANYCAST" if self._is_anycast(address) and not self.has(address) else "LOCAL"
        if self.family == 6:
            return "MULTICAST" if address.number >> 120 == 0xFF else "UNICAST"
        if address.number >> 28 == 14:
            return "MULTICAST"
        if address.number in (0, 0xFFFFFFFF) or any(self._is_broadcast(address, a.network) for a in self.addresses):
            return "BROADCAST"
        route = self.route(address)
        return route.kind.upper() if route else "UNICAST"

    def frame_kind(self, address: Address, interface: str) -> str:
        """What a frame on this interface with a packet to this address is called (pkttype).

        Another network's broadcast address is nobody's here: a neighbour sends it to the host, as a router.
        """
        kind = self.address_type(address).lower()
        if kind == "broadcast":
            mine = any(self._is_broadcast(address, a.network) for a in self.addresses if a.interface == interface)
            return kind if mine or address.number == 0xFFFFFFFF else "unicast"
        return kind if kind == "multicast" else "unicast"

    def type_at(self, address: Address, interface: str) -> str | None:
        """The type when only the addresses of one interface count (inet_dev_addr_type, match_lookup_rt6); None: nobody listed
        them."""
        if not self.known_addresses:
            return None
        if self.family == 6:
            return "LOCAL" if self.has(address, interface) else self.address_type(address).replace("LOCAL", "UNICAST")
        if address.number >> 28 == 14:
            return "MULTICAST"
        mine = [a for a in self.addresses if a.interface == interface]
        if any(a.address == address for a in mine) or (interface == "lo" and self.is_loopback(address)):
            return "LOCAL"
        whole = address.number in (0, 0xFFFFFFFF)
        return "BROADCAST" if whole or any(self._is_broadcast(address, a.network) for a in mine) else "UNICAST"

    def _is_broadcast(self, address: Address, network: Network) -> bool:
        last = network.number | network.mask ^ (1 << BITS[self.family]) - 1
        return (network.prefix or 0) < BITS[self.family] - 1 and address.number == last

    def is_for_host(self, address: Address, interface: str) -> bool:
        """Whether a packet to ``address`` that came in by ``interface`` ("": the host's own) is for the host; see ``route``."""
        if interface and self._is_strict(address):
            return any(a.address == address and a.interface == interface for a in self.addresses)
        return self.is_local(address)

    def _is_strict(self, address: Address) -> bool:
        return self.family == 6 and (self.is_loopback(address) or is_link_local(address))

    def route(self, address: Address, interface: str = "") -> Route | None:
        """The route that the kernel takes: the longest prefix, then the smallest metric.

        ``interface``: the one that the packet came in by. IPv6 looks for ::1 and link-local addresses only among its routes
        (rt6_need_strict).
        """
        fitting = [r for r in self.routes if r.network.covers(address)]
        if interface and self._is_strict(address):
            fitting = [r for r in fitting if r.interface == interface]
        return max(fitting, key=lambda r: (r.network.prefix or 0, -r.metric), default=None)

    def source_for(self, address: Address, interface: str) -> Address | None:
        """The host's own address that the kernel puts into packets to ``address`` by ``interface``."""
        route = self.route(address)
        if route and route.prefsrc and route.interface == interface:
            return route.prefsrc
        return self.masquerade_address(address, interface)

    def primary(self, address: Address) -> Address:
        """The first address of the subnet in which the host has ``address``: the source of what it sends to itself in IPv4."""
        own = next((a for a in self.addresses if a.address == address), None)
        same = [a.address for a in self.addresses if own and (a.interface, a.network) == (own.interface, own.network)]
        return same[0] if same and self.family == 4 else address

    def masquerade_address(self, address: Address, interface: str) -> Address | None:
        """What MASQUERADE puts in: of the interface's addresses the one nearest to the next hop (inet_select_addr), in IPv6 to
        the destination itself, of the link's own addresses if that is one (ipv6_dev_get_saddr; an own address answers itself).

        127.0.0.1 is of the host alone: then another interface's first address is taken.
        """
        if self.family == 6 and self.is_local(address):
            return address
        usable = [a for a in self.addresses if not self.is_loopback(a.address)]
        mine = [a for a in usable if a.interface == interface]
        if self.family == 6:
            near = is_link_local(address)
            best = max(
                mine if near else usable,
                key=lambda a: (is_link_local(a.address) == near, a.interface == interface, _common(a, address)),
                default=None,
            )
            return best.address if best else None
        route = self.route(address)
        hop = route.gateway if route and route.gateway else address
        covering = [a for a in mine if a.network.covers(hop)]
        return next((a.address for a in [*covering, *mine, *usable]), None)

    def is_masquerade_plain(self, interface: str) -> bool:
        """Whether MASQUERADE takes one address for all that lies in one network; of several IPv6 networks on an interface it takes
        the one that is most like the destination."""
        networks = {a.network for a in self.addresses if a.interface == interface and not is_link_local(a.address)}
        return self.known_addresses and (self.family == 4 or len(networks) == 1)

    def endpoint_at(self, address: Address) -> Endpoint | None:
        return next((e for e in self.endpoints if address in e.addresses), None)

    def sysctl(self, name: str, default: int) -> int:
        return int(self.sysctls.get(name, default))


def is_link_local(address: Address) -> bool:
    """Whether it is an IPv6 address that only one link knows."""
    return address.family == 6 and address.number >> 118 == LINK_LOCAL


def _common(own: HostAddress, address: Address) -> int:
    """How many leading bits an own address shares with another, at most those of its prefix (RFC 6724, rule 8)."""
    bits = BITS[address.family]
    return min(bits - (own.address.number ^ address.number).bit_length(), own.network.prefix or 0)


def from_facts(facts: dict[str, Any], family: Family) -> Topology:
    """The topology as a snapshot states it; parts that it leaves out stay empty."""
    topology = Topology(family)
    topology.sysctls = {k: int(v) for k, v in facts.get("sysctls", {}).items()}
    topology.ipsets = IpSets(facts.get("ipsets") or "")
    wanted = "inet" if family == 4 else "inet6"
    for link in facts.get("addresses", []):
        for info in link.get("addr_info", []):
            if info.get("family") == wanted and info.get("local"):
                own = to_network(f"{info['local']}/{info.get('prefixlen', BITS[family])}", family)
                topology.addresses.append(HostAddress(link["ifname"], to_address(info["local"], family), own))
    topology.known_addresses = bool(facts.get("addresses"))
    topology.routes = [_route(r, family) for r in facts.get("routes" if family == 4 else "routes6", [])]
    for link in facts.get("bridge_links", []):
        if link.get("master"):
            topology.bridges.add(link["master"])
            topology.ports[link["ifname"]] = (link["master"], bool(link.get("hairpin")))
    topology.endpoints = [*_endpoints(facts.get("endpoints", []), family), *_containers(facts, topology)]
    topology.bridges |= {e.interface for e in topology.endpoints if e.port}
    return topology


def _route(entry: dict[str, Any], family: Family) -> Route:
    dst = entry.get("dst", "default")
    network = to_network(("0.0.0.0/0" if family == 4 else "::/0") if dst == "default" else dst, family)
    gateway, source = entry.get("gateway"), entry.get("prefsrc")
    return Route(
        network,
        entry.get("dev", ""),
        to_address(gateway, family) if gateway else None,
        to_address(source, family) if source else None,
        entry.get("type", "unicast"),
        int(entry.get("metric", 0)),
    )


def _endpoints(entries: Iterable[dict[str, Any]], family: Family) -> list[Endpoint]:
    found = []
    for e in entries:
        addresses = tuple(to_address(a) for a in e.get("addresses", []) if (":" in a) == (family == 6))
        found.append(Endpoint(e["name"], e["iface"], addresses, e.get("port"), e.get("mac")))
    return found


def bridge_name(network: dict[str, Any]) -> str:
    """The bridge of a network in ``docker network inspect``: named by option, else ``br-`` and twelve digits of the id."""
    named = (network.get("Options") or {}).get("com.docker.network.bridge.name")
    return str(named or f"br-{network['Id'][:12]}")


def _containers(facts: dict[str, Any], topology: Topology) -> list[Endpoint]:
    """The running containers' addresses, from Docker's inspect JSON."""
    docker = facts.get("docker") or {}
    bridges = {n["Name"]: bridge_name(n) for n in docker.get("networks") or [] if n.get("Driver") == "bridge"}
    found = []
    for container in docker.get("containers") or []:
        for name, network in (container.get("NetworkSettings", {}).get("Networks") or {}).items():
            text = network.get("IPAddress" if topology.family == 4 else "GlobalIPv6Address")
            if text and name in bridges:
                mac = network.get("MacAddress") or None
                found.append(
                    Endpoint(
                        container["Name"].lstrip("/"),
                        bridges[name],
                        (to_address(text),),
                        _port_of(facts, container, name),
                        mac,
                    )
                )
                topology.bridges.add(bridges[name])
    return found


def _port_of(facts: dict[str, Any], container: dict[str, Any], network: str) -> str | None:
    """The bridge port that leads to a container: the host's link whose peer has the container's address, when recorded."""
    inside = (facts.get("namespaces") or {}).get(container["Name"].lstrip("/"), {}).get("addresses") or []
    address = container["NetworkSettings"]["Networks"][network].get("IPAddress")
    for link in inside:
        if any(i.get("local") == address for i in link.get("addr_info", [])):
            peer = link.get("link_index")
            return next((h["ifname"] for h in facts.get("addresses", []) if peer and h.get("ifindex") == peer), None)
    return None
