"""Rules from a compose file: the same as from Docker's inspect JSON of its containers, and an error for what only Docker knows."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from iptexplain.commands import program
from iptexplain.errors import OptionError
from iptexplain.generate.compose.facts import inspected
from iptexplain.generate.compose.networks import DOCKER0
from iptexplain.generate.compose.project import Project, is_compose, read_project
from iptexplain.generate.compose.variables import Variables, read_variables
from iptexplain.generate.engine import dump_of
from iptexplain.generate.wanted import Wanted, wanted
from iptexplain.host.inspected import docker_facts
from tests.conftest import Golden
from tests.docker_random import Dice, setup
from tests.test_generate_inspected import PREFIX, recorded
from tests.test_generate_inspected import inspected as inspected_setup

FIXTURES = Path(__file__).parent.parent / "fixtures"
COMPOSE = FIXTURES / "compose"
NET = (
    "networks: {default: {driver_opts: {com.docker.network.bridge.name: br0}, ipam: {config: [{subnet: 172.30.0.0/24}]}}}\n"
    "services:\n"
)
"""A file whose services are on one network, from line 3 on."""
FIXED = "networks: {default: {ipv4_address: 172.30.0.2}}"


def replace(*words: str) -> Result:
    return CliRunner().invoke(program, ["generate", "replace", *words])


def given(folder: Path, text: str, *options: str) -> Result:
    (folder / "compose.yaml").write_text(text, encoding="utf-8")
    return replace(str(folder / "compose.yaml"), "--no-prove", *options)


def read(text: str, variables: dict[str, str] | None = None, folder: str = "app") -> tuple[Project, dict[str, Any]]:
    """The project, and it as inspect JSON; nothing may be wrong with it."""
    project = read_project(text, "compose.yaml", folder, variables or {})
    docker = inspected(project)
    assert not project.written.errors, [e.message for e in project.written.errors]
    return project, docker


def both(docker: dict[str, Any]) -> list[str]:
    return [dump_of(wanted(docker, family)) for family in (4, 6)]


# -- the same rules as from inspect JSON


@pytest.mark.parametrize("case", ["user-network", "internal-network"])
def test_a_recorded_host_has_the_rules_of_its_inspect_json(case: str) -> None:
    docker = recorded(case)
    _, composed = read((COMPOSE / f"recorded/{case}.yaml").read_text())
    assert both(composed) == both(docker_facts(docker["networks"], docker["containers"]))
    result = replace(str(COMPOSE / f"recorded/{case}.yaml"), "--style", "flat")
    assert result.exit_code == 0, result.output
    assert "IPv4: proved" in result.stderr


def compose_of(docker: dict[str, Any]) -> str:
    """A compose file that makes these networks and containers, each service on one network."""
    networks = {}
    for n in docker["networks"]:
        body: dict[str, Any] = {
            "driver_opts": {key: value for key, value in n["Options"].items() if value}, "internal": n["Internal"],
            "enable_ipv4": n["EnableIPv4"], "enable_ipv6": n["EnableIPv6"],
            "ipam": {"config": [{"subnet": c["Subnet"]} for c in n["IPAM"]["Config"]]},
        }  # fmt: skip
        is_default = n["Name"] == "bridge"
        networks[n["Name"]] = (
            {"external": True, "name": "bridge", "x-iptexplain": body} if is_default else {"name": n["Name"], **body}
        )
    services = {}
    for c in docker["containers"]:
        name = c["Name"].lstrip("/")
        (network, settings), *_ = c["NetworkSettings"]["Networks"].items()
        address = {f"ipv{6 if 'Global' in key else 4}_address": settings[key] for key in settings if "Address" in key}
        ports = [
            f"{'[' + b['HostIp'] + ']' if ':' in b['HostIp'] else b['HostIp']}:{b['HostPort']}:{inner}"
            for inner, bindings in c["NetworkSettings"]["Ports"].items()
            for b in bindings
        ]
        services[name] = {"container_name": name, "networks": {network: address}, "ports": ports}
    return yaml.safe_dump({"services": services, "networks": networks})


@pytest.mark.exhaustive
@pytest.mark.parametrize("family", [4, 6])
def test_random_hosts_have_the_rules_of_their_inspect_json(family: int) -> None:
    """Those rules are held against the engine's own in test_generate_inspected.py."""
    seed = random.randrange(2**32)
    dice = Dice(seed)
    compared = 0
    for n in range(60):
        s = setup(dice, "29.7.2", family)
        raw = inspected_setup(s._replace(nets=tuple(net for net in s.nets if net.subnet), links=()))
        containers = []
        for c in raw["containers"]:
            c["Name"] = f"/{c['Name'].strip('/').replace(':', '-')}"
            if "bridge" not in c["NetworkSettings"]["Networks"]:
                containers.append(c)
        used = {name for c in containers for name in c["NetworkSettings"]["Networks"]}
        if not used or len({c["Name"] for c in containers}) < len(containers):
            continue
        networks = [n for n in raw["networks"] if n["Name"] in used | {"bridge"}]
        docker = docker_facts(networks if family == 4 else [*networks, DOCKER0], containers)
        shown = {**docker, "networks": [x for x in docker["networks"] if x["Name"] in used | {"bridge"} or family == 4]}
        text = compose_of({**shown, "networks": [x for x in shown["networks"] if family == 4 or x["Name"] != "bridge"]})
        _, composed = read(text)
        assert both(composed) == both(docker), (seed, n)
        compared += 1
    assert compared > 20, seed


# -- what is read


def ports_of(docker: dict[str, Any], family: int = 4) -> list[tuple[str | None, int, int, str]]:
    found: Wanted = wanted(docker, family)  # type: ignore[arg-type]
    return [(p.host_ip, p.host_port, p.port, p.proto) for p in found.ports]


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ("['8080:80']", [(None, 8080, 80, "tcp")]),
        ("['8080:80/UDP']", [(None, 8080, 80, "udp")]),
        ("['8080:80/sctp']", [(None, 8080, 80, "sctp")]),
        ("['127.0.0.1:8080:80/tcp']", [("127.0.0.1", 8080, 80, "tcp")]),
        ("['0.0.0.0:8080:80']", [(None, 8080, 80, "tcp")]),
        ("['[::1]:8080:80', '::1:8081:80']", []),
        ("['3000-3002:4000-4002']", [(None, 3000, 4000, "tcp"), (None, 3001, 4001, "tcp"), (None, 3002, 4002, "tcp")]),
        ("[8080:80]", [(None, 8080, 80, "tcp")]),
        ("[{target: 80, published: 8080}]", [(None, 8080, 80, "tcp")]),
        ("[{target: 80, published: '8080', host_ip: 192.0.2.1, protocol: udp, mode: ingress, name: web, x-why: y}]",
         [("192.0.2.1", 8080, 80, "udp")]),
        ("", []),
        ("[]", []),
    ],
)  # fmt: skip
def test_ports(ports: str, expected: list[tuple[str | None, int, int, str]]) -> None:
    _, docker = read(f"{NET}  web: {{ports: {ports}, {FIXED}}}\n")
    assert ports_of(docker) == expected


def test_ports_of_ipv6_and_of_both_families() -> None:
    network = (
        "networks: {default: {enable_ipv6: true, driver_opts: {com.docker.network.bridge.name: br0}, "
        "ipam: {config: [{subnet: 172.30.0.0/24}, {subnet: 'fd00:30::/64'}]}}}\n"
    )
    fixed = "networks: {default: {ipv4_address: 172.30.0.2, ipv6_address: 'fd00:30::2'}}"
    _, docker = read(f"{network}services: {{web: {{ports: ['[::1]:81:80', '82:80'], {fixed}}}}}")
    assert ports_of(docker) == [(None, 82, 80, "tcp")]
    assert ports_of(docker, 6) == [("::1", 81, 80, "tcp"), (None, 82, 80, "tcp")]


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("com.docker.network.bridge.host_binding_ipv4: 127.0.0.1", [("127.0.0.1", 8080, 80, "tcp")]),
        ("com.docker.network.bridge.host_binding_ipv4: 0.0.0.0", [(None, 8080, 80, "tcp")]),
        ("com.docker.network.bridge.gateway_mode_ipv4: routed", [(None, 8080, 80, "tcp"), (None, 53, 53, "udp")]),
    ],
)
def test_what_a_network_says_of_ports(option: str, expected: list[tuple[str | None, int, int, str]]) -> None:
    """A port without one of the host's is no error where the container's own address is asked for (routed)."""
    text = NET.replace("name: br0", f"name: br0, {option}")
    more = ", '53/udp'" if "routed" in option else ""
    _, docker = read(f"{text}  web: {{ports: ['8080:80'{more}], {FIXED}}}\n")
    assert ports_of(docker) == expected


def test_containers_of_a_routed_network_may_have_the_same_port() -> None:
    """There is no port of the host that they would share."""
    text = NET.replace("name: br0", "name: br0, com.docker.network.bridge.gateway_mode_ipv4: routed")
    other = FIXED.replace("0.2", "0.3")
    _, docker = read(f"{text}  web: {{ports: ['8080:80'], {FIXED}}}\n  two: {{ports: ['8080:80'], {other}}}\n")
    assert len(ports_of(docker)) == 2


@pytest.mark.parametrize(
    ("mode", "note"),
    [
        ("network_mode: host, ports: ['80:80']", "the network mode host: Docker publishes none of its ports"),
        ("network_mode: none, ports: ['80:80']", "the network mode none: Docker publishes none of its ports"),
        ("network_mode: 'service:db'", ""),
        ("network_mode: 'container:other'", ""),
        ("network_mode: bridge, links: [db]", ""),
        ("scale: 0, ports: ['80']", ""),
        ("deploy: {replicas: 3}", "an address of service web is known to Docker alone"),
        ("provider: {type: cloud}", ""),
        ("profiles: [debug], ports: ['80']", "service web is left out, for its profile is not active: debug"),
        ("networks: [default]", "an address of service web is known to Docker alone"),
        ("networks: {default: }", "an address of service web is known to Docker alone"),
        ("networks: {default: ~}", "an address of service web is known to Docker alone"),
        ("expose: [80], links: ['db:database']", "an address of service web is known to Docker alone"),
    ],
)
def test_services_without_published_ports(mode: str, note: str) -> None:
    project, docker = read(f"{NET}  web: {{{mode}}}\n  db: {{{FIXED}}}\n")
    assert not ports_of(docker)
    assert any(note in told for told in project.notes)


def test_an_internal_network_publishes_nothing() -> None:
    text = NET.replace("{default: {", "{default: {internal: true, ")
    project, docker = read(f"{text}  web: {{ports: ['80:80'], {FIXED}}}\n")
    assert not ports_of(docker)
    assert any("service web is on no network with a way to the outside" in note for note in project.notes)


def test_names_of_the_project_its_networks_and_containers() -> None:
    """As compose makes them."""
    text = f"{NET}  web: {{{FIXED}}}\n  db: {{container_name: The_db}}\n  two: {{scale: 2}}\n"
    for variables, top, expected in (
        ({}, "", "my_app-1"),
        ({}, "name: Other App\n", "otherapp"),
        ({"COMPOSE_PROJECT_NAME": "third"}, "name: other\n", "third"),
    ):
        _, docker = read(top + text, variables, folder="_My_App-1!")
        assert [c["Name"] for c in docker["containers"]] == [
            "/The_db", *sorted((f"/{expected}-two-1", f"/{expected}-two-2", f"/{expected}-web-1")),
        ]  # fmt: skip
        assert [n["Name"] for n in docker["networks"]] == sorted(["bridge", f"{expected}_default"])


def test_docker0_is_assumed_and_can_be_described() -> None:
    project, docker = read(f"{NET}  web: {{{FIXED}}}\n")
    assert any("docker0, has 172.17.0.0/16" in note for note in project.notes)
    assert [n["IPAM"]["Config"] for n in docker["networks"] if n["Name"] == "bridge"] == [[{"Subnet": "172.17.0.0/16"}]]
    described = "bridge: {external: true, name: bridge, x-iptexplain: {ipam: {config: [{subnet: 10.9.0.0/16}]}}}"
    project, docker = read(f"{NET}  web: {{{FIXED}}}\n".replace("networks: {", f"networks: {{{described}, ", 1))
    assert not any("docker0" in note for note in project.notes)
    found = next(n for n in wanted(docker, 4).networks if n.name == "bridge")
    assert (found.bridge, found.subnets) == ("docker0", ("10.9.0.0/16",))


def test_an_external_network_can_be_described() -> None:
    text = (
        "services: {web: {ports: ['80:80'], networks: {proxy: {ipv4_address: 10.8.0.2}}}}\n"
        "networks: {proxy: {external: true, name: traefik, x-iptexplain: {driver_opts: {com.docker.network.bridge.name: br9}, "
        "ipam: {config: [{subnet: 10.8.0.0/24}]}}}}\n"
    )
    _, docker = read(text)
    assert [(n.name, n.bridge) for n in wanted(docker, 4).networks] == [("bridge", "docker0"), ("traefik", "br9")]


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan", "none", "host"])
def test_networks_without_a_bridge_have_no_rules(driver: str) -> None:
    network = f"{{driver: {driver}}}" if "vlan" in driver else f"{{external: true, name: {driver}}}"
    _, docker = read(f"services: {{web: {{networks: [lan]}}}}\nnetworks: {{lan: {network}}}\n")
    assert [n.name for n in wanted(docker, 4).networks] == ["bridge"]


def test_what_docker_compose_config_prints_is_read(tmp_path: Path) -> None:
    """As YAML and as JSON, with its nulls."""
    model = {
        "name": "app",
        "services": {"web": {"command": None, "entrypoint": None, "networks": {"default": None}}},
        "networks": {
            "default": {
                "name": "app_default", "driver_opts": {f"{PREFIX}name": "br0"}, "ipam": {"config": [{"subnet": "10.7.0.0/24"}]},
            }
        },
    }  # fmt: skip
    for text in (yaml.safe_dump(model), json.dumps(model, indent=2), json.dumps(model)):
        assert is_compose(text)
        assert "br0" in given(tmp_path, text).stdout


def test_the_answer(golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rules with their notes and the proof; a variable of an --env-file counts, and is named with its file."""
    monkeypatch.chdir(COMPOSE / "shop")
    monkeypatch.setenv("WEB_PORT", "1")
    for name, words in (("default", []), ("prod", ["--env-file", "prod.env", "--style", "flat"])):
        result = replace("compose.yaml", *words)
        assert result.exit_code == 0, result.output
        golden(COMPOSE / f"shop/{name}.txt", f"{result.stdout}\n----\n{result.stderr}")
        assert "not a word of it" not in result.output


# -- variables


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("a", "a"), ("$A-$$A", "1-$A"), ("${A}${A}", "11"), ("${E-x}", ""), ("${E:-x}", "x"), ("${N-x}", "x"), ("${N:-x}", "x"),
        ("${N:-${A}}", "1"), ("${N:-${M:-y}}z", "yz"), ("${N:-}", ""), ("${A:+x}", "x"), ("${N:+x}", ""), ("${A:?no}", "1"), ("${E?no}", ""),
        ("${A:-${N}}", "1"),
    ],
)  # fmt: skip
def test_variables(text: str, filled: str) -> None:
    assert Variables({"A": "1", "E": ""}).filled(text) == filled


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("$N", "the variable N is not set: name a file with a line N=... by --env-file"),
        ("${N:?say a port}", "the variable N is not set: say a port"),
        ("${E:?}", "the variable E is not set"),
        ("${N:-${M}}", "the variable M is not set"),
        ("$", "is no variable"), ("${", "is no variable"), ("${A", "is no variable"), ("${A/x/y}", "is no variable"), ("$(id)", "is no variable"),
        ("${A:-x", "is no variable"), ("$1", "is no variable"),
    ],
)  # fmt: skip
def test_variables_that_are_none(text: str, why: str) -> None:
    with pytest.raises(OptionError, match=why.replace("$", r"\$").replace("?", r"\?")):
        Variables({"A": "1", "E": ""}).filled(text)


def test_env_files() -> None:
    text = (
        '# A=0\nA=1\nexport B = two words # why\nC=\'$A # "\'\nD="$A\\n\\$A"\nE=${A}${Z:-z}\nF=a#b\nG=\n'
        "H=\"two\nlines\"\nno line\nI=\"open\nJ='x' # y\nK=${Z}\n L='a'b\n"
    )
    assert read_variables(text, {"A": "0", "Y": "y"}) == {
        "A": "1", "Y": "y", "B": "two words", "C": '$A # "', "D": "1\n$A", "E": "1z", "F": "a#b", "G": "", "H": "two\nlines", "J": "x",
    }  # fmt: skip


def test_a_default_that_was_taken_is_told(tmp_path: Path) -> None:
    result = given(tmp_path, f"{NET}  web: {{ports: ['${{P:-8080}}:80'], {FIXED}}}\n")
    assert "note: the variable P is not set by an --env-file: '8080' was taken" in result.stderr
    assert "# The variable P is not set" in result.stdout


# -- what is refused


@pytest.mark.parametrize(
    ("service", "says"),
    [
        ("ports: ['8080:80']", "service web: its IPv4 address on network default is missing"),
        ("ports: ['80'], " + FIXED, "the port of the host that leads to 80/tcp is missing"),
        ("ports: ['8000-9000:80'], " + FIXED, "Docker chooses one when the container starts, from 8000 to 9000"),
        ("ports: [{target: 80}], " + FIXED, "the port of the host that leads to 80/tcp is missing"),
        ("ports: [{published: 80}], " + FIXED, "'target', the port of the container, is missing"),
        ("ports: [{target: 80, publish: 80}], " + FIXED, "unknown key 'publish': did you mean 'published'?"),
        ("ports: ['80-81:80-82'], " + FIXED, "80-81 and 80-82 are ranges of different lengths"),
        ("ports: ['80:80/icmp'], " + FIXED, "'icmp' is no protocol that can be published"),
        ("ports: ['1.2.3:80:80'], " + FIXED, "'1.2.3' is no address"),
        ("ports: ['web:80:80'], " + FIXED, "'web' is no address"),
        ("ports: ['0:80'], " + FIXED, "'0' is no port"),
        ("ports: ['80:65536'], " + FIXED, "'65536' is no port"),
        ("ports: ['81-80:81-80'], " + FIXED, "'81-80' is no port and no range of ports"),
        ("ports: [':'], " + FIXED, "has no port of the container"),
        ("ports: 80:80, " + FIXED, "write a list ('- ...'), not a text"),
        ("ports: [[80]], " + FIXED, "write a mapping, not a list"),
        ("ports: ['80:80', '127.0.0.1:80:81'], " + FIXED, "publishes 80/tcp already"),
        ("ports: ['80:80'], deploy: {replicas: 2}", "its 2 containers cannot all be published by the same ports"),
        ("scale: 2, " + FIXED, "its 2 containers cannot all have 172.30.0.2"),
        ("scale: many", "scale: write a number"),
        ("scale: -1", "from 0 to 1000"),
        ("ports: ['80:80'], network_mode: bridge", "on the default bridge Docker lets nobody choose one"),
        ("ports: ['80:80'], network_mode: 'service:db'", "Docker refuses 'ports' here"),
        ("network_mode: 'service:x'", "there is no active service 'x'"),
        ("network_mode: default2", "the network mode 'default2' is not known"),
        ("network_mode: host, " + FIXED, "give 'networks' or 'network_mode', not both"),
        ("networks: [front]", "there is no network 'front' in this file"),
        ("networks: {default: {ipv4_address: 172.31.0.2}}", "172.31.0.2 lies in no subnet of network default"),
        ("networks: {default: {ipv4_address: 172.30.0.1}}", "172.30.0.1 is the address of the bridge"),
        ("networks: {default: {ipv4_address: 'fd00::1'}}", "'fd00::1' is not an IPv4 address"),
        ("networks: {default: {ipv4_address: 172.30.0.300}}", "'172.30.0.300' is not an IPv4 address"),
        ("networks: {default: {ipv4_adress: 172.30.0.2}}", "did you mean 'ipv4_address'?"),
        ("networks: {default: {gw_priority: high}}", "gw_priority: write a number"),
        ("container_name: '-x'", "'-x' is no name of a container"),
        ("container_name: x", "'x' is no name of a container"),
        ("prots: ['80:80']", "unknown key 'prots': did you mean 'ports'?"),
        ("extends: {service: db}", "'extends' is not followed: give what 'docker compose config' prints"),
        ("ports: ['${PORT}:80'], " + FIXED, "the variable PORT is not set"),
        ("<<: text", "'<<' brings in a mapping, not a text"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_service_is_told_with_its_line(service: str, says: str, tmp_path: Path) -> None:
    result = given(tmp_path, f"{NET}  web: {{{service}}}\n  db: {{}}\n")
    assert (result.exit_code, result.stdout) == (3, ""), result.output
    assert "compose.yaml:3: " in result.stderr and says in result.stderr


OPTS = "driver_opts: {com.docker.network.bridge.name: br1}"
IPAM = "ipam: {config: [{subnet: 172.31.0.0/24}]}"


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (IPAM, "write 'networks: {n1: {driver_opts: {com.docker.network.bridge.name: br-n1}}}'"),
        (f"driver_opts: {{com.docker.network.bridge.name: ''}}, {IPAM}", "the name of its bridge is missing"),
        (OPTS, "its IPv4 subnet is missing, for which Docker would take one that is free: write 'networks: {n1: {ipam: "),
        (f"{OPTS}, {IPAM}, enable_ipv6: true", "its IPv6 subnet is missing"),
        (f"{OPTS}, {IPAM}, enable_ipv6: maybe", "enable_ipv6: write true or false"),
        (f"{OPTS}, ipam: {{config: [{{subnet: 172.31.0.0}}]}}", "'172.31.0.0' is no subnet"),
        (f"{OPTS}, ipam: {{config: [{{subnet: 172.31.0.7/24}}]}}", "'172.31.0.7/24' is an address in 172.31.0.0/24"),
        (f"{OPTS}, ipam: {{config: [{{subnet: 172.31.0.0/33}}]}}", "prefix length 33 is longer than 32"),
        (f"{OPTS}, ipam: {{conf: []}}", "did you mean 'config'?"),
        (f"{OPTS}, ipam: {{config: [{{subnet: 172.30.0.128/25}}]}}", "172.30.0.128/25 overlaps with that of network default"),
        (f"{OPTS}, ipam: {{config: [{{subnet: 172.16.0.0/12}}]}}", "overlaps with 172.17.0.0/16, which docker0 has"),
        (f"driver_opts: {{com.docker.network.bridge.name: br0}}, {IPAM}", "network default has the bridge br0 already"),
        (f"name: app_default, {OPTS}, {IPAM}", "network default has the name app_default already"),
        (f"name: a b, {OPTS}, {IPAM}", "'a b' is no name of a network"),
        (f"driver: weave, {IPAM}", "what the driver 'weave' needs is not known"),
        ("driver: overlay", "an overlay network belongs to a swarm"),
        ("external: true", "it is external, so this file does not say what it is like"),
        (f"external: true, x-iptexplain: {{{IPAM}}}", "write 'networks: {n1: {x-iptexplain: {driver_opts: "),
        (f"external: true, x-iptexplain: {{{OPTS}, {IPAM}, intern: true}}", "did you mean 'internal'?"),
        (f"driver_opts: {{com.docker.network.bridge.name: 'a b'}}, {IPAM}", "is no name of an interface"),
        (f"driver_opts: {{com.docker.network.bridge.name: br1, com.docker.network.bridge.icc: 'no'}}, {IPAM}", "unknown key"),
        (f"driver_opts: {{com.docker.network.bridge.name: br1, com.docker.network.bridge.enable_icc: 'no'}}, {IPAM}",
         'enable_icc: write "true" or "false"'),
        (f"driver_opts: {{com.docker.network.bridge.name: br1, com.docker.network.enable_ipv6: 'true'}}, {IPAM}",
         "write 'enable_ipv6: true' beside driver_opts"),
        (f"driver_opts: {{com.docker.network.bridge.name: br1, com.docker.network.bridge.gateway_mode_ipv4: x}}, {IPAM}",
         "the gateway mode 'x' is not known"),
        (f"driver_opts: {{com.docker.network.bridge.name: br1, com.docker.network.host_ipv4: x}}, {IPAM}", "'x' is not an IPv4"),
        (f"subnet: 10.0.0.0/8, {OPTS}, {IPAM}", "unknown key 'subnet'"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_network_is_told_with_its_line(network: str, says: str, tmp_path: Path) -> None:
    text = NET.replace("}}}\n", f"}}}},\nn1: {{{network}}}}}\n")
    (tmp_path / "app").mkdir()
    result = given(tmp_path / "app", f"{text}  web: {{networks: [default, n1]}}\n")
    assert (result.exit_code, result.stdout) == (3, ""), result.output
    assert "compose.yaml:2: " in result.stderr and says in result.stderr


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("services:\n", 1, "there are no services in it that are active"),
        ("services: [web]\n", 1, "services: write a mapping, not a list"),
        ("services:\n  web: text\n", 2, "service web: write a mapping, not a text"),
        ("services:\n  we b: {}\n", 2, "'we b' has characters that compose does not take"),
        ("include: [a.yaml]\nservices: {}\n", 1, "'include' is not followed"),
        ("service: {}\n", 1, "unknown key 'service': did you mean 'services'?"),
        ("- a\n", 1, "a compose file: write a mapping, not a list"),
        ("", 1, "there are no services in it that are active"),
        ("services: {web: {}}\nservices: {}\n", 2, "'services' was given in line 1 already"),
        ("services: {web: {}, a: *x}\n", 1, "not YAML"),
        ("services: &x {web: *x}\n", 1, "this is nested too deeply, or contains itself"),
        ("services: {web: {}}\n---\nservices: {}\n", 2, "not YAML: expected a single document"),
    ],
)
def test_what_is_wrong_with_the_file(text: str, line: int, says: str, tmp_path: Path) -> None:
    result = given(tmp_path, text)
    assert (result.exit_code, result.stdout) == (3, ""), result.output
    assert f"compose.yaml:{line}: " in result.stderr and says in result.stderr


def test_all_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    """Of containers, too, whose networks are not described yet."""
    networks = "networks:\n  a:\n  b: {external: true}\n"
    result = given(tmp_path, f"services:\n  web:\n    ports: ['80', '81:81']\n    networks: [a, b]\n{networks}")
    expected = {
        (3, "service web: the port of the host that leads to 80/tcp is missing"),
        (4, "service web: its IPv4 address on network b is missing"),
        (6, "network a: the name of its bridge is missing"),
        (6, "network a: its IPv4 subnet is missing"),
        (7, "network b: it is external"),
    }
    told = result.stderr.split("\n")
    assert all(any(f"compose.yaml:{line}: {says}" in each for each in told) for line, says in expected), result.stderr
    assert result.stderr.endswith(f"{len(expected)} errors: SOURCE was not read.\n")


def test_standard_input_has_no_folder_to_be_called_by() -> None:
    text = f"{NET}  web: {{{FIXED}}}\n"
    run = CliRunner().invoke(program, ["generate", "replace", "-", "--no-prove"], input=text)
    assert run.exit_code == 3 and "the project has no name: write 'name: NAME' at the top" in run.stderr
    run = CliRunner().invoke(program, ["generate", "replace", "-", "--no-prove"], input=f"name: x\n{text}")
    assert run.exit_code == 0, run.output


@pytest.mark.parametrize("text", ["hello\n", "a: b\n"])
def test_what_is_nothing_of_all_this_is_told_what_was_tried(text: str, tmp_path: Path) -> None:
    (tmp_path / "rules").write_text(text)
    result = replace(str(tmp_path / "rules"))
    assert result.exit_code == 3
    for tried in ("no line '*filter'", "no snapshot and no inspect JSON", "no compose file"):
        assert tried in result.stderr


def test_a_dump_may_be_called_yaml(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text((FIXTURES / "docker/20.10/two-networks/rules.v4").read_text())
    assert replace(str(tmp_path / "rules.yaml"), "--no-prove").exit_code == 0


# -- nasty values


NASTY = (
    "$(touch x)", "`touch x`", "a'b", 'a"b', "a;b", "a b", "-j ACCEPT", "a\nb", "a\x1b[31mb", "\u202eb", "${A:-$(x)}", "*", "a\\nb", "$$(x)",
    "\x7f", "%s", "{{ x }}", "a/b", "é", "9" * 5000, "::1", "1.2.3.4/0", "0x50", "-1", "", "~", "[", "*x", "!!python/object:os.system x",
)  # fmt: skip


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in it with each of its keys or numbers."""
    if not isinstance(value, dict | list):
        return []
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    return [*((value, key) for key in keys), *(place for key in keys for place in places(value[key]))]


def spoil(dice: Dice, model: Any) -> None:
    """A nasty text in place of some value or key, or a value of another kind."""
    for holder, key in dice.sample(places(model), dice.randint(1, 3)):
        if isinstance(holder, dict) and dice.often(0.2):
            holder[dice.choice(NASTY)] = holder.pop(key, None)
        elif isinstance(holder, dict) or key < len(holder):
            others = ([], {}, [[]], None, 7, True, {"<<": {"a": 1}}, {"a": dice.choice(NASTY)})
            holder[key] = dice.choice(others) if dice.often(0.2) else dice.choice(NASTY)


@pytest.mark.exhaustive
def test_nothing_nasty_gets_into_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback for any of it, and no control character and no expansion in what is printed."""
    monkeypatch.chdir(tmp_path)
    seed = random.randrange(2**32)
    dice = Dice(seed)
    text = (COMPOSE / "shop/compose.yaml").read_text()
    printed = 0
    for n in range(100):
        model = yaml.safe_load(text)
        spoil(dice, model)
        (tmp_path / "compose.yaml").write_text(yaml.safe_dump(model, allow_unicode=True), encoding="utf-8")
        result = replace("compose.yaml", "--format", "script", "--no-prove")
        assert result.exception is None or isinstance(result.exception, SystemExit), (seed, n, result.exception)
        assert result.exit_code in (0, 2, 3), (seed, n, result.output)
        assert all(c.isprintable() or c in "\n\t" for c in result.output), (seed, n)
        if result.exit_code == 0:
            printed += 1
            assert not any(text in result.stdout for text in ("touch x", "$(x)", "{{", "!!python")), (seed, n)
    assert printed, seed


@pytest.mark.exhaustive
def test_no_text_is_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with characters lost, doubled and put elsewhere."""
    monkeypatch.chdir(tmp_path)
    seed = random.randrange(2**32)
    dice = Dice(seed)
    text = (COMPOSE / "shop/compose.yaml").read_text()
    for n in range(150):
        some = list(text)
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(some))
            some[at : at + dice.randint(0, 3)] = dice.choices("{}[]:,&*!|>'\"%@`#-? \n\t<x$~", k=dice.randint(0, 3))
        (tmp_path / "compose.yaml").write_text("".join(some))
        result = replace("compose.yaml", "--no-prove")
        assert result.exception is None or isinstance(result.exception, SystemExit), (seed, n, result.exception)
        assert result.exit_code in (0, 2, 3), (seed, n, result.output)
