"""What the matrix of networks says of all packets, against the trace of single ones."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from iptexplain.explain.all_packets import Proof, prove, side
from iptexplain.explain.networks import reach
from iptexplain.explain.situation import Situation, situations
from iptexplain.host.snapshot import read_snapshot
from iptexplain.rules.addresses import Address
from iptexplain.sets.example import FIRST
from iptexplain.sets.reach import FATES
from iptexplain.walk.packet import Packet
from iptexplain.walk.trace import trace

pytestmark = pytest.mark.exhaustive

FIXTURES = Path(__file__).parent.parent / "fixtures"
HOSTS = [
    *sorted((FIXTURES / "docker/20.10").glob("*/snapshot.json")),
    *sorted((FIXTURES / "questions").glob("*/*.v[46]")),
    *sorted((FIXTURES / "docker-dumps").glob("2*/[2-6]*.ip[46].txt")),
    *sorted((FIXTURES / "programs").glob("*/*/rules.v[46]")),
]
PACKETS = 12
PORTS = (22, 53, 80, 443, 3306, 5432, 8080, 8081, 8443, 9000, 40000)


def packets(rng: random.Random, situation: Situation, source: str, target: str) -> Iterator[dict[str, Any]]:
    (interface, senders), (_, targets) = side(situation, source), side(situation, target)
    own_numbers = [a.number for e in situation.topology.endpoints for a in e.addresses]
    for _ in range(PACKETS):
        proto = rng.choice(["tcp", "tcp", "udp", "sctp", "icmp" if situation.family == 4 else "ipv6-icmp", "gre"])
        packet = FIRST | {"iif": interface, "proto": proto}
        for name, intervals in (("src", senders), ("dst", targets)):
            known = [n for n in own_numbers if any(low <= n <= high for low, high in intervals)]
            low, high = rng.choice(intervals)
            number = rng.choice(known) if known and rng.random() < 0.7 else rng.randint(low, high)
            packet[name] = Address(situation.family, number)
        if proto in ("tcp", "udp", "sctp"):
            packet |= {"sport": rng.choice(PORTS), "dport": rng.choice(PORTS)}
        elif proto != "gre":
            packet |= {"icmp_type": 8 if situation.family == 4 else 128, "icmp_code": 0, "icmp_id": 1}
        yield {k: v for k, v in packet.items() if k != "flags" or proto == "tcp"}


def fates(situation: Situation, packet: dict[str, Any]) -> set[str]:
    """ "elsewhere": the rules have sent it to another address."""
    outcome = trace(situation.ruleset, situation.topology, Packet(dict(packet))).outcome
    ended = outcome.branches or (outcome,)
    return {"elsewhere" if _is_elsewhere(packet, o.fields, o.kind) else FATES.get(o.kind, "unknown") for o in ended}


def _is_elsewhere(packet: dict[str, Any], last: dict[str, Any], kind: str) -> bool:
    return FATES.get(kind) == "accepted" and last["dst"] != packet["dst"]


def exceptions(proof: Proof, pair: tuple[str, str]) -> set[str]:
    return {o.fate for o in proof.others if pair[0] in o.sources and pair[1] == o.target}


def checked(situation: Situation, pairs: Iterable[tuple[str, str, str]]) -> int:
    """How many packets were asked."""
    verdicts = {(a, b): verdict for a, b, verdict in pairs}
    proof, rng, asked = prove(situation, verdicts), random.Random(len(verdicts)), 0
    for pair, verdict in verdicts.items():
        if proof.for_all[pair] is None:
            continue
        others = exceptions(proof, pair)
        assert proof.for_all[pair] == (not others)
        for packet in packets(rng, situation, *pair):
            asked += 1
            found = fates(situation, packet)
            open_ends = "unknown" in others and len(found) > 1
            assert found <= {verdict, "elsewhere"} | others or open_ends, (pair, packet, found)
    for other in proof.others:
        found = fates(situation, other.witness)
        assert found == {other.fate} or (other.fate == "unknown" and len(found) > 1), (other, found)
    return asked


@pytest.mark.parametrize(
    "file", [file for file in HOSTS if file.read_text().strip()], ids=lambda file: f"{file.parent.name}-{file.name}"
)
def test_single_packets_fare_as_all_are_said_to(file: Path) -> None:
    for situation in situations(read_snapshot(file.read_text(), str(file))):
        pairs = [(r.source, r.target, r.verdict) for r in reach(situation)]
        assert checked(situation, pairs) or situation.half or all(verdict == "unknown" for *_, verdict in pairs)


def test_an_answer_of_one_packet_that_does_not_hold_for_all_is_not_said_to() -> None:
    file = FIXTURES / "docker/20.10/two-networks/snapshot.json"
    situation = situations(read_snapshot(file.read_text(), str(file)))[0]
    proof = prove(situation, {("outside", "docker0"): "dropped", ("docker0", "outside"): "accepted"})
    assert proof.for_all == {("outside", "docker0"): False, ("docker0", "outside"): True}
    (other,) = proof.others
    assert (other.fate, other.target, [str(one.values) for one in other.lines[0]]) == (
        "accepted", "docker0", ["('tcp',)", "('172.17.0.2',)", "('80',)"],
    )  # fmt: skip


def test_beyond_the_budget_nothing_is_said_of_all_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    file = str(FIXTURES / "docker/20.10/two-networks/snapshot.json")
    situation = situations(read_snapshot(Path(file).read_text(), file))[0]
    assert prove(situation, {("outside", "docker0"): "dropped"}, limit=50).for_all == {("outside", "docker0"): None}
    monkeypatch.setattr("iptexplain.explain.all_packets.prove.__defaults__", (50,))
    shown = CliRunner().invoke(program, ["networks", file]).output
    assert "was not worked out for all of these answers." in shown
    assert "The same is true" not in shown
