"""NAT as a change of sets, one promise a case: what a packet becomes, beside the one that the rule is not for."""

from __future__ import annotations

from typing import Any

import pytest

from iptexplain.host.topology import HostAddress, Route, Topology
from iptexplain.rules.addresses import to_address, to_network
from iptexplain.rules.model import Ruleset
from iptexplain.rules.parse import parse
from iptexplain.sets.analyse import Analysis
from iptexplain.sets.change import Chosen, Shift
from iptexplain.walk.packet import Packet, read_fields
from iptexplain.walk.trace import trace


def host() -> Topology:
    topology = Topology(4)
    topology.known_addresses = True
    topology.sysctls = {"net.ipv4.ip_forward": 1}
    for name, address in (("eth0", "192.0.2.10/24"), ("eth1", "10.0.0.1/8")):
        topology.addresses.append(HostAddress(name, to_address(address.split("/")[0]), to_network(address)))
        topology.routes.append(Route(to_network(address), name))
    topology.routes.append(Route(to_network("0.0.0.0/0"), "eth0", to_address("192.0.2.1")))
    return topology


def rules(rule: str) -> Ruleset:
    chains = "".join(f":{c} ACCEPT [0:0]\n" for c in ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"))
    return parse(f"*nat\n{chains}-A {rule}\nCOMMIT\n").rulesets[0]


def fields(**given: Any) -> dict[str, Any]:
    texts = {"iif": "eth0", "src": "198.51.100.7", "dst": "192.0.2.10", "proto": "tcp", "sport": 40000, "dport": 8080}
    return read_fields({**texts, **given, "ctstate": "NEW", "ttl": 64})


def becomes(rule: str, packet: dict[str, Any]) -> list[tuple[str, str, Any, Any, Any, Any]]:
    """How it ends, and the packet's addresses and ports then; None is what only the kernel knows."""
    analysis = Analysis(rules(rule), host())
    found = []
    for end in analysis.ends_of(packet):
        changes = dict(end.changes)
        after: list[Any] = []
        for name in ("src", "sport", "dst", "dport"):
            level = analysis.fields.level[name]
            number = analysis.fields.point(packet)[level]
            change = changes.get(level, number)
            change = change.of(number) if isinstance(change, Shift) else change
            after.append(None if isinstance(change, Chosen) else str(analysis.fields.all[level].value(change)))
        found.append((end.way, end.interface or "", *after))
    return sorted(found)


CASES = [
    ("PREROUTING -d 192.0.2.10 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.5:80", {},
     [("forwarded", "eth1", "198.51.100.7", "40000", "10.0.0.5", "80")]),
    ("PREROUTING -d 192.0.2.10 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.5:80", {"dport": 8081},
     [("delivered-local", "eth0", "198.51.100.7", "40000", "192.0.2.10", "8081")]),
    ("PREROUTING -p tcp -j DNAT --to-destination 10.0.0.5-10.0.0.6", {},
     [("forwarded", "eth1", "198.51.100.7", "40000", "10.0.0.5", "8080"),
      ("forwarded", "eth1", "198.51.100.7", "40000", "10.0.0.6", "8080")]),
    ("PREROUTING -p tcp -j DNAT --to-destination 10.0.0.5:5000-5009/8000", {"dport": 8013},
     [("forwarded", "eth1", "198.51.100.7", "40000", "10.0.0.5", "5003")]),
    ("PREROUTING -p tcp -j DNAT --to-destination 10.0.0.5:5000-5009/8000", {"dport": 7999},
     [("forwarded", "eth1", "198.51.100.7", "40000", "10.0.0.5", "5005")]),
    ("PREROUTING -p tcp -j DNAT --to-destination 10.0.0.5:8000-8090", {},
     [("forwarded", "eth1", "198.51.100.7", "40000", "10.0.0.5", "8080")]),
    ("PREROUTING -p tcp -j REDIRECT --to-ports 3128", {"dst": "203.0.113.9"},
     [("delivered-local", "eth0", "198.51.100.7", "40000", "192.0.2.10", "3128")]),
    ("PREROUTING -d 203.0.113.0/24 -j NETMAP --to 10.9.9.0/24", {"dst": "203.0.113.77"},
     [("forwarded", "eth1", "198.51.100.7", "40000", "10.9.9.77", "8080")]),
    ("PREROUTING -d 203.0.113.0/24 -j NETMAP --to 10.9.9.0/24", {"dst": "203.0.112.77"},
     [("forwarded", "eth0", "198.51.100.7", "40000", "203.0.112.77", "8080")]),
    ("POSTROUTING -o eth0 -j SNAT --to-source 192.0.2.10", {"iif": "eth1", "src": "10.0.0.5", "dst": "8.8.8.8"},
     [("forwarded", "eth0", "192.0.2.10", "40000", "8.8.8.8", "8080")]),
    ("POSTROUTING -o eth0 -p tcp -j SNAT --to-source 192.0.2.10:1000-2000", {"iif": "eth1", "src": "10.0.0.5", "dst": "8.8.8.8"},
     [("forwarded", "eth0", "192.0.2.10", None, "8.8.8.8", "8080")]),
    ("POSTROUTING -o eth0 -j MASQUERADE", {"iif": "eth1", "src": "10.0.0.5", "dst": "8.8.8.8"},
     [("forwarded", "eth0", None, "40000", "8.8.8.8", "8080")]),
    ("POSTROUTING -o eth0 -j MASQUERADE", {"dst": "10.0.0.5"},
     [("forwarded", "eth1", "198.51.100.7", "40000", "10.0.0.5", "8080")]),
    ("OUTPUT -p tcp -j DNAT --to-destination 10.0.0.5", {"iif": "", "src": "127.0.0.1", "dst": "127.0.0.1"},
     [("dropped", "", "127.0.0.1", "40000", "127.0.0.1", "8080")]),
    ("OUTPUT -p tcp -j REDIRECT --to-ports 81", {"iif": "", "src": "192.0.2.10", "dst": "8.8.8.8"},
     [("delivered-local", "lo", "192.0.2.10", "40000", "127.0.0.1", "81")]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "given", "wanted"), CASES)
def test_what_a_packet_becomes(rule: str, given: dict[str, Any], wanted: list[Any]) -> None:
    packet = fields(**given)
    assert becomes(rule, packet) == wanted
    way = trace(rules(rule), host(), Packet(dict(packet)))
    assert {outcome.kind for outcome in way.outcome.branches or (way.outcome,)} == {one[0] for one in wanted}


def test_the_end_names_the_rules_that_rewrote() -> None:
    analysis = Analysis(rules("PREROUTING -p tcp -j DNAT --to-destination 10.0.0.5"), host())
    [rewritten] = analysis.ends_of(fields())
    [untouched] = analysis.ends_of(fields(proto="udp"))
    assert [(place.chain, place.rule) for place in rewritten.nat] == [("PREROUTING", 1)]
    assert untouched.nat == ()
