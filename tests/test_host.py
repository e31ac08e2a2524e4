"""What the snapshot says beside rules and addresses, and what is said of it."""

from __future__ import annotations

import pytest

from iptexplain.explain.way import trace_json
from tests.hosts import flows, host

RULES = "*mangle\n-A PREROUTING -m rpfilter {options} -j LOG\nCOMMIT\n"


@pytest.mark.parametrize(
    ("options", "source", "matches"),
    [
        ("", "192.0.2.50", True),
        ("", "172.17.0.9", False),
        ("--loose", "172.17.0.9", True),
        ("--loose", "203.0.113.1", False),
        ("--invert", "172.17.0.9", True),
        ("", "192.0.2.10", False),
        ("--accept-local", "192.0.2.10", True),
    ],
)
def test_the_way_back(options: str, source: str, matches: bool) -> None:
    """rpfilter is answered from the routes (ipt_rpfilter.c)."""
    way = flows(host(RULES.format(options=options)), {"src": source})[0]
    assert (way.steps[0].action == "LOG") is matches


def test_without_routes_the_way_back_is_unknown() -> None:
    way = flows(host(RULES.format(options=""), addresses=[], routes=[]), {})[0]
    assert [u.about and u.about.name for u in way.unknowns] == ["rpfilter"]


@pytest.mark.parametrize(("table", "said"), [("main", False), (100, True)])
def test_policy_routing_is_said(table: object, said: bool) -> None:
    situation = host("*filter\nCOMMIT\n", rules=[{"priority": 0, "src": "all", "table": table}])
    assert any(a.name == "policy_routing" for a in situation.assumptions) is said


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [("host", "198.51.100.9:443", True), ("host", "host:22", False), ("internet", "host:22", False)],
)
def test_policy_routing_is_said_of_what_the_host_sends_as_well(source: str, target: str, said: bool) -> None:
    situation = host("*filter\nCOMMIT\n", rules=[{"priority": 0, "src": "all", "table": 100}])
    way = situation.probe(situation.end(source), situation.end(target))
    assert any("(ip rule)" in a for a in trace_json(situation, way)["assumptions"]) is said


@pytest.mark.parametrize(
    ("sysctls", "packet", "kind"),
    [
        ({"net.ipv4.conf.eth0.forwarding": 0}, {"dst": "172.17.0.2"}, "dropped"),
        ({"net.ipv4.conf.docker0.forwarding": 0}, {"dst": "172.17.0.2"}, "forwarded"),
        ({"net.ipv4.conf.all.accept_local": 1}, {"src": "172.17.0.1"}, "delivered-local"),
        ({}, {"src": "172.17.0.1"}, "dropped"),
    ],
)
def test_settings_of_interfaces(sysctls: dict[str, int], packet: dict[str, str], kind: str) -> None:
    assert flows(host("*filter\nCOMMIT\n", sysctls=sysctls), packet)[0].outcome.kind == kind


BRIDGED = {"iif": "docker0", "src": "172.17.0.2", "dst": "172.17.0.3"}


@pytest.mark.parametrize(
    ("rule", "packet", "matches"),
    [
        ("--physdev-is-bridged", {**BRIDGED, "physin": "veth1"}, True),
        ("--physdev-out veth2", {**BRIDGED, "physin": "veth1"}, True),
        ("--physdev-out veth1", {**BRIDGED, "physin": "veth1"}, False),
        ("--physdev-is-bridged", BRIDGED, True),
        ("--physdev-in veth1", BRIDGED, None),
        ("--physdev-is-bridged", {"dst": "172.17.0.2"}, False),
        ("--physdev-is-in", {**BRIDGED, "dst": "198.51.100.1"}, True),
        ("! --physdev-is-bridged", {**BRIDGED, "dst": "198.51.100.1"}, True),
    ],
)
def test_ports_of_a_bridge(rule: str, packet: dict[str, str], matches: bool | None) -> None:
    """A port that nobody named is unknown, but that there is one is not."""
    outcome = flows(host(f"*filter\n-A FORWARD -m physdev {rule} -j DROP\nCOMMIT\n"), packet)[0].outcome
    assert outcome.kind == {True: "dropped", False: "forwarded", None: "unknown"}[matches]
