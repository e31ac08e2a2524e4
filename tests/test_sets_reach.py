"""Regions of packets: each example ends as its region says, and what the command prints of them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from ipaddress import ip_address, summarize_address_range
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from iptexplain.explain.reach import Asked
from iptexplain.explain.situation import Situation, situations
from iptexplain.host.snapshot import read_snapshot
from iptexplain.rules.addresses import Address
from iptexplain.rules.values import Family, Interval
from iptexplain.sets.analyse import Analysis
from iptexplain.sets.example import FIRST
from iptexplain.sets.reach import FATES, Question, Reach
from iptexplain.sets.space import NO, YES
from iptexplain.sets.spelling import between, networks
from iptexplain.walk.conntrack import PINGS, TRACKED_PORTS
from iptexplain.walk.outcome import Outcome
from iptexplain.walk.packet import OneOf, Packet
from iptexplain.walk.trace import trace
from tests.test_agreement import CASES
from tests.test_agreement import situations as recorded

pytestmark = pytest.mark.exhaustive

DOCKER = sorted((Path(__file__).parent.parent / "fixtures/docker/20.10").glob("*/snapshot.json"))
DEFAULT_BRIDGE = str(Path(__file__).parent.parent / "fixtures/docker/20.10/default-bridge/snapshot.json")
TWO_NETWORKS = str(Path(__file__).parent.parent / "fixtures/docker/20.10/two-networks/snapshot.json")


def fates(situation: Situation, question: Question, packet: dict[str, Any]) -> set[str]:
    """What the trace says of a packet, as the question sees it: "elsewhere", where it is not about it."""
    way = trace(situation.ruleset, situation.topology, Packet(dict(packet)))
    return {fate(question, packet, outcome) for outcome in way.outcome.branches or (way.outcome,)}


def fate(question: Question, packet: dict[str, Any], outcome: Outcome) -> str:
    found = FATES.get(outcome.kind, "unknown")
    arrived = outcome.fields if found == "accepted" else packet
    if found == "accepted" and question.to_host:
        is_there = outcome.kind == "delivered-local"
    else:
        dst = arrived["dst"]
        is_there = question.targets is None or isinstance(dst, OneOf) or among(dst.number, question.targets)
    port = arrived.get("dport", 0)
    has_port = question.port is None or isinstance(port, OneOf) or port == question.port
    return found if is_there and has_port else "elsewhere"


def among(number: int, intervals: Iterable[Interval]) -> bool:
    return any(low <= number <= high for low, high in intervals)


def hold(situation: Situation, reach: Reach, question: Question, undecided: bool = True) -> int:
    """Examples of every region, and packets made of parts of all regions, end as the region says in which they are, and are
    elsewhere when they are in none; no packet is in two. Returns how many packets were asked.

    ``undecided``: whether there may be regions whose fate is unknown.
    """
    seen, examples, asked = NO, [], 0
    regions = reach.regions(question)
    for region in regions:
        assert reach.space.both(seen, region.packets) == NO
        seen = reach.space.either(seen, region.packets)
        examples += [reach.witness_of(box) for box in reach.boxes(region)]
    rng = random.Random(len(examples))
    whole = FIRST | {k: v for example in examples for k, v in example.items()}
    mixed = [
        whole | {k: v for e in rng.choices(examples, k=5) for k, v in e.items()} for _ in range(40 * bool(examples))
    ]
    for packet in examples + mixed:
        point = reach.fields.point(packet)
        here = [region for region in regions if reach.space.at(region.packets, point)]
        if not is_asked(question, packet):
            continue
        asked += 1
        found = fates(situation, question, packet)
        if not here:
            assert found == {"elsewhere"}, (question, packet)
        elif here[0].fate == "unknown":
            is_analysed = bool(here[0].asked)
            assert undecided and (len(found) > 1 or found == {"unknown"} or not is_analysed), (question, packet, found)
        else:
            assert found == {here[0].fate}, (here[0], packet)
    return asked


def numbers(addresses: Iterable[Address]) -> tuple[Interval, ...]:
    return tuple((n, n) for n in sorted({a.number for a in addresses}))


def is_asked(question: Question, packet: dict[str, Any]) -> bool:
    sources = dict(question.sources)
    return (
        packet["iif"] in sources
        and (sources[packet["iif"]] is None or among(packet["src"].number, sources[packet["iif"]] or ()))
        and question.proto in (None, packet["proto"])
        and ("icmp_type" in packet or packet["proto"] not in PINGS)
        and ("sport" in packet or packet["proto"] not in TRACKED_PORTS)
    )


@pytest.mark.parametrize("file", DOCKER, ids=lambda file: file.parent.name)
@pytest.mark.parametrize("ends", [("internet", None), (None, "host"), ("host", None), ("internet", "host")])
def test_examples_of_a_docker_host_end_as_told(file: Path, ends: tuple[str | None, str | None]) -> None:
    for situation in situations(read_snapshot(file.read_text(), str(file))):
        asked = Asked(situation, *ends)
        assert asked.decided
        assert hold(situation, asked.reach, asked.question, undecided=False)


@pytest.mark.parametrize("file", CASES[::6], ids=lambda file: file.stem)
def test_examples_in_random_rulesets_end_as_told(file: Path) -> None:
    for situation, _, _ in recorded(file):
        reach = Reach(Analysis(situation.ruleset, situation.topology))
        own = numbers(a.address for a in situation.topology.addresses)
        far = numbers(a for e in situation.topology.endpoints for a in e.addresses[:1])
        for interface in ("", *sorted({r.interface for r in situation.topology.routes} - {"lo"})[:2]):
            for question in (
                Question(((interface, None),)),
                Question(((interface, None),), own, to_host=True),
                Question(((interface, None),), far or own),
                Question(((interface, None),), far or own, proto="tcp", port=80),
            ):
                hold(situation, reach, question)


GROUPS = """*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -m limit --limit 1/sec -j ACCEPT
COMMIT
"""


@pytest.mark.parametrize("assumed", [(), ("limit=within",)])
@pytest.mark.parametrize("ends", [("192.0.2.5", "host"), (None, "host"), ("192.0.2.5", None), ("host", "192.0.2.5")])
def test_a_limit_leaves_the_fate_open_wherever_packets_go(
    assumed: tuple[str, ...], ends: tuple[str | None, str | None]
) -> None:
    situation = situations(read_snapshot(GROUPS, "groups")._replace(assumed=dict(a.split("=") for a in assumed)))[0]
    asked = Asked(situation, *ends)
    assert hold(situation, asked.reach, asked.question, undecided=not assumed)


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


SHIFTED = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -d 192.0.2.1/32 -p tcp -m tcp --dport 5000:5999 -j DNAT --to-destination 10.9.0.5:1000-1999/5000
-A PREROUTING -d 192.0.2.0/24 -j NETMAP --to 10.9.0.0/24
COMMIT
"""


@pytest.mark.parametrize("target", ["10.9.0.5:1500", "10.9.0.5", "10.9.0.6:1500"])
def test_what_is_moved_within_a_range_lands_by_its_own_number(target: str) -> None:
    situation = situations(read_snapshot(SHIFTED, "shifted"))[0]
    asked = Asked(situation, "internet", target)
    assert hold(situation, asked.reach, asked.question, undecided=False)


def test_what_a_machine_sends_to_itself_is_rewritten() -> None:
    """A bridge shows it to POSTROUTING, where no interface is known by which it came."""
    answer = json.loads(run(DEFAULT_BRIDGE, "--to", "172.17.0.2:80", "-o", "json"))
    found = [(region["fate"], region["nat"]) for region in answer["regions"]]
    assert ("accepted", {"src": "the address on the way out"}) in found


LANDING = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:HERE - [0:0]
:THERE - [0:0]
-A PREROUTING -p tcp -m tcp --dport 80 -j HERE
-A PREROUTING -d 198.51.100.0/24 -j THERE
-A PREROUTING -p tcp -m tcp --dport 81 -m limit --limit 1/sec -j DNAT --to-destination 10.9.0.5:80
-A PREROUTING -p tcp -m tcp --dport 82 -j REDIRECT --to-ports 80
-A HERE -s 10.1.0.0/16 -j DNAT --to-destination 10.9.0.5-10.9.0.6
-A HERE -m mark ! --mark 0x1 -j MARK --set-mark 0x1
-A HERE -m mark --mark 0x1 -j DNAT --to-destination 10.9.0.5
-A THERE -p tcp -j DNAT --to-destination 10.9.0.7
COMMIT
"""


@pytest.mark.parametrize(
    "target", ["10.9.0.5:80", "10.9.0.5", "10.9.0.6:80", "10.9.0.7:80", "host:80", "198.51.100.1:80"]
)
def test_what_rules_rewrite_to_a_target_belongs_to_the_question(target: str) -> None:
    """What cannot get there is left out beforehand, which changes nothing in the answer."""
    situation = situations(read_snapshot(LANDING, "landing"))[0]
    asked = Asked(situation, "internet", target)
    whole = Reach(Analysis(situation.ruleset, situation.topology))
    whole._arrives = lambda question: YES  # type: ignore[method-assign]
    told = [(region._replace(packets=NO), whole.boxes(region)) for region in whole.regions(asked.question)]
    assert told == [(region._replace(packets=NO), asked.reach.boxes(region)) for region in asked.regions]
