"""The network of a case: a host with its interfaces, and behind them the machines that it talks to.

Two namespaces: one is the host, the other holds the far ends of its interfaces and answers nothing by itself. Every
machine there is a MAC address and no more; the host knows it as a permanent neighbour.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from ipaddress import ip_address, ip_interface
from typing import Any, NamedTuple

from tests.kernel.lab import LabError
from tests.kernel.lab.netns import NetNS

SYSCTLS: dict[str, int] = {
    "net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1,
    "net.bridge.bridge-nf-call-iptables": 1, "net.bridge.bridge-nf-call-ip6tables": 1,
    "net.ipv4.conf.all.rp_filter": 0, "net.ipv4.conf.default.rp_filter": 0,
}  # fmt: skip
"""What a host is set to where its case does not say."""

QUIET: dict[str, int] = {
    **{f"net/ipv4/conf/{which}/send_redirects": 0 for which in ("all", "default")},
    **{
        f"net/ipv6/conf/{which}/{key}": value
        for which in ("all", "default")
        for key, value in (("accept_ra", 0), ("autoconf", 0), ("accept_dad", 0), ("dad_transmits", 0),
                           ("addr_gen_mode", 1), ("router_solicitations", 0))
    },
    "net/ipv4/icmp_ratelimit": 0, "net/ipv4/icmp_ratemask": 0, "net/ipv4/icmp_msgs_per_sec": 1000000,
    "net/ipv4/icmp_msgs_burst": 1000000, "net/ipv6/icmp/ratelimit": 0,
}  # fmt: skip
"""Nothing that the host says of itself, and no limit on what it answers."""

ATTEMPTS, PAUSE = 400, 0.005
"""How often, and how many seconds apart, to look whether the interfaces are up."""


class Endpoint(NamedTuple):
    """A machine behind an interface of the host: a neighbour, or a container on a port of a bridge."""

    name: str
    mac: str
    interface: dict[str, Any]
    device: str
    addresses: tuple[str, ...]


def default_mac(holder: dict[str, Any]) -> str:
    """The MAC address of an interface or endpoint that names none: made of its IPv4 address, as Docker does it."""
    for address in holder.get("addresses", []):
        if ":" not in address:
            return "02:42:" + ip_interface(address).ip.packed.hex(":")
    number = 0
    for byte in holder["name"].encode():
        number = number * 31 + byte & 0xFFFFFFFF
    return "02:43:" + number.to_bytes(4, "big").hex(":")


def with_macs(host: dict[str, Any]) -> dict[str, Any]:
    """The host with every MAC address and port that a case may leave out."""
    host = json.loads(json.dumps(host))
    for interface in host["interfaces"]:
        if interface["kind"] != "loopback":
            interface.setdefault("mac", default_mac(interface))
        for end in interface.get("peers", []) + interface.get("containers", []):
            end.setdefault("mac", default_mac(end))
        for end in interface.get("containers", []):
            end.setdefault("port", f"veth{end['name']}")
    return host


class Topology:
    """The two namespaces. ``host`` as ``with_macs`` gives it."""

    def __init__(self, host: dict[str, Any], ipv6: bool) -> None:
        self.host, self.ipv6 = host, ipv6
        self.sysctls = SYSCTLS | host.get("sysctls", {})
        self.endpoints: dict[str, Endpoint] = {}
        self.namespace = NetNS()
        self.peers = NetNS()
        up = "link set lo up"
        self._lines: dict[str, list[str]] = {"host": [up], "peers": [up], "near": [], "fdb": []}
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.namespace.close()
        self.peers.close()

    def _build(self) -> None:
        for which in ("all", "default"):
            self.peers.sysctl(f"net/ipv6/conf/{which}/disable_ipv6", 1)
            if not self.ipv6:
                self.namespace.sysctl(f"net/ipv6/conf/{which}/disable_ipv6", 1)
        for key, value in (QUIET | self.sysctls).items():
            self.namespace.sysctl(key, value)
        for number, interface in enumerate(self.host["interfaces"]):
            self._interface(interface, f"p{number}")
        self._routes()
        self._batch(self.namespace, "host")
        self._batch(self.peers, "peers")
        for device in self._devices():
            self._settle(device)
        self._batch(self.namespace, "near")
        if self._lines["fdb"]:
            self.namespace.run(["bridge", "-batch", "-"], "\n".join(self._lines["fdb"]) + "\n")
        self._wait()
        links = json.loads(self.namespace.run(["ip", "-j", "link"]))
        self.links = {link["ifindex"]: link["ifname"] for link in links}

    def _batch(self, namespace: NetNS, lines: str) -> None:
        namespace.run(["ip", "-batch", "-"], "\n".join(self._lines[lines]) + "\n")

    def _interface(self, interface: dict[str, Any], peer: str) -> None:
        name, kind, lines = interface["name"], interface["kind"], self._lines["host"]
        if kind == "veth-external":
            self._pair(f"{name} address {interface['mac']}", f"{peer}")
            for end in interface.get("peers", []):
                self._endpoint(end, interface, peer)
        elif kind == "bridge":
            still = "stp_state 0 forward_delay 0 mcast_snooping 0"
            lines.append(f"link add {name} address {interface['mac']} type bridge {still}")
            for number, end in enumerate(interface.get("containers", [])):
                self._port(interface, end, f"{peer}-{number}")
        elif kind != "loopback":
            raise LabError(f"there is no kind of interface '{kind}'")
        lines.append(f"link set {name} up")
        for address in interface.get("addresses", []):
            net = ip_interface(address).network
            more = " nodad" if net.version == 6 else " brd +" if net.prefixlen < 31 and kind != "loopback" else ""
            lines.append(f"addr add {address} dev {name}{more}")

    def _pair(self, near: str, far: str) -> None:
        """``near``: the host's end, as ip wants it; ``far``: the other end's name, and what else is to be said of it."""
        self._lines["host"].append(f"link add {near} type veth peer name {far} netns {self.peers.path}")
        self._lines["peers"].append(f"link set {far.split()[0]} up")

    def _port(self, bridge: dict[str, Any], end: dict[str, Any], peer: str) -> None:
        port, hairpin = end["port"], "on" if end.get("hairpin", bridge.get("hairpin")) else "off"
        self._pair(port, f"{peer} address {end['mac']}")
        self._lines["host"] += [
            f"link set {port} master {bridge['name']}",
            f"link set {port} type bridge_slave learning off hairpin {hairpin}",
            f"link set {port} up",
        ]
        self._lines["fdb"].append(f"fdb replace {end['mac']} dev {port} master static")
        self._endpoint(end, bridge, peer)

    def _endpoint(self, end: dict[str, Any], interface: dict[str, Any], device: str) -> None:
        addresses = tuple(a.split("/")[0] for a in end.get("addresses", []))
        self.endpoints[end["name"]] = Endpoint(end["name"], end["mac"], interface, device, addresses)
        known = f"lladdr {end['mac']} dev {interface['name']} nud permanent"
        self._lines["near"] += [f"neigh replace {address} {known}" for address in addresses]

    def _routes(self) -> None:
        self._lines["host"] += self.host.get("ip_batch", [])
        for route in self.host.get("routes", []):
            words = [f"{key} {route[key]}" for key in ("via", "dev", "src", "metric") if route.get(key)]
            self._lines["host"].append(" ".join(["route add", route.get("type", "unicast"), route["dst"], *words]))

    def _devices(self) -> list[str]:
        interfaces = self.host["interfaces"]
        return [i["name"] for i in interfaces] + [e["port"] for i in interfaces for e in i.get("containers", [])]

    def _settle(self, device: str) -> None:
        """Nobody is asked for a MAC address; and what a case says of one device is set now that it is there."""
        for family in ("ipv4", "ipv6"):
            for key in ("mcast_solicit", "ucast_solicit", "app_solicit"):
                self.namespace.sysctl(f"net/{family}/neigh/{device}/{key}", 0)
        for key, value in self.sysctls.items():
            family, _, rest = key.removeprefix("net.").partition(".conf.")
            if rest.startswith(f"{device}."):
                self.namespace.sysctl(f"net/{family}/conf/{device}/{rest.removeprefix(f'{device}.')}", value)

    def _wait(self) -> None:
        interfaces = self.host["interfaces"]
        wanted = {i["name"] for i in interfaces if i["kind"] == "veth-external" or i.get("containers")}
        ports = {e["port"] for i in interfaces for e in i.get("containers", [])}
        for _ in range(ATTEMPTS):
            links = {link["ifname"]: link for link in json.loads(self.namespace.run(["ip", "-j", "-d", "link"]))}
            states = [links[port].get("linkinfo", {}).get("info_slave_data", {}).get("state") for port in ports]
            if all(links[name]["operstate"] == "UP" for name in wanted) and set(states) <= {"forwarding"}:
                return
            time.sleep(PAUSE)
        raise LabError("the interfaces did not come up")

    # -- what there is

    def at(self, device: str, mac: str) -> Endpoint | None:
        """The machine with a MAC address at the far end of an interface."""
        return next((e for e in self.endpoints.values() if (e.device, e.mac) == (device, mac)), None)

    def interface_of(self, device: str) -> str | None:
        """The host's interface behind which a far end lies."""
        return next((e.interface["name"] for e in self.endpoints.values() if e.device == device), None)

    def is_own(self, mac: str) -> bool:
        return any(interface.get("mac") == mac for interface in self.host["interfaces"])

    def mac_towards(self, sender: Endpoint, address: str, given: str | None) -> str:
        """The MAC address that ``sender`` writes on a packet for an address. ``given``: a machine's name, "host" or a MAC."""
        own: str = sender.interface["mac"]
        if given:
            return self.endpoints[given].mac if given in self.endpoints else own if given == "host" else given
        ip = ip_address(address)
        nets = [ip_interface(a).network for a in sender.interface.get("addresses", [])]
        if ip.is_multicast:
            low = bytearray(ip.packed[-4:])
            if ip.version == 6:
                return (b"\x33\x33" + low).hex(":")
            return (b"\x01\x00\x5e" + bytes([low[1] & 127]) + low[2:]).hex(":")
        broadcasts = [str(n.broadcast_address) for n in nets if n.version == 4 and n.prefixlen < 31]
        if address in ["255.255.255.255", *broadcasts]:
            return "ff:ff:ff:ff:ff:ff"
        if sender.interface["kind"] == "bridge" and any(ip in net for net in nets):
            return next((e.mac for e in self._beside(sender) if str(ip) in e.addresses), own)
        return own

    def _beside(self, sender: Endpoint) -> Iterable[Endpoint]:
        return (e for e in self.endpoints.values() if e.interface is sender.interface and e is not sender)

    def facts(self) -> dict[str, Any]:
        """What ip says of the host, as a snapshot has it."""
        run = self.namespace.run
        addresses = json.loads(run(["ip", "-j", "addr"]))
        for link in addresses:
            for key in ("link_netnsid", "link_index", "ifindex"):
                link.pop(key, None)
        found = {"ip_addr": addresses, "ip_route": json.loads(run(["ip", "-j", "route"]))}
        if self.ipv6:
            found["ip6_route"] = json.loads(run(["ip", "-6", "-j", "route"]))
        return found
