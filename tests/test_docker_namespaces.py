"""Dumps that are not of a host's own namespace: containers, swarm's tasks and load balancers, daemons inside something."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from iptexplain.explain.networks import networks_json
from iptexplain.explain.situation import Situation
from iptexplain.host.snapshot import read_snapshot
from tests.docker_catalogue import FOLDER

INSIDE = sorted((FOLDER / "container-ns").glob("*.ns4.txt"))
HOST = (FOLDER / "29.7.2" / "20-usernet-pub-any.ip4.txt").read_text()


def situation(text: str, family: int = 4, **facts: Any) -> Situation:
    given = json.dumps({"iptables": text, **facts}) if facts else text
    return Situation(read_snapshot(given, "dump"), family)  # type: ignore[arg-type]


def docker_of(text: str, **facts: Any) -> dict[str, Any]:
    found = networks_json(situation(text, **facts))["docker"]
    assert isinstance(found, dict)
    return found


def unattributed(text: str) -> list[str]:
    asked = situation(text)
    mine = {p.line for p in asked.docker.roles.by_place}
    rules = [r.line for t in asked.ruleset.tables.values() for r in t.rules()]
    return [asked.dump.line(n) for n in rules if n not in mine]


def dump(**tables: str) -> str:
    """A dump of these rules, with the chains that they need."""
    base = {
        "mangle": "PREROUTING INPUT FORWARD OUTPUT POSTROUTING",
        "filter": "INPUT FORWARD OUTPUT",
        "nat": "PREROUTING INPUT OUTPUT POSTROUTING",
    }
    text = ""
    for table, rules in tables.items():
        named = {
            w
            for r in rules.splitlines()
            for w in r.split()
            if w.startswith("DOCKER") or re.fullmatch("[0-9a-f]{12}", w)
        }
        chains = "".join(f":{c} ACCEPT [0:0]\n" for c in base[table].split()) + "".join(
            f":{c} - [0:0]\n" for c in sorted(named)
        )
        text += f"*{table}\n{chains}" + "".join(f"-A {r.strip()}\n" for r in rules.strip().splitlines()) + "COMMIT\n"
    return text


@pytest.mark.parametrize("file", INSIDE, ids=lambda f: f.name)
def test_the_name_server_of_a_container(file: Any) -> None:
    """It is said that these are a container's rules, with the ports on which dockerd answers name queries."""
    text = file.read_text()
    namespace = docker_of(text)["namespace"]
    assert namespace["kind"] == ("swarm-task" if "swarm-service-task" in file.name else "container")
    assert (namespace["first"], namespace["last"]) == ("1.12", None)
    assert namespace["resolver"] == {p: int(n) for p, n in _ports(text)} and len(namespace["resolver"]) == 2
    assert unattributed(text) == []
    assert networks_json(situation(text))["networks"] == []


def _ports(text: str) -> list[tuple[str, str]]:
    return re.findall(r"-p (\w+) -m \w+ --dport 53 -j DNAT --to-destination 127\.0\.0\.11:(\d+)", text)


def test_a_swarm_task_has_its_door() -> None:
    [port] = docker_of((FOLDER / "container-ns" / "29.7.2-91-swarm-service-task.ns4.txt").read_text())["namespace"][
        "ports"
    ]
    assert (port["address"], port["proto"], port["mesh_port"], port["port"]) == ("10.0.0.4", "tcp", 8080, 80)
    assert len(port["lines"]) == 3


def test_before_1_12_the_name_server_has_no_chains_of_its_own() -> None:
    text = dump(
        nat="""OUTPUT -d 127.0.0.11/32 -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:40000
        OUTPUT -d 127.0.0.11/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 127.0.0.11:40001
        POSTROUTING -s 127.0.0.11/32 -p udp -m udp --sport 40000 -j SNAT --to-source :53
        POSTROUTING -s 127.0.0.11/32 -p tcp -m tcp --sport 40001 -j SNAT --to-source :53"""
    )
    docker = docker_of(text)
    assert docker["versions"] == {"from": "1.10", "to": "1.11"}
    assert docker["namespace"]["resolver"] == {"udp": 40000, "tcp": 40001} and unattributed(text) == []


BALANCER = """DOCKER_OUTPUT -d 127.0.0.11/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination 127.0.0.11:40001
    OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT
    POSTROUTING -d 10.0.0.0/24 -m ipvs --ipvs -j SNAT --to-source 10.0.0.2"""


BY_ADDRESS = "INPUT -d 10.0.0.5/32 -j MARK --set-xmark 0x100/0xffffffff"
BY_PORT = "PREROUTING -p tcp -m tcp --dport 8080 -j MARK --set-xmark 0x100/0xffffffff"


@pytest.mark.parametrize(
    ("kind", "mangle"), [("ingress-sandbox", f"{BY_PORT}\n{BY_ADDRESS}"), ("load-balancer", BY_ADDRESS)]
)
def test_swarms_load_balancers(kind: str, mangle: str) -> None:
    text = dump(mangle=mangle, nat=BALANCER)
    assert docker_of(text)["namespace"]["kind"] == kind and unattributed(text) == []


def test_marks_of_others_are_not_swarms() -> None:
    text = dump(
        mangle="PREROUTING -p tcp -m tcp --dport 8080 -j MARK --set-xmark 0x1/0xffffffff\nOUTPUT -d 10.0.0.5/32 -j MARK --set-xmark 0x1/0xffffffff"
    )
    assert networks_json(situation(text))["docker"] is None and len(unattributed(text)) == 2


def test_doors_of_others_are_not_a_tasks() -> None:
    rules = "INPUT -d 10.0.0.4/32 -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT\nINPUT -d 10.0.0.4/32 -p tcp -j DROP"
    text = dump(filter=rules)
    assert networks_json(situation(text))["docker"] is None and len(unattributed(text)) == 2


def inside(text: str) -> str:
    """The dump with the rules of the name server in its table nat, as in a container on a network of its own."""
    query = "-A DOCKER_OUTPUT -d 127.0.0.11/32 -p udp -m udp --dport 53 -j DNAT --to-destination 127.0.0.11:5\n"
    dns = f"-A OUTPUT -d 127.0.0.11/32 -j DOCKER_OUTPUT\n{query}"
    return re.sub(r"(?s)(\*nat\n(?::.*?\n)+)", rf"\1:DOCKER_OUTPUT - [0:0]\n{dns}", text)


def test_a_daemon_inside_a_container() -> None:
    """Docker's chains and the name server in one namespace: what the daemon inside wrote, and what the one outside did."""
    docker = docker_of(inside(HOST))
    assert (docker["layout"], docker["namespace"]["kind"]) == ("internal-chain", "nested-daemon")
    assert unattributed(inside(HOST)) == []
    shown = CliRunner().invoke(program, ["explain", "-"], input=inside(HOST)).output
    assert "This Docker runs inside a container" in shown


def link(name: str, address: str, **more: Any) -> dict[str, Any]:
    return {"ifname": name, "addr_info": [{"family": "inet", "local": address, "prefixlen": 24}], **more}


def test_a_daemon_inside_a_container_by_its_interface() -> None:
    docker = docker_of(HOST, addresses=[link("eth0", "172.17.0.2", link_index=7, link_netnsid=0)])
    assert docker["namespace"]["kind"] == "nested-daemon"
    plain = docker_of(
        HOST, addresses=[link("eth0", "192.168.1.10"), {"ifname": "veth1", "master": "docker0", "link_netnsid": 0}]
    )
    assert plain["namespace"]["kind"] is None


def test_a_daemon_without_root() -> None:
    """Its namespace reaches the outside by tap0, or its ports are bound to the address that slirp4netns gives it."""
    assert (
        docker_of(HOST, addresses=[link("tap0", "10.0.2.100"), link("docker0", "172.17.0.1")])["namespace"]["kind"]
        == "rootless-daemon"
    )
    bound = HOST.replace("-A DOCKER ! -i bridge1", "-A DOCKER -d 10.0.2.100/32 ! -i bridge1")
    assert docker_of(bound)["namespace"]["kind"] == "rootless-daemon"
    assert "This Docker runs without root" in CliRunner().invoke(program, ["explain", "-"], input=bound).output
    assert docker_of(HOST)["namespace"]["kind"] is None


OVERLAYS = {
    "up to 20.10.23": ("u32", ("-m policy --dir in --pol ipsec {m} -j ACCEPT", "{m} -j DROP")),
    "20.10.24 to 24.0": (
        "u32",
        ("-m policy --dir in --pol none {m} -j DROP", "-m policy --dir in --pol ipsec {m} -j ACCEPT"),
    ),
    "since 25.0": ("bpf", ("-m policy --dir in --pol none {m} -j DROP",)),
}
VXLAN = {
    "u32": '-m udp --dport 4789 -m u32 --u32 "0x0>>0x16&0x3c@0xc&0xffffff00=0x100100"',
    "bpf": '-m udp --dport 4789 -m bpf --bytecode "7,32 0 0 4294963252,7 0 0 0,64 0 0 4,116 0 0 8,21 1 0 4097,6 0 0 0,6 0 0 4294967295"',
}  # fmt: skip


@pytest.mark.parametrize("when", OVERLAYS)
def test_encrypted_overlay_networks(when: str) -> None:
    match, rules = OVERLAYS[when]
    text = dump(
        mangle=f"OUTPUT -p udp {VXLAN[match]} -j MARK --set-xmark 0xd0c4e3/0xffffffff",
        filter="\n".join(f"INPUT -p udp {r.format(m=VXLAN[match])}" for r in rules),
    )
    [overlay] = networks_json(situation(text))["swarm"]["encrypted"]
    assert (overlay["vni"], overlay["port"], len(overlay["lines"])) == (4097, 4789, 1 + len(rules))
    assert unattributed(text) == []


def test_overlay_networks_on_the_host_itself() -> None:
    text = dump(
        filter="""FORWARD -j DOCKER-OVERLAY
        OUTPUT -j DOCKER-OVERLAY
        DOCKER-OVERLAY -o ov-000100-a1b2c -j a1b2c3d4e5f6
        DOCKER-OVERLAY -j RETURN
        a1b2c3d4e5f6 -i ov-000100-a1b2c -j ACCEPT
        a1b2c3d4e5f6 -j DROP"""
    )
    assert unattributed(text) == []
    assert len(unattributed(dump(filter="FORWARD -j a1b2c3d4e5f6\na1b2c3d4e5f6 -j DROP"))) == 2
