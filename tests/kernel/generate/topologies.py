"""Hosts: a server, a router of three networks, a host with bridges and containers behind it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from random import Random
from typing import Any

Host = dict[str, Any]
HEX = "0123456789abcdef"
PRIVATE = IPv4Network("172.16.0.0/12")


def letters(random: Random, count: int) -> str:
    return "".join(random.choice(HEX) for _ in range(count))


def _second(address: str, prefix: int) -> str:
    """The IPv6 address that goes with an IPv4 one: 192.0.2.10 is 2001:db8:c000:200::10, a container's 172.17.0.2 fd00:ac11::2."""
    old = IPv4Address(address.split("/")[0])
    high, last = int(old) >> 16, int(old) & 0xFF
    third = int(old) >> 8 & 0xFF
    text = f"fd00:{high:x}::{last}" if old in PRIVATE else f"2001:db8:{high:x}:{third:x}00::{last}"
    return f"{text}/{prefix}" if "/" in address else text


def with_ipv6(host: Host) -> Host:
    """The host with an IPv6 address beside each IPv4 address, on it and behind it."""
    for interface in host["interfaces"]:
        for holder in (interface, *interface.get("peers", []), *interface.get("containers", [])):
            old = [a for a in holder.get("addresses", []) if ":" not in a]
            holder["addresses"] = holder.get("addresses", []) + [_second(a, 64) for a in old]
            if not holder["addresses"]:
                del holder["addresses"]
    for route in list(host["routes"]):
        if route["dst"] == "default" or ":" not in route["dst"]:
            dst = route["dst"] if route["dst"] == "default" else "2001:db8:a08::/48"
            host["routes"].append({**route, "dst": dst, "via": _second(route["via"], 64)})
    return host


def _outside(name: str, addresses: list[str], peers: dict[str, str]) -> Host:
    ends = [{"name": peer, "addresses": [address]} for peer, address in peers.items()]
    return {"name": name, "kind": "veth-external", "addresses": addresses, "peers": ends}


LOOPBACK: Host = {"name": "lo", "kind": "loopback"}


def server(random: Random) -> Host:
    eth0 = _outside("eth0", ["192.0.2.10/24", "192.0.2.11/24"], {"gw": "192.0.2.1", "client": "192.0.2.50"})
    return {"interfaces": [dict(LOOPBACK), eth0], "routes": [{"dst": "default", "via": "192.0.2.1", "dev": "eth0"}]}


def router(random: Random) -> Host:
    wan, lan = random.choice(["eth0", "ens3", "wan0"]), random.choice(["eth1", "lan0", "enp2s0"])
    interfaces = [
        dict(LOOPBACK),
        _outside(wan, ["203.0.113.5/24"], {"gw": "203.0.113.1", "peer": "203.0.113.60"}),
        _outside(lan, ["10.0.1.1/24"], {"h1": "10.0.1.10", "h2": "10.0.1.20"}),
        _outside(random.choice(["eth2", "dmz0"]), ["172.16.5.1/24"], {"srv": "172.16.5.80"}),
    ]
    routes = [{"dst": "default", "via": "203.0.113.1", "dev": wan}, {"dst": "10.8.0.0/16", "via": "10.0.1.20"}]
    return {"interfaces": interfaces, "routes": routes}


def bridges(random: Random) -> Host:
    """The server with docker0 and one to three user networks."""
    host = server(random)
    names = ["docker0", *(f"br-{letters(random, 12)}" for _ in range(random.randint(1, 3)))]
    number = 0
    for at, name in enumerate(names):
        containers = []
        for place in range(random.randint(2, 3) if at == 0 else random.randint(1, 2)):
            number += 1
            address = f"172.{17 + at}.0.{2 + place}"
            containers.append({"name": f"c{number}", "addresses": [address], "port": f"veth{letters(random, 7)}"})
        bridge = {"name": name, "kind": "bridge", "addresses": [f"172.{17 + at}.0.1/16"], "containers": containers}
        host["interfaces"].append(bridge | {"hairpin": random.random() < 0.2})
    return host


TOPOLOGIES = (server, router, bridges)


def sysctls(random: Random, docker: bool = False) -> dict[str, int]:
    """What a host may be set to; one with Docker forwards, and nearly always filters what it bridges."""
    call = int(random.random() < (0.9 if docker else 0.75))
    strictness = random.choice([0, 0, 0, 1, 2])
    return {
        "net.ipv4.ip_forward": int(docker or random.random() < 0.93),
        "net.bridge.bridge-nf-call-iptables": call,
        "net.bridge.bridge-nf-call-ip6tables": call,
        "net.ipv4.conf.all.rp_filter": strictness,
        "net.ipv4.conf.default.rp_filter": strictness,
        **({"net.ipv4.conf.all.route_localnet": 1} if random.random() < 0.25 else {}),
    }
