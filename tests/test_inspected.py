"""Docker's inspect JSON: nothing private of it is kept, and it gives names to a bare dump."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from iptexplain.commands import program
from iptexplain.host.inspect_file import read_inspected
from iptexplain.host.inspected import docker_facts
from tests.conftest import ROOT
from tests.fakes import INSPECTED

RECORDING = ROOT / "fixtures/docker/20.10/two-networks"
SNAPSHOT = json.loads((RECORDING / "snapshot.json").read_text())

PUBLIC = {
    "Name", "Id", "Scope", "Driver", "Subnet", "IPRange", "Gateway", "NetworkID", "MacAddress", "IPAddress", "IPv4Address",
    "IPv6Address", "GlobalIPv6Address", "IPv6Gateway", "HostIp", "HostPort", "NetworkMode",
    "com.docker.network.bridge.name", "com.docker.network.bridge.enable_icc",
}  # fmt: skip
"""The keys of texts that an explanation may need, wherever they stand."""


class Secrets:
    """Puts a secret in place of every text that is not public, and beside every key."""

    def __init__(self) -> None:
        self.count = 0

    def secret(self) -> str:
        self.count += 1
        return f"s3cret-{self.count}"

    def planted(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            more = {
                self.secret(): self.secret(),
                "Token": self.secret(),
                "Extra": {"Token": self.secret(), "Name": [self.secret()]},
            }
            more |= {"X": [self.secret(), {"Env": [f"PASSWORD={self.secret()}"], "HostIp": {"Token": self.secret()}}]}
            return {**{k: self.planted(v, k) for k, v in value.items()}, **more}
        if isinstance(value, list):
            return [self.planted(v, key) for v in value] + ([] if key in PUBLIC else [self.secret()])
        return value if key in PUBLIC or not isinstance(value, str) else self.secret()


def test_no_secret_gets_into_a_snapshot() -> None:
    secrets = Secrets()
    planted = {kind: [secrets.planted(item) for item in items] for kind, items in INSPECTED.items()}
    assert secrets.count > 300
    facts = docker_facts(**planted)
    assert "s3cret" not in json.dumps(facts)
    assert [n["Name"] for n in facts["networks"]] == ["front"]
    assert [c["Name"] for c in facts["containers"]] == ["/web"]


@pytest.mark.parametrize(
    "key", ["Env", "Labels", "Cmd", "Args", "Entrypoint", "Mounts", "Binds", "Healthcheck", "LogConfig"]
)
def test_what_may_hold_a_secret_is_not_even_named(key: str) -> None:
    assert f'"{key}"' in json.dumps(INSPECTED)
    assert f'"{key}"' not in json.dumps(docker_facts(**INSPECTED))


def leaves(value: Any) -> Iterator[Any]:
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from leaves(each)
    if not isinstance(value, dict | list):
        yield value


def test_what_explains_the_network_is_kept() -> None:
    facts = docker_facts(**INSPECTED)
    [network], [container] = facts["networks"], facts["containers"]
    assert network["Options"] == {
        "com.docker.network.bridge.enable_icc": "true",
        "com.docker.network.bridge.name": "front0",
    }
    assert network["IPAM"] == {"Config": [{"Subnet": "172.20.0.0/16"}]}
    assert container["HostConfig"]["PortBindings"]["53/udp"] == [{"HostIp": "127.0.0.1", "HostPort": "5353"}]
    assert container["NetworkSettings"]["Networks"]["front"]["IPAddress"] == "172.20.0.2"
    assert set(leaves(facts)) <= set(leaves(INSPECTED))


def ask(command: str, *options: str, dump: str = "rules.v4") -> Result:
    result = CliRunner().invoke(program, [command, str(RECORDING / dump), *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


GIVEN = {
    "networks": SNAPSHOT["docker"]["networks"],
    "containers": SNAPSHOT["docker"]["containers"],
    "object": SNAPSHOT["docker"],
    "both": None,
}


@pytest.fixture(params=GIVEN)
def inspected(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A file with one of the forms that inspect JSON comes in."""
    file = tmp_path / "inspected.json"
    parts = [GIVEN[request.param]] if GIVEN[request.param] else [GIVEN["containers"], GIVEN["networks"]]
    file.write_text("\n".join(json.dumps(part, indent=4) for part in parts))
    return str(file)


def test_names_for_a_bare_dump(inspected: str) -> None:
    """Networks list their containers, and containers the networks that they are on: either file is enough for the names."""
    way = ask("trace", "--docker", inspected, "--from", "db", "--to", "web:80")
    assert way.output.startswith(
        "Dropped: container db (172.19.0.2, network n2) → container web (172.18.0.2:80/tcp, network n1)"
    )
    assert "the custom network n2 (br-6940c4dee215, 172.19.0.0/16)" in way.output
    assert "custom network n1" in ask("networks", "--docker", inspected).output
    assert "custom network n1" in ask("explain", "--docker", inspected).output
    assert "container web" in ask("ports", "--docker", inspected).output
    flows = str(RECORDING / "flows.yaml")
    result = CliRunner().invoke(program, ["test", flows, str(RECORDING / "rules.v4"), "--docker", inspected])
    assert (result.exit_code, result.output) == (0, "5 of 5 expectations hold.\n")


def test_without_names_there_are_none() -> None:
    way = ask("trace", "--from", "db", "--to", "web:80")
    assert (way.exit_code, way.stderr.startswith("iptexplain: 'db' is no address")) == (2, True)


def test_names_count_more_than_those_of_the_snapshot(tmp_path: Path) -> None:
    file = tmp_path / "inspected.json"
    file.write_text(json.dumps(SNAPSHOT["docker"]["networks"]).replace('"n1"', '"renamed"'))
    assert "custom network renamed" in ask("networks", "--docker", str(file), dump="snapshot.json").output


REFUSED = {
    "": [":1: there is no network and no container in it: 'docker network inspect"],
    "[]": [":1: there is no network and no container in it"],
    "*filter\nCOMMIT\n": [":1: no JSON: Expecting value"],
    '[\n{"Name": "web",': [":2: no JSON: "],
    '[{"Name": "a", "Id": "1", "IPAM": {}}\n\n': [":1: no JSON: the list has no end: is a part of the file missing?"],
    '[{"Id": "1",\n "IPAM": {}},\n\n{"ID": "2"}, 3]': [":1: a network without a name and an id", ":4: this is neither", ":4: this is"],
    '{"networks": [], "containers": [{"NetworkSettings": {}}]}': [":1: a container without a name"],
    '[\n{"Name": "n", "Id": "1", "IPAM": {"Config": [{"Subnet": "172.300.0.0/16"}]}}]': [":2: n: '172.300.0.0' is not"],
    '[{"Name": "n", "Id": "1", "Driver": "bridge", "IPAM": {}, "Containers": {"c": {"Name": "w", "IPv4Address": "x"}}}]': [":1: n: 'x'"],
    '[{"Name": "/w", "NetworkSettings": {"Networks": {"n": {"IPAddress": "y"}}}}]': [":1: w: 'y' is not an IPv4 address"],
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_errors_have_their_lines(text: str, tmp_path: Path) -> None:
    file = tmp_path / "inspected.json"
    file.write_text(text)
    result = ask("networks", "--docker", str(file))
    told = [line for line in result.stderr.splitlines() if not line.startswith("    ")]
    assert result.exit_code == 2
    assert [line.startswith(f"{file}{error}") for line, error in zip(told, REFUSED[text], strict=False)] == [
        True
    ] * len(REFUSED[text])
    assert told[len(REFUSED[text]) :] == [
        f"{len(REFUSED[text])} error{'s'[: len(REFUSED[text]) - 1]}: --docker was not read."
    ]


def test_an_unprintable_name_stays_away_from_the_terminal(tmp_path: Path) -> None:
    file = tmp_path / "inspected.json"
    file.write_text(json.dumps(SNAPSHOT["docker"]["networks"]).replace('"n1"', '"\\u001b[31mn1"'))
    assert "\x1b" not in ask("networks", "--docker", str(file)).output
    assert "\x1b" not in ask("trace", "--docker", str(file), "--from", "web", "--to", "db").output


def test_what_does_not_fit_is_noted(tmp_path: Path) -> None:
    file = tmp_path / "inspected.json"
    file.write_text(json.dumps(INSPECTED["containers"]))
    result = ask("networks", "--docker", str(file))
    assert result.stderr == (
        f"note: {file}: which bridge belongs to front, only 'docker network inspect' tells, and it is not in there\n"
    )
    file.write_text(json.dumps(INSPECTED["networks"]))
    assert "the rules name none of its bridges" in ask("networks", "--docker", str(file)).stderr


def test_one_standard_input() -> None:
    result = CliRunner().invoke(program, ["explain", "--docker", "-"])
    assert result.exit_code == 2 and "cannot both be standard input" in result.stderr


def test_what_is_read_is_what_is_kept() -> None:
    text = "".join(json.dumps(items) for items in INSPECTED.values())
    assert read_inspected(text, "-") == docker_facts(**INSPECTED)
