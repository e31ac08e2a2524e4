"""A real Docker Engine and real sockets: what iptexplain says of each of them beforehand is what happens.

The engines are set up as engine_configurations.py writes it. For every probe the trace must tell whether it is answered, refused or
swallowed, which server gets it, and which source address that server sees.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from iptexplain.explain.situation import ARRIVED, Situation
from iptexplain.host.snapshot import read_snapshot
from iptexplain.walk.outcome import Trace
from tests.kernel.engine import left
from tests.kernel.engine_configurations import CONFIGURATIONS, Port
from tests.kernel.engine_configurations_ipv6 import IPV6
from tests.kernel.engine_record import EVERYWHERE, Record, Seen, Sent, calls

pytestmark = pytest.mark.xdist_group("docker")


def heard(situation: Situation, way: Trace, sent: Sent) -> bool:
    """Whether an answer gets back, and comes from where the sender expects it."""
    answer = situation.answer_to(way)
    if answer is None:
        return True  # The host talks to itself.
    last = answer.outcome.fields
    return answer.outcome.kind in ARRIVED and (str(last["src"]), last.get("sport", 0)) == (sent.dst, sent.dport)


def foretold(record: Record, situation: Situation, sent: Sent) -> Seen:
    """How a probe goes as the trace tells it."""
    source = situation.end(sent.src)._replace(port=sent.sport)
    target = situation.end(sent.dst)._replace(port=sent.dport)
    way = situation.probe(source, target, sent.proto)
    if way.outcome.kind not in ARRIVED:
        return Seen({"dropped": "silent", "rejected": "refused"}.get(way.outcome.kind, way.outcome.kind))
    last, back = way.outcome.fields, heard(situation, way, sent)
    if sent.proto == "icmp":
        return Seen("answered" if back else "silent")
    address, port = str(last["dst"]), last["dport"]
    published = record.proxied(address, sent.proto, port)
    if way.outcome.kind == "delivered-local" and published:
        return by_proxy(record, situation, sent, published) if back else Seen("silent")
    server = record.server(address, sent.proto, port)
    if server is None or (sent.proto == "tcp" and not back):
        return Seen("refused" if back else "silent")
    return Seen("answered" if back else "silent", server, str(last["src"]), last["sport"])


def by_proxy(record: Record, situation: Situation, sent: Sent, published: Port) -> Seen:
    """docker-proxy asks the container by a connection of its own. Where it listens at every address, its answers over UDP come
    from the one that routing prefers, and a client that asked another does not know what to do with them."""
    container = record.machines[published.container].address
    gateway = situation.gateway(situation.end(container).interface)
    inner = foretold(record, situation, Sent(sent.proto, str(gateway), sent.sport, container, published.container_port))
    client = situation.end(sent.src)
    preferred = situation.topology.source_for(client.address, client.interface)
    routed = sent.proto == "udp" and client.interface and published.host_ip in EVERYWHERE.values()
    return inner._replace(result="silent" if routed and str(preferred) != sent.dst else inner.result, port=None)


@pytest.mark.parametrize("record", [*CONFIGURATIONS, *IPV6], indirect=True)
def test_probes_go_as_foretold(record: Record) -> None:
    situation = Situation(read_snapshot(record.text, "snapshot"), record.configuration.family)
    wrong = [
        f"{probe}: foretold {said}, but {seen}"
        for probe, (sent, seen) in record.probes.items()
        if (said := foretold(record, situation, sent)) != seen
    ]
    assert not wrong, "\n".join(wrong)
    assert {seen.result for _, seen in record.probes.values()} == {"answered", "refused", "silent"}


def printed(command: str, dump: str, folder: Path) -> dict[str, Any]:
    """What a command prints about a dump or a snapshot, as JSON."""
    file = folder / "dump"
    file.write_text(dump)
    done = CliRunner().invoke(program, [command, str(file), "-o", "json"])
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("record", CONFIGURATIONS, indirect=True)
def test_networks_are_read_back(record: Record, tmp_path: Path) -> None:
    expected = record.configuration.networks
    found = {n["name"]: n for n in printed("networks", record.text, tmp_path)["networks"]}
    assert {name: {key: found[name][key] for key in expected[name]} for name in found} == expected


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])))


@pytest.mark.parametrize("record", CONFIGURATIONS, indirect=True)
def test_the_engine_is_among_the_versions_named(record: Record, tmp_path: Path) -> None:
    named = printed("networks", record.snapshot["iptables"], tmp_path)["docker"]["versions"]
    engine = numbers(record.snapshot["docker"]["version"])
    assert numbers(named["from"]) <= engine
    assert named["to"] is None or engine <= numbers(named["to"])


@pytest.mark.parametrize("record", CONFIGURATIONS, indirect=True)
@pytest.mark.parametrize("given", ["snapshot", "dump"])
def test_ports_are_read_back(record: Record, given: str, tmp_path: Path) -> None:
    found = printed("ports", record.text if given == "snapshot" else record.snapshot["iptables"], tmp_path)["ports"]
    expected = [p._replace(container=record.machines[p.container].address) for p in record.configuration.ports]
    keys = ("host_ip", "host_port", "proto", "container_ip", "container_port")
    assert sorted(tuple(p[k] for k in keys) for p in found) == sorted(map(tuple, expected))


@pytest.mark.parametrize("record", CONFIGURATIONS, indirect=True)
def test_ports_say_who_gets_in_and_whom_the_program_sees(record: Record, tmp_path: Path) -> None:
    found = printed("ports", record.text, tmp_path)["ports"]
    for port in record.configuration.ports:
        key = (port.host_ip, port.host_port, port.proto)
        said = next(p for p in found if (p["host_ip"], p["host_port"], p["proto"]) == key)
        sources = {client: source(*record.probes[probe]) for client, probe in calls(port).items()}
        assert {client: said["source_seen"][client] for client in sources} == sources, port
        reachable = ["anywhere"] if sources["outside"] else ["host"] if sources["host"] else []
        assert said["reachable_from"] == reachable, port


def source(sent: Sent, seen: Seen) -> str | None:
    """What ``ports`` calls the source address of a probe that was answered."""
    if seen.result != "answered":
        return None
    return "unchanged" if seen.address == sent.src else seen.address


ROOT = Path(__file__).parents[2]
KILLED = """
from tests.kernel.engine import Engine
with Engine("nft", "") as engine:
    engine.docker("run --name web")
    print(engine.cgroup, flush=True)
    input()
"""


@pytest.mark.parametrize("record", ["plain"], indirect=True)
def test_nothing_is_left_of_a_killed_engine(record: Record) -> None:
    killed = [sys.executable, "-c", KILLED]
    with subprocess.Popen(killed, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        cgroup = process.stdout.readline().strip()
        before = left(cgroup)
        process.kill()
    until = time.monotonic() + 30
    while left(cgroup) and time.monotonic() < until:
        time.sleep(0.1)
    assert before != []
    assert left(cgroup) == []
