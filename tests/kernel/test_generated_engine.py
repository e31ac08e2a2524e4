"""A real Docker Engine that writes no rules, with generated ones in place: everybody reaches whom he reached before.

The same containers are started on an engine that writes its own rules and on one with "iptables": false; each probe must go as it
went, and its server must see the same address and port. What docker-proxy carried may go otherwise, and how is told by a rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from iptexplain.explain.situation import Situation
from iptexplain.host.snapshot import read_snapshot
from tests.conftest import cannot
from tests.kernel.engine import SETUP_IPV6, Engine, NoEngine
from tests.kernel.engine_configurations import CONFIGURATIONS
from tests.kernel.engine_configurations_ipv6 import IPV6
from tests.kernel.engine_record import FIRST_PORT, Record, Seen, Sent, probed

pytestmark = pytest.mark.xdist_group("docker")

WITHOUT_RULES = "--iptables=false --ip6tables=false"
LEFT_OUT = ("--icc=false", "--userland-proxy=false", "--ip6tables")
"""Options with which the daemon does not start without rules, as the header says, or that are given anew."""


def generated(record: Record, folder: Path, style: str, *options: str) -> str:
    """The rules, which must be proved to do what the engine's own did."""
    source = folder / "snapshot.json"
    source.write_text(record.text)
    words = [
        "generate",
        "replace",
        str(source),
        "--family",
        str(record.configuration.family),
        "--style",
        style,
        *options,
    ]
    result = CliRunner().invoke(program, words)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def networks(record: Record) -> Iterator[str]:
    """The docker commands of a configuration, with the names that the first engine gave to its bridges."""
    ids = {n["Name"]: n["Id"] for n in record.snapshot["docker"]["networks"]}
    for command in map(str.strip, record.configuration.docker.strip().splitlines()):
        name = command.split()[-1]
        if command.startswith("network create") and "bridge.name" not in command:
            command = f"{command.removesuffix(name)}-o com.docker.network.bridge.name=br-{ids[name][:12]} {name}"
        yield command


def again(record: Record, proxy: bool) -> Engine:
    """The engine of a record, to be started once more without rules."""
    configuration = record.configuration
    options = [o for o in configuration.options.split() if o not in LEFT_OUT]
    return Engine(configuration.backend, " ".join([*options, WITHOUT_RULES, f"--userland-proxy={str(proxy).lower()}"]))


def set_up(engine: Engine, record: Record) -> None:
    if record.configuration.family == 6:
        engine.out("sh", "-ec", SETUP_IPV6)
    for command in networks(record):
        engine.docker(command)
    settings = [line for line in record.configuration.administrator.splitlines() if "sysctl" in line]
    engine.out("sh", "-ec", "\n".join(settings))


def carried(record: Record, situation: Situation, sent: Sent) -> Seen | None:
    """How a probe goes that docker-proxy got: it is rewritten and forwarded, so it arrives and the answer gets back, whatever the
    proxy made of it (over UDP its answers come from another address where the host has several); the server sees the bridge's
    address, as it did. Only from [::1] none gets to a container, as the rules' header says. None for others."""
    source = situation.end(sent.src)._replace(port=sent.sport)
    way = situation.probe(source, situation.end(sent.dst)._replace(port=sent.dport), sent.proto)
    published = record.proxied(sent.dst, sent.proto, sent.dport)
    if published is None or way.outcome.kind != "delivered-local":
        return None
    if sent.dst == "::1":
        return Seen("silent")
    container = situation.end(record.machines[published.container].address)
    seen = situation.topology.source_for(container.address, container.interface)
    return Seen("answered", published.container.partition(".")[0], str(seen))


def wrong(record: Record, now: Record, proxy: bool) -> list[str]:
    """The probes that go otherwise than beside Docker's own rules, and those of docker-proxy that do not go as they are meant to."""
    situation = Situation(read_snapshot(record.text, "snapshot"), record.configuration.family)
    found = []
    for probe, (sent, was) in record.probes.items():
        asked, seen = now.probes[probe]
        meant = None if proxy else carried(record, situation, sent)
        same = seen._replace(port=None) == meant if meant else ends(sent, was) == ends(asked, seen)
        found += [] if same else [f"{probe}: meant {meant or was}, but {seen}"]
    return found


def ends(sent: Sent, seen: Seen) -> tuple[str, str | None, str | None, bool, str]:
    """All of a probe that does not depend on the port that it was sent from."""
    return seen.result, seen.server, seen.address, seen.port is None, sent.src


def problems(record: Record, folder: Path, proxy: bool, styles: tuple[str, ...]) -> list[str]:
    """What goes wrong where an engine without rules gets the generated ones; ``proxy``: its docker-proxy goes on."""
    found = []
    key = {4: "iptables", 6: "ip6tables"}[record.configuration.family]
    try:
        with again(record, proxy) as engine:
            set_up(engine, record)
            for number, style in enumerate(styles, 1):
                rules = generated(record, folder, style, *(["--keep-proxy"] if proxy else []))
                engine.out(f"/run/bin/{key}-restore", input=rules)
                now = probed(engine, record.configuration, FIRST_PORT + 1000 * number)
                addresses = [{name: m.address for name, m in r.machines.items()} for r in (record, now)]
                assert addresses[0] == addresses[1]
                assert "DOCKER" not in now.snapshot[key]
                found += [f"{style}: {problem}" for problem in wrong(record, now, proxy)]
    except NoEngine as reason:
        cannot(reason)
    return found


@pytest.mark.parametrize("record", [*CONFIGURATIONS, *IPV6], indirect=True)
def test_everybody_reaches_whom_he_reached(record: Record, tmp_path: Path) -> None:
    assert problems(record, tmp_path, False, ("docker", "flat")) == []


@pytest.mark.parametrize("record", ["plain"], indirect=True)
def test_docker_proxy_may_go_on(record: Record, tmp_path: Path) -> None:
    assert problems(record, tmp_path, True, ("docker",)) == []
