"""Regions of packets: each example ends as its region says, and what the command prints of them."""

from __future__ import annotations

import json
import random
from ipaddress import ip_address, summarize_address_range
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from iptexplain.explain.reach import Asked
from iptexplain.explain.situation import Situation, situations
from iptexplain.host.snapshot import read_snapshot
from iptexplain.rules.values import Family
from iptexplain.sets.analyse import Analysis
from iptexplain.sets.reach import FATES, Question, Reach
from iptexplain.sets.space import NO
from iptexplain.sets.spelling import between, networks
from iptexplain.walk.packet import Packet
from iptexplain.walk.trace import trace
from tests.test_agreement import CASES
from tests.test_agreement import situations as recorded

DOCKER = sorted((Path(__file__).parent.parent / "fixtures/docker/20.10").glob("*/snapshot.json"))
TWO_NETWORKS = str(Path(__file__).parent.parent / "fixtures/docker/20.10/two-networks/snapshot.json")


def hold(situation: Situation, reach: Reach, question: Question) -> None:
    """Every box of every region has an example that the trace treats as the region says, and no packet is in two regions."""
    seen = NO
    for region in reach.regions(question):
        assert reach.space.both(seen, region.packets) == NO
        seen = reach.space.either(seen, region.packets)
        for box in reach.boxes(region):
            packet = reach.witness_of(box)
            assert reach.space.at(region.packets, reach.fields.point(packet)), packet
            way = trace(situation.ruleset, situation.topology, Packet(dict(packet)))
            fates = {FATES.get(o.kind, "unknown") for o in way.outcome.branches or (way.outcome,)}
            assert fates == {region.fate} or region.fate == "unknown", (region, packet)


@pytest.mark.parametrize("file", DOCKER, ids=lambda file: file.parent.name)
@pytest.mark.parametrize("ends", [("internet", None), (None, "host"), ("host", None), ("internet", "host")])
def test_examples_of_a_docker_host_end_as_told(file: Path, ends: tuple[str | None, str | None]) -> None:
    for situation in situations(read_snapshot(file.read_text(), str(file))):
        asked = Asked(situation, *ends)
        assert asked.decided
        hold(situation, asked.reach, asked.question)


@pytest.mark.parametrize("file", CASES[::6], ids=lambda file: file.stem)
def test_examples_in_random_rulesets_end_as_told(file: Path) -> None:
    for situation, _, _ in recorded(file):
        reach = Reach(Analysis(situation.ruleset, situation.topology))
        for interface in ("", *sorted({r.interface for r in situation.topology.routes} - {"lo"})[:2]):
            hold(situation, reach, Question(((interface, None),)))


def run(*arguments: str) -> str:
    result = CliRunner().invoke(program, ["reach", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_what_is_open_to_the_world() -> None:
    shown = run(TWO_NETWORKS, "--from", "internet", "-p", "tcp")
    assert (
        "port 8080: by filter DOCKER rule 1 (line 24); rewritten to 172.18.0.2:80 by nat DOCKER rule 4 (line 54)"
        in shown
    )
    assert "to 172.17.0.2, port 80: by filter DOCKER rule 2 (line 25); leaves by docker0." in shown
    assert "by the policy of filter FORWARD (line 4)" in shown
    assert "udp" not in shown
    assert shown.startswith("Some of these packets get through, others do not.\n")


def test_a_network_that_is_kept_apart() -> None:
    shown = run(TWO_NETWORKS, "--from", "docker0", "--to", "172.18.0.2:80")
    assert shown.startswith("None of these packets gets through.\n")
    assert "Gets through" not in shown
    assert "- every packet: by filter DOCKER-ISOLATION-STAGE-2 rule 2 (line 31)." in shown


def test_json_has_the_regions_with_examples() -> None:
    answer: dict[str, Any] = json.loads(run(TWO_NETWORKS, "--from", "internet", "--to", "172.18.0.2:80", "-o", "json"))
    assert (answer["schema"], answer["decided"]) == (1, True)
    rewritten = next(region for region in answer["regions"] if region["nat"])
    assert rewritten["fate"] == "accepted"
    assert rewritten["nat"] == {"dst": "172.18.0.2", "dport": 80}
    assert rewritten["packets"]["dport"] == ["8080"]
    assert rewritten["by"] == {"table": "filter", "chain": "DOCKER", "rule": 1, "line": 24}
    assert rewritten["witness"]["dport"] == 8080


LIMITED = """*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p tcp -m tcp --dport 22 -m limit --limit 3/min -j ACCEPT
-A INPUT -p udp -m limit --limit 3/min -j LOG
-A INPUT -p udp -m udp --dport 53 -j ACCEPT
COMMIT
"""


@pytest.mark.parametrize(
    ("more", "seen", "unseen"),
    [
        ([], "it depends on filter INPUT rule 1 (line 5)", "rule 2"),
        (["--assume", "limit=within"], "port 22: by filter INPUT rule 1 (line 5); for this host", "Unknown"),
    ],
)
def test_what_no_dump_decides_is_unknown_until_it_is_assumed(
    tmp_path: Path, more: list[str], seen: str, unseen: str
) -> None:
    facts = {
        "schema": 1, "iptables": LIMITED,
        "addresses": [{"ifname": "eth0", "addr_info": [{"family": "inet", "local": "192.0.2.10", "prefixlen": 24}]}],
        "routes": [{"dst": "default", "dev": "eth0", "gateway": "192.0.2.1"}, {"dst": "192.0.2.0/24", "dev": "eth0"}],
    }  # fmt: skip
    file = tmp_path / "snapshot.json"
    file.write_text(json.dumps(facts))
    shown = run(str(file), "--from", "internet", "--to", "host", *more)
    assert seen in shown
    assert unseen not in shown


def test_an_answer_beyond_the_budget_says_so() -> None:
    situation = situations(read_snapshot(Path(TWO_NETWORKS).read_text(), "two-networks"))[0]
    asked = Asked(situation, "internet", None, limit=500)
    assert asked.json() == {"decided": False, "assumptions": asked.json()["assumptions"], "regions": []}


REFUSED = [
    ((), "--from END, --to END"),
    (("--from", "nobody"), "nothing here has that name"),
    (("--to", "host", "-p", "xyz"), "unknown protocol"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_refused_without_an_end_and_for_an_unknown_one(arguments: tuple[str, ...], message: str) -> None:
    result = CliRunner().invoke(program, ["reach", TWO_NETWORKS, *arguments])
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("family", [4, 6])
def test_networks_are_the_fewest(family: Family) -> None:
    rng = random.Random(family)
    for _ in range(200):
        low, high = sorted(rng.getrandbits(rng.choice([8, 32 if family == 4 else 128])) for _ in "ab")
        wanted = summarize_address_range(
            *(ip_address(n.to_bytes(4 if family == 4 else 16, "big")) for n in (low, high))
        )
        assert [(n.number, n.prefix) for n in networks(low, high, family)] == [(int(n[0]), n.prefixlen) for n in wanted]


def test_between_is_the_rest() -> None:
    assert list(between([(0, 3), (7, 9)], 12)) == [(4, 6), (10, 12)]
    assert list(between([], 5)) == [(0, 5)]
    assert list(between([(0, 5)], 5)) == []


def test_what_was_assumed_is_said() -> None:
    shown = run(TWO_NETWORKS, "--from", "internet", "--assume", "bridge-nf-call-iptables=0")
    assert "bridge-nf-call-iptables=0: you said so" in shown.partition("Taken for granted")[2]
