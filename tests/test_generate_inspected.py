"""Rules from Docker's inspect JSON: what Docker 29 would write for it, held against what engines do write."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from iptexplain.commands import program
from iptexplain.generate.engine import dump_of
from iptexplain.generate.wanted import wanted
from iptexplain.host.inspect_file import read_inspected
from tests.docker_engines import Engine
from tests.docker_random import Dice, setup
from tests.docker_setup import Setup

pytestmark = pytest.mark.exhaustive

FIXTURES = Path(__file__).parent.parent / "fixtures"
PREFIX = "com.docker.network.bridge."


def inspected(s: Setup) -> dict[str, Any]:
    """A setup as ``docker network inspect`` and ``docker inspect`` show it."""
    v = str(s.family)
    key = "IPAddress" if s.family == 4 else "GlobalIPv6Address"
    networks, containers = [], []
    for n, (net, number) in enumerate(zip(s.nets, count(), strict=False)):
        name = "bridge" if net.bridge == "docker0" else f"net{n}"
        options = {
            f"{PREFIX}name": net.bridge, f"{PREFIX}enable_icc": str(net.icc).lower(),
            f"{PREFIX}enable_ip_masquerade": str(net.masquerade).lower(), f"{PREFIX}gateway_mode_ipv{v}": net.mode,
            f"{PREFIX}trusted_host_interfaces": ":".join(net.trusted),
            **({f"com.docker.network.host_ipv{v}": net.snat} if net.snat else {}),
        }  # fmt: skip
        networks.append(
            {
                "Name": name, "Id": f"{number:064x}", "Driver": "bridge", "Internal": net.internal, "EnableIPv4": s.family == 4,
                "EnableIPv6": s.family == 6, "IPAM": {"Config": [{"Subnet": net.subnet}] if net.subnet else []}, "Options": options,
            }
        )  # fmt: skip
        for address in net.containers:
            ports: dict[str, list[dict[str, str]]] = {}
            for port in s.ports:
                if port.net == net and port.container == address:
                    everywhere = "0.0.0.0" if s.family == 4 else "::"
                    binding = {"HostIp": port.host_ip or everywhere, "HostPort": str(port.host_port)}
                    ports.setdefault(f"{port.port}/{port.proto}", []).append(binding)
            settings = {"Ports": ports, "Networks": {name: {"NetworkID": f"{number:064x}", key: address}}}
            links = [f"/c{x.server}:/c{address}/peer" for x in s.links if x.net == net and x.client == address]
            exposed = {f"{x.port}/{x.proto}": {} for x in s.links if x.net == net and x.server == address}
            containers.append(
                {
                    "Name": f"/c{address}", "NetworkSettings": settings, "HostConfig": {"Links": links},
                    "Config": {"ExposedPorts": exposed},
                }
            )  # fmt: skip
    return {"networks": networks, "containers": containers}


def rules(text: str) -> set[tuple[str, str]]:
    found, table = set(), ""
    for line in text.splitlines():
        table = line[1:] if line.startswith("*") else table
        if line.startswith("-A"):
            found.add((table, line))
    return found


@pytest.mark.parametrize("family", [4, 6])
def test_rules_are_those_of_docker_29(family: int) -> None:
    seed = Dice().randrange(2**32)
    dice = Dice(seed)
    for n in range(60):
        s = setup(dice, "29.7.2", family)
        # One link for each server: each client may open all that its server exposes.
        links = tuple({x.server: x for x in s.links}.values())
        s = s._replace(mesh=(), proxy=True, raw=True, direct=False, mark=None, wsl2=False, links=links)
        s = s._replace(nets=tuple(net._replace(mode="nat") if net.internal else net for net in s.nets if net.subnet))
        if not s.nets or len({c for net in s.nets for c in net.containers}) < sum(
            len(net.containers) for net in s.nets
        ):
            continue
        docker = read_inspected(json.dumps(inspected(s)), "inspect.json")
        made = rules(dump_of(wanted(docker, s.family)))  # type: ignore[arg-type]
        assert made == set(Engine("29.7.2", s).rules()), (seed, n)


def generate(folder: Path, docker: dict[str, Any], *options: str) -> Result:
    (folder / "inspect.json").write_text(json.dumps(docker["networks"]) + "\n" + json.dumps(docker["containers"]))
    return CliRunner().invoke(program, ["generate", "replace", str(folder / "inspect.json"), *options])


def recorded(case: str) -> dict[str, Any]:
    docker: dict[str, Any] = json.loads((FIXTURES / f"docker/20.10/{case}/snapshot.json").read_text())["docker"]
    return docker


@pytest.mark.parametrize("case", ["two-networks", "publish-forms", "internal-network", "ipv6", "loopback-bind"])
def test_recorded_hosts_are_proved(case: str, tmp_path: Path) -> None:
    result = generate(tmp_path, recorded(case), "--style", "flat")
    assert result.exit_code == 0, result.output
    assert "IPv4: proved" in result.stderr
    assert "what Docker 29 would have done" in result.stdout.replace("\n# ", " ")
    assert ("IPv6: proved" in result.stderr) is (case == "ipv6")


def changed(docker: dict[str, Any], kind: str, path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    place = docker[kind][0]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return docker


@pytest.mark.parametrize(
    ("kind", "path", "value", "says"),
    [
        ("networks", ("Options", f"{PREFIX}name"), "br0 -j ACCEPT", "is no name of an interface"),
        ("networks", ("Options", f"{PREFIX}name"), "$(touch x)", "is no name of an interface"),
        ("networks", ("Options", f"{PREFIX}gateway_mode_ipv4"), "tunnel", "the gateway mode 'tunnel' is not known"),
        ("networks", ("Driver",), "weave", "what the driver 'weave' needs is not known"),
        ("containers", ("NetworkSettings", "Ports"), {"80/gre": [{"HostIp": "", "HostPort": "80"}]}, "'80/gre' is no port"),
        ("containers", ("NetworkSettings", "Ports"), {"80/tcp": [{"HostIp": "", "HostPort": ""}]}, "which port of the host"),
        ("containers", ("NetworkSettings", "Ports"), {"80/tcp": [{"HostIp": "1.2.3.4\n-A", "HostPort": "8"}]}, "1.2.3.4"),
        ("containers", ("NetworkSettings", "Ports"), {}, "it is not running, so its address"),
    ],
)  # fmt: skip
def test_what_no_rule_can_hold_is_refused(
    kind: str, path: tuple[Any, ...], value: Any, says: str, tmp_path: Path
) -> None:
    result = generate(tmp_path, changed(recorded("two-networks"), kind, path, value))
    assert result.exit_code in (2, 3), result.output
    assert says in result.stderr
    assert not result.stdout


def test_a_container_on_internal_networks_publishes_nothing_and_runs(tmp_path: Path) -> None:
    """Docker lists no port of it, whatever it was told to publish."""
    docker = recorded("internal-network")
    app = next(c for c in docker["containers"] if c["Name"] == "/app")
    app["HostConfig"]["PortBindings"] = {"80/tcp": [{"HostIp": "", "HostPort": "8081"}]}
    result = generate(tmp_path, docker, "--no-prove")
    assert result.exit_code == 0, result.output
    assert "--dport 8080" in result.stdout and "8081" not in result.stdout


def test_networks_alone_are_not_enough_and_containers_neither(tmp_path: Path) -> None:
    docker = recorded("two-networks")
    result = generate(tmp_path, {**docker, "networks": []})
    assert result.exit_code == 2
    assert "there is no bridge network in it" in result.stderr


def test_of_several_networks_one_with_both_families_leads_ports(tmp_path: Path) -> None:
    """Docker takes it for the default gateway of both, whatever the names are; a gateway priority counts more."""
    options = {"EnableIPv4": True, "Driver": "bridge", "Options": {}, "Internal": False}
    networks = [
        {"Name": "a4", "Id": "a" * 64, "EnableIPv6": False, "IPAM": {"Config": [{"Subnet": "10.4.0.0/24"}]}, **options},
        {
            "Name": "z46",
            "Id": "f" * 64,
            "EnableIPv6": True,
            "IPAM": {"Config": [{"Subnet": "10.6.0.0/24"}, {"Subnet": "fd06::/64"}]},
            **options,
        },
    ]
    on = {"a4": {"IPAddress": "10.4.0.2"}, "z46": {"IPAddress": "10.6.0.2", "GlobalIPv6Address": "fd06::2"}}
    settings = {"Ports": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}, "Networks": on}
    docker = {
        "networks": networks,
        "containers": [{"Name": "/web", "NetworkSettings": settings, "HostConfig": {}, "Config": {}}],
    }
    found = wanted(docker, 4)
    assert [p.container for p in found.ports] == ["10.6.0.2"]
    assert "the one with both IPv4 and IPv6" in found.notes[0]
    on["a4"]["GwPriority"] = 1  # type: ignore[assignment]
    assert [p.container for p in wanted(docker, 4).ports] == ["10.4.0.2"]


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '[{"a": ' + "9" * 5000 + "}]", '{"a": ' + "9" * 5000 + "}", '{"a":' * 100_000]
)
def test_json_that_python_gives_up_is_no_traceback(text: str, tmp_path: Path) -> None:
    (tmp_path / "file.json").write_text(text)
    result = CliRunner().invoke(program, ["generate", "replace", str(tmp_path / "file.json")])
    assert result.exit_code == 3
    assert "nested too deeply, or a number" in result.stderr
