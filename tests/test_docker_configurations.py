"""A configuration of Docker, written out by hand, must be read back from the rules that each engine wrote for it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from iptexplain.explain.networks import merged, networks_json
from iptexplain.explain.port_runs import ports_json
from iptexplain.explain.situation import Situation, situations
from iptexplain.host.snapshot import read_snapshot
from tests.docker_catalogue import CASES, FOLDER, FULL, TABLE, Case, Line, layout, lines, networks

pytestmark = pytest.mark.exhaustive

OWN_NAME = re.compile(r"br-[0-9a-f]{12}")
each = pytest.mark.parametrize("case", FULL, ids=lambda c: f"{c.version}-{c.name}-{c.family}")


def test_every_dump_has_its_configuration_and_every_configuration_a_dump() -> None:
    assert {c.name for c in CASES} == set(TABLE["configurations"])


@each
def test_layout(case: Case) -> None:
    """Which engines write so, and the lines that say it; where engines cannot be told apart, all of them."""
    found = networks_json(case.situation())["docker"]
    assert {key: found[key] for key in ("layout", "versions")} == layout(case)
    assert found["lines"] and found["why"]
    assert found["namespace"]["kind"] is None


@each
def test_networks(case: Case) -> None:
    """Bridge, subnets, icc, internal, masquerading, gateway mode and all the rest, for every network and no other."""
    found = {}
    for network in networks_json(case.situation())["networks"]:
        chosen = OWN_NAME.fullmatch(network["bridge"])
        found[network["subnets"][0] if chosen else network["bridge"]] = network
    expected = networks(case)
    assert found.keys() == expected.keys()
    assert {b: {k: n[k] for k in expected[b]} for b, n in found.items()} == expected


@each
def test_ports(case: Case) -> None:
    """Every published port and no other; bound to loopback, it is protected by raw since 28."""
    found = ports_json(case.situation())
    ports = [
        Line(p["host_ip"], p["host_port"], p["container_ip"], p["container_port"], p["proto"]) for p in found["ports"]
    ]
    assert sorted(ports, key=str) == lines(case.part("ports"), case.family)
    opened = [(p["container_ip"], p["container_port"], p["proto"]) for p in found["opened"]]
    assert opened == [p[2:] for p in lines(case.part("opened"), case.family)]
    for port in found["ports"]:
        assert port["bridge"] == _home(case, port["container_ip"], found=port["bridge"])
        assert port["loopback_protection"] == _protection(case, port["host_ip"])


def _home(case: Case, address: str, found: str) -> str:
    [bridge] = [b for b, words in case.part("networks").items() if address in words]
    return found if "/" in bridge and OWN_NAME.fullmatch(found) else bridge


def _protection(case: Case, host_ip: str) -> str | None:
    if host_ip == "::1":
        return "kernel"
    if not host_ip.startswith("127."):
        return None
    free = case.version in ("28.1.1", "28.5.2", "29.7.2") and "no-raw" not in case.configuration.get("daemon", [])
    return "raw" if free else "none"


@each
def test_links_and_swarm(case: Case) -> None:
    found = networks_json(case.situation())
    links = [(x["client"], x["server"], x["port"], x["proto"]) for x in found["links"]]
    assert links == [
        (x.host_ip, x.container_ip, x.container_port, x.proto) for x in lines(case.part("links"), case.family)
    ]
    swarm: dict[str, Any] = found["swarm"] or {"bridge": None, "mesh": [], "encrypted": []}
    assert (swarm["bridge"] is not None) == ("docker_gwbridge" in case.part("networks"))
    mesh = [Line("0.0.0.0", m["host_port"], m["address"], m["port"], m["proto"]) for m in swarm["mesh"]]
    assert mesh == lines(case.part("mesh"), case.family)
    assert [e["vni"] for e in swarm["encrypted"]] == case.part("encrypted")


@each
def test_every_rule_is_attributed_and_none_too_many(case: Case) -> None:
    """Every rule that Docker wrote has a role, and what a person wrote has none."""
    situation = case.situation()
    docker, rules = situation.docker, [r for t in situation.ruleset.tables.values() for r in t.rules()]
    roles = {place.line for place in docker.roles.by_place}
    assert [situation.dump.line(r.line) for r in rules if r.line not in roles] == case.configuration.get(
        "hand-written", []
    )
    assert docker.leftovers == []


@each
def test_lines_say_it(case: Case) -> None:
    """An expert finds every setting in the dump: the lines that are named are rules that speak of the network or the port."""
    situation = case.situation()
    for network in networks_json(situation)["networks"]:
        for setting, named in network["because"].items():
            texts = [situation.dump.line(n) for n in named]
            general = setting in ("userland_proxy", "accept_fwmark")
            assert texts and all(t.startswith("-A ") for t in texts)
            assert general or all(_speaks_of(network, t) for t in texts)
    for port in ports_json(situation)["ports"]:
        for named in port["because"].values():
            texts = [situation.dump.line(n) for n in named]
            assert texts and all(str(port["container_port"]) in t or str(port["host_port"]) in t for t in texts)


def _speaks_of(network: dict[str, Any], text: str) -> bool:
    return any(word in text for word in (network["bridge"], *network["subnets"], *network["containers"]))


@each
def test_networks_are_kept_apart_by_the_right_rules(case: Case) -> None:
    """Between any two of Docker's networks nothing passes but answers, and a DROP of Docker's own decides that."""
    asked = case.situation()
    bridges = {n.bridge for n in asked.docker.networks}
    for pair in networks_json(asked)["reach"]:
        if {pair["from"], pair["to"]} <= bridges and _open_between(case, pair) is False:
            assert pair["verdict"] == "dropped"
            assert asked.dump.line(pair["by"]["line"]).endswith("-j DROP")


def _open_between(case: Case, pair: dict[str, str]) -> bool:
    """Since 29 whatever is unprotected is open to other networks as well."""
    return case.version == "29.7.2" and "nat-unprotected" in case.part("networks").get(pair["to"], [])


@pytest.mark.parametrize("version", ["27.5.1", "28.1.1", "28.5.2", "29.7.2"])
def test_both_families_together(version: str) -> None:
    """Of one network IPv4 can be rewritten and IPv6 routed; both subnets and all containers are its own."""
    text = "".join((FOLDER / version / f"61-routed-ipv6.ip{family}.txt").read_text() for family in (4, 6))
    found = situations(read_snapshot(text, "dump"))
    [network] = [n for n in merged([networks_json(s) for s in found], found)["networks"] if n["bridge"] == "bridge1"]
    assert network["gateway_modes"] == {"4": "nat", "6": "routed"} and network["gateway_mode"] == "nat"
    assert network["containers"] == ["192.0.2.2", "2001:db8:1::2"]
    assert network["masquerade"] and network["ports"] == 1
    ports = merged([ports_json(s) for s in found], found)
    assert [p["container_ip"] for p in ports["ports"]] == ["192.0.2.2"]
    assert [p["container_ip"] for p in ports["opened"]] == ["2001:db8:1::2"]


OTHERWISE = {
    "bridge1": "lan.front",
    "bridge2": "b",
    "172.17.": "10.66.",
    "172.18.": "10.67.",
    "192.0.2.": "192.168.77.",
    "198.51.100.": "100.64.9.",
    "192.168.1.10": "203.0.113.5",
    "2001:db8:1::": "fd00:5:6:7::",
}
"""Other names and addresses for those of the dumps."""


@each
def test_names_and_addresses_do_not_matter(case: Case) -> None:
    """What is read from a dump with other bridges, subnets and addresses is the same with those in it."""

    def renamed(text: str) -> str:
        return re.sub("|".join(map(re.escape, OTHERWISE)), lambda m: OTHERWISE[m[0]], text)

    other = Situation(read_snapshot(renamed(case.file.read_text()), "dump"), case.family)  # type: ignore[arg-type]
    for answer in (networks_json, ports_json):
        here, there = answer(case.situation()), answer(other)
        for key in ("docker", "networks", "links", "swarm", "ranges", "opened", "mesh"):
            assert json.loads(renamed(json.dumps(here.get(key)))) == json.loads(json.dumps(there.get(key)))


@pytest.mark.parametrize("case", [c for c in CASES if c not in FULL], ids=lambda c: f"{c.version}-{c.name}")
def test_docker_writes_no_rules(case: Case) -> None:
    """With "iptables": false, and with the nftables backend, iptables-save prints nothing at all."""
    result = CliRunner().invoke(program, ["networks", str(case.file)])
    assert result.exit_code == 3 and "iptables-save prints nothing when there are no rules at all" in result.stderr


def test_with_the_nftables_backend_iptables_knows_nothing() -> None:
    """What nft prints of Docker 29 is refused with the command to run instead, and of what that prints nothing is Docker's."""
    listing = FOLDER / "nftables" / "29.7.2-69-nftables-backend.nft"
    refused = CliRunner().invoke(program, ["explain", str(listing)])
    assert refused.exit_code == 3 and "run iptables-save instead" in refused.stderr
    empty = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
    shown = CliRunner().invoke(program, ["explain", "-"], input=empty).stdout
    assert "nftables since Docker 29" in shown
    assert (
        json.loads(CliRunner().invoke(program, ["networks", "-", "-o", "json"], input=empty).stdout)["docker"] is None
    )
