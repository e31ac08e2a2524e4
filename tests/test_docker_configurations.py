"""A configuration of Docker, written out by hand, must be read back from the rules that the engine wrote for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from iptexplain.explain.networks import networks_json
from iptexplain.explain.ports import ports_json
from iptexplain.explain.situation import Situation
from iptexplain.host.snapshot import read_snapshot

FOLDER = Path(__file__).parent.parent / "fixtures" / "docker" / "27.5"

PLAIN = {
    "icc": True,
    "internal": False,
    "masquerade": True,
    "snat_to": None,
    "gateway_mode": "nat",
    "userland_proxy": True,
}
INTERNAL = {**PLAIN, "internal": True, "masquerade": False, "gateway_mode": None}
NO_MASQUERADE = {**PLAIN, "masquerade": False, "subnets": []}
NO_ICC = {**PLAIN, "icc": False}
NO_PROXY = {**PLAIN, "userland_proxy": False}
SWARM = {**NO_ICC, "subnets": ["172.18.0.0/16"]}
SUBNETS = {"docker0": ["172.17.0.0/16"], "bridge1": ["192.0.2.0/24"], "bridge2": ["198.51.100.0/24"]}

Ports = list[tuple[str, int, str, str, int]]
CASES: dict[str, tuple[dict[str, dict[str, Any]], Ports]] = {
    "01-new-daemon": ({"docker0": PLAIN}, []),
    "02-usernet-empty": ({"docker0": PLAIN, "bridge1": PLAIN}, []),
    "03-usernet-unpublished": ({"docker0": PLAIN, "bridge1": PLAIN}, []),
    "04-two-usernets": ({"docker0": PLAIN, "bridge1": PLAIN, "bridge2": PLAIN}, []),
    "05-two-usernets-one-container-in-both": ({"docker0": PLAIN, "bridge1": PLAIN, "bridge2": PLAIN}, []),
    "10-docker0-pub-any": ({"docker0": PLAIN}, [("0.0.0.0", 8080, "tcp", "172.17.0.2", 80)]),
    "11-docker0-pub-hostip": ({"docker0": PLAIN}, [("192.168.1.10", 8081, "tcp", "172.17.0.2", 81)]),
    "12-docker0-pub-loopback": ({"docker0": PLAIN}, [("127.0.0.1", 8082, "tcp", "172.17.0.2", 82)]),
    "13-docker0-pub-range": (
        {"docker0": PLAIN},
        [("0.0.0.0", n, "tcp", "172.17.0.2", n) for n in range(9000, 9004)],
    ),
    "14-docker0-pub-udp-tcp": (
        {"docker0": PLAIN},
        [("0.0.0.0", 5353, "tcp", "172.17.0.2", 53), ("0.0.0.0", 5353, "udp", "172.17.0.2", 53)],
    ),
    "16-docker0-pub-mixed-two-containers": (
        {"docker0": PLAIN},
        [
            ("0.0.0.0", 8080, "tcp", "172.17.0.2", 80),
            ("192.168.1.10", 8081, "tcp", "172.17.0.2", 81),
            ("127.0.0.1", 8082, "tcp", "172.17.0.2", 82),
            ("0.0.0.0", 5353, "udp", "172.17.0.2", 53),
            ("0.0.0.0", 8090, "tcp", "172.17.0.3", 80),
        ],
    ),
    "20-usernet-pub-any": ({"docker0": PLAIN, "bridge1": PLAIN}, [("0.0.0.0", 8080, "tcp", "192.0.2.2", 80)]),
    "21-usernet-pub-loopback": ({"docker0": PLAIN, "bridge1": PLAIN}, [("127.0.0.1", 8080, "tcp", "192.0.2.2", 80)]),
    "22-two-usernets-pub": (
        {"docker0": PLAIN, "bridge1": PLAIN, "bridge2": PLAIN},
        [("0.0.0.0", 8080, "tcp", "192.0.2.2", 80), ("0.0.0.0", 8081, "tcp", "198.51.100.2", 80)],
    ),
    "30-noicc-daemon": ({"docker0": NO_ICC}, []),
    "32-noicc-link": ({"docker0": NO_ICC}, []),
    "33-noicc-link-published": ({"docker0": NO_ICC}, [("0.0.0.0", 8080, "tcp", "172.17.0.5", 80)]),
    "34-icc-link": ({"docker0": PLAIN}, []),
    "35-usernet-noicc-pub": ({"docker0": PLAIN, "bridge1": NO_ICC}, [("0.0.0.0", 8080, "tcp", "192.0.2.2", 80)]),
    "40-internal": ({"docker0": PLAIN, "bridge1": INTERNAL}, []),
    "41-internal-plus-external": (
        {"docker0": PLAIN, "bridge1": INTERNAL, "bridge2": PLAIN},
        [("0.0.0.0", 8080, "tcp", "198.51.100.2", 80)],
    ),
    "42-internal-noicc": ({"docker0": PLAIN, "bridge1": {**INTERNAL, "icc": False}}, []),
    "50-noproxy-daemon": ({"docker0": NO_PROXY}, []),
    "51-noproxy-pub-any": ({"docker0": NO_PROXY}, [("0.0.0.0", 8080, "tcp", "172.17.0.2", 80)]),
    "52-noproxy-pub-loopback": ({"docker0": NO_PROXY}, [("127.0.0.1", 8080, "tcp", "172.17.0.2", 80)]),
    "53-noproxy-usernet-pub": (
        {"docker0": NO_PROXY, "bridge1": NO_PROXY},
        [("0.0.0.0", 8080, "tcp", "192.0.2.2", 80)],
    ),
    "60-routed": (
        {"docker0": PLAIN, "bridge1": {**NO_MASQUERADE, "gateway_mode": "routed"}, "bridge2": PLAIN},
        [],
    ),
    "70-no-masq": ({"docker0": PLAIN, "bridge1": NO_MASQUERADE}, [("0.0.0.0", 8080, "tcp", "192.0.2.2", 80)]),
    "71-no-masq-daemon": ({"docker0": NO_MASQUERADE}, [("0.0.0.0", 8080, "tcp", "172.17.0.2", 80)]),
    "72-host-binding": ({"docker0": PLAIN, "bridge1": PLAIN}, [("192.168.1.10", 8080, "tcp", "192.0.2.2", 80)]),
    "73-host-ipv4-snat": (
        {"docker0": PLAIN, "bridge1": {**PLAIN, "masquerade": False, "snat_to": "192.168.1.10"}},
        [("0.0.0.0", 8080, "tcp", "192.0.2.2", 80)],
    ),
    "75-preexisting-user-rules": (
        {"docker0": PLAIN, "bridge1": PLAIN},
        [("0.0.0.0", 8080, "tcp", "192.0.2.2", 80)],
    ),
    "80-after-daemon-restart": ({"docker0": PLAIN, "bridge1": PLAIN, "bridge2": PLAIN}, []),
    "81-after-container-stop": ({"docker0": PLAIN, "bridge1": PLAIN, "bridge2": PLAIN}, []),
    "90-swarm-init": ({"docker0": PLAIN, "docker_gwbridge": SWARM}, []),
}


def situation(name: str, family: int = 4) -> Situation:
    file = FOLDER / name / f"rules.v{family}"
    return Situation(read_snapshot(file.read_text(), file.name), family)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CASES)
def test_configuration_is_read_back(name: str) -> None:
    networks, ports = CASES[name]
    found = networks_json(situation(name))
    assert found["docker"] and found["docker"]["layout"] == "stage-isolation"
    assert found["docker"]["versions"] == {"from": "18.03.1", "to": "27.5.1"}
    expected = {
        b: {"subnets": SUBNETS.get(b), **settings, "default": b == "docker0"} for b, settings in networks.items()
    }
    assert {n["bridge"]: {k: n[k] for k in expected.get(n["bridge"], n)} for n in found["networks"]} == expected
    published = ports_json(situation(name))["ports"]
    keys = ("host_ip", "host_port", "proto", "container_ip", "container_port")
    assert sorted(tuple(p[k] for k in keys) for p in published) == sorted(ports)


@pytest.mark.parametrize("name", CASES)
def test_every_rule_of_dockers_chains_is_known(name: str) -> None:
    """The engine wrote them all itself, but for what an administrator put into DOCKER-USER."""
    docker = situation(name).docker
    assert docker.stray == []
    assert len(docker.user_rules) == (1 if name == "75-preexisting-user-rules" else 0)


@pytest.mark.parametrize("name", CASES)
def test_networks_are_kept_apart_by_the_right_rules(name: str) -> None:
    """Between any two of Docker's networks nothing passes, and the deciding rule is a DROP of Docker's own."""
    asked = situation(name)
    bridges = {n.bridge for n in asked.docker.networks}
    for pair in networks_json(asked)["reach"]:
        if {pair["from"], pair["to"]} <= bridges:
            assert pair["verdict"] == "dropped"
            assert asked.dump.line(pair["by"]["line"]).endswith("-j DROP")
            assert pair["by"]["chain"].startswith("DOCKER-ISOLATION")


def test_links_with_icc_off() -> None:
    [link] = situation("32-noicc-link").docker.links
    assert (link.client, link.server, link.port, len(link.lines)) == ("172.17.0.4", "172.17.0.2", 80, 2)


def test_ipv6() -> None:
    both = situation("23-usernet-ipv6-pub-any", 6)
    [network] = [n for n in both.docker.networks if n.bridge == "bridge1"]
    assert network.subnets == ("2001:db8:1::/64",)
    [port] = ports_json(both)["ports"]
    assert (port["host_ip"], port["container_ip"], port["bridge"]) == ("::", "2001:db8:1::2", "bridge1")
