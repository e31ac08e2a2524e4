"""A small host to try rules on: eth0 192.0.2.10/24 to the outside, docker0 172.17.0.1/16 with two containers."""

from __future__ import annotations

import json
from typing import Any

from iptexplain.explain.situation import Situation
from iptexplain.host.snapshot import read_snapshot
from iptexplain.walk.flows import Flows
from iptexplain.walk.outcome import Trace

FACTS: dict[str, Any] = {
    "addresses": [
        {"ifname": "lo", "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8}]},
        {"ifname": "eth0", "addr_info": [{"family": "inet", "local": "192.0.2.10", "prefixlen": 24}]},
        {"ifname": "docker0", "addr_info": [{"family": "inet", "local": "172.17.0.1", "prefixlen": 16}]},
    ],
    "routes": [
        {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"},
        {"dst": "192.0.2.0/24", "dev": "eth0", "prefsrc": "192.0.2.10"},
        {"dst": "172.17.0.0/16", "dev": "docker0", "prefsrc": "172.17.0.1"},
        {"dst": "203.0.113.0/24", "type": "unreachable"},
        {"dst": "203.0.113.64/26", "type": "prohibit"},
        {"dst": "203.0.113.128/26", "type": "blackhole"},
    ],
    "sysctls": {"net.ipv4.ip_forward": 1, "net.bridge.bridge-nf-call-iptables": 1},
    "endpoints": [
        {"name": "web", "iface": "docker0", "port": "veth1", "mac": "02:42:ac:11:00:02", "addresses": ["172.17.0.2"]},
        {"name": "db", "iface": "docker0", "port": "veth2", "mac": "02:42:ac:11:00:03", "addresses": ["172.17.0.3"]},
    ],
}


def host(iptables: str, **facts: Any) -> Situation:
    """The host with these rules (tables as iptables-save prints them) and other facts."""
    return Situation(read_snapshot(json.dumps({"iptables": iptables, **FACTS, **facts}), "host"), 4)


def flows(situation: Situation, *packets: dict[str, Any]) -> list[Trace]:
    """The packets, one after the other; what a packet leaves out is that of a SYN from outside to port 80 of the host."""
    first = {"iif": "eth0", "src": "192.0.2.50", "dst": "192.0.2.10", "proto": "tcp", "sport": 40000, "dport": 80}
    back = {"iif": None, "src": "192.0.2.10", "dst": "192.0.2.50", "proto": "tcp", "sport": 80, "dport": 40000}
    walker = Flows(situation.ruleset, situation.topology)
    answering = [p for p in packets if p.get("dir", "reply") == "reply" and "after" in p]
    return [walker.trace({**(back if p in answering else first), **p}) for p in packets]
