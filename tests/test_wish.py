"""Rules for DOCKER-USER that somebody wishes for: what they are, and the proof that they change that and nothing else."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from iptexplain.commands import program
from iptexplain.explain.situation import Situation, situation_of
from iptexplain.generate.between import Service, allow, isolate, sides
from iptexplain.generate.restrict import Restriction, restrict
from iptexplain.generate.wish import Wish, line, prove
from iptexplain.host.snapshot import read_snapshot
from iptexplain.rules.addresses import to_network
from tests.conftest import Golden
from tests.test_dumps import FIXTURES

CALLS: dict[str, dict[str, Any]] = tomllib.loads((FIXTURES / "outputs/wish.toml").read_text())
ENGINES = ("20.10.24", "27.5.1", "28.1.1", "28.5.2", "29.7.2")
TWO = "docker/20.10/two-networks/snapshot.json"


def run(*words: str) -> Result:
    return CliRunner().invoke(program, ["generate", *words])


def situation(dump: str) -> Situation:
    snapshot = read_snapshot((FIXTURES / dump).read_text(), dump)
    return situation_of(snapshot, snapshot.families[0])


def of_engine(engine: str) -> Situation:
    return situation(f"docker-dumps/{engine}/22-two-usernets-pub.ip4.txt")


@pytest.mark.parametrize("call", CALLS)
def test_answers(call: str, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)
    result = run(*CALLS[call]["words"])
    assert result.exit_code == 0, result.output
    golden(FIXTURES / f"outputs/wish/{call}.txt", f"{result.stdout}\n----\n{result.stderr}")


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine(engine: str) -> None:
    """Only what is asked for changes; DOCKER-USER exists in all of them."""
    here = of_engine(engine)
    one, other = sides(here, "bridge1"), sides(here, "bridge2")
    clients = [to_network("192.0.2.0/24")]
    opened = prove(here, allow(here, one, other, Service("tcp", 80)))
    assert opened.holds and {f.kind for f in opened.flows} == {"opened"}
    closed = prove(here, restrict(here, [Restriction(here.docker.ports, clients, drops_rest=True)]))
    assert closed.holds and {f.kind for f in closed.flows} == {"closed"}
    apart = prove(here, isolate(here, one, other))
    assert apart.holds and all(f.kind == "closed" for f in apart.flows)


@pytest.mark.parametrize(
    ("options", "opens"),
    [("-p tcp -j ACCEPT", False), ("-j DROP", True), ("-m recent --rcheck --name x -j DROP", True)],
)
def test_what_was_not_asked_for_is_found(options: str, opens: bool) -> None:
    """Rules that open where they are to close, close where they are to open, or do so perhaps."""
    here = of_engine("27.5.1")
    rule = line(here, "filter", "DOCKER-USER", 1, options, "isolate", bridge="a", other="b")
    assert not prove(here, Wish(4, None, (rule._replace(opens=opens),))).holds


def test_a_port_of_the_container_is_not_taken_for_the_hosts() -> None:
    """80:80: other connections to some port 80, such as a container's to the outside, are left alone."""
    here = situation("docker-dumps/27.5.1/22-two-usernets-pub.ip4.txt")
    port = here.docker.ports[0]
    proof = prove(here, restrict(here, [Restriction([port._replace(host_port=80)], [], drops_rest=False)]))
    assert not proof.strangers and not proof.flows, "nothing is published there: nothing may change"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["restrict", TWO, "--from", "192.0.2.1"], "say which ports"),
        (["restrict", TWO, "--port", "9999", "--from", "192.0.2.1"], "there are 8080/tcp and 8081/tcp"),
        (["restrict", TWO, "--port", "8080", "--port", "9999", "--from", "192.0.2.1"], "meant by 9999 of these: there are 8080/tcp"),
        (["restrict", TWO, "--port", "8080", "--from", "everywhere"], "--from everywhere: 'everywhere' is not an"),
        (["restrict", "docker-dumps/1.13/22-two-usernets-pub.ip4.txt", "--port", "8080", "--from", "192.0.2.1"],
         "no packet gets to a chain DOCKER-USER here"),
        (["allow", TWO, "n1", "nope"], "'nope' is no Docker network and no container here"),
        (["allow", TWO, "n1", "db:80/icmp"], "after the port stands one of tcp, udp, sctp"),
        (["isolate", TWO, "n1", "n1"], "are the same: name two"),
    ],
)  # fmt: skip
def test_what_is_refused(words: list[str], why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)
    result = run(*words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert why in result.stderr


def test_a_family_without_docker_user_is_named() -> None:
    """Its port stays open, so the answer is no success."""
    result = run("restrict", str(FIXTURES / "docker/20.10/ipv6/snapshot.json"), "--port", "8080", "--from", "192.0.2.1")
    assert result.exit_code == 1
    assert "note: IPv6: no packet gets to a chain DOCKER-USER here" in result.stderr
    assert "ip6tables" not in result.stdout and "IPv4: proved for all packets" in result.stderr


def test_proof_as_json(tmp_path: Path) -> None:
    file = tmp_path / "proof.json"
    words = ["--port", "8080", "--from", "192.0.2.1", "--proof", str(file)]
    assert run("restrict", str(FIXTURES / TWO), *words).exit_code == 0
    proof = json.loads(file.read_text())
    assert (proof["schema"], proof["opened"], proof["closed"]) == (1, 0, 1)


def test_names_that_no_command_can_hold(tmp_path: Path) -> None:
    dump = (FIXTURES / "docker-dumps/27.5.1/22-two-usernets-pub.ip4.txt").read_text().replace("bridge1", "$(id)")
    (tmp_path / "rules.v4").write_text(dump)
    result = run("isolate", str(tmp_path / "rules.v4"), "$(id)", "bridge2")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "cannot be written safely" in result.stderr


def test_a_name_of_a_network_and_a_container_is_not_taken_for_either(tmp_path: Path) -> None:
    snapshot = json.loads((FIXTURES / TWO).read_text())
    container = snapshot["docker"]["containers"][0]
    container["Name"] = "/" + next(
        n["Name"] for n in snapshot["docker"]["networks"] if n["Name"] not in ("bridge", "host")
    )
    (tmp_path / "s.json").write_text(json.dumps(snapshot))
    result = run("isolate", str(tmp_path / "s.json"), container["Name"][1:], "docker0")
    assert result.exit_code == 2
    assert "is a Docker network and a container: say the bridge br-" in result.stderr
