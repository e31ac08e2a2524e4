"""The analysis of all packets against the trace of one: in recorded rulesets, random packets have the ends that the trace says.

The rulesets are those of fixtures/kernel: random ones and Docker's, each with its host.
"""

from __future__ import annotations

import json
import random
import re
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from iptexplain.explain.situation import Situation
from iptexplain.host.snapshot import read_snapshot
from iptexplain.rules.addresses import Address, to_address
from iptexplain.rules.values import Family
from iptexplain.sets.analyse import Analysis
from iptexplain.sets.change import Chosen, Shift
from iptexplain.sets.ways import UNDECIDED, End
from iptexplain.walk.conntrack import KNOWN
from iptexplain.walk.outcome import Outcome, Trace
from iptexplain.walk.packet import OneOf, Packet, read_fields
from iptexplain.walk.trace import trace
from tests.hosts import FACTS, host
from tests.kernel.compare import snapshot_of

pytestmark = pytest.mark.exhaustive

CASES = sorted((Path(__file__).parent.parent / "fixtures/kernel").glob("*.json"))
PACKETS = 60
FLAGS = [{"SYN"}, {"SYN"}, {"SYN"}, {"ACK"}, {"SYN", "ACK"}, {"RST"}, {"FIN", "ACK"}, set(), {"SYN", "ECE", "CWR"}]
ARRIVED = ("forwarded", "sent", "delivered-local")

Ended = tuple[str, str | None, Any]
"""Kind, interface, and where the packet goes: address and port, where both sides know them."""


class Pool:
    """What the packets of one case are made of: the addresses, ports and names that its rules and its host know."""

    def __init__(self, rng: random.Random, situation: Situation, family: Family, dump: str) -> None:
        self.random, self.family = rng, family
        topology = situation.topology
        self.addresses = [a.address for a in topology.addresses] + [a for e in topology.endpoints for a in e.addresses]
        self.addresses += [Address(family, r.network.number) for r in topology.routes]
        words = [w.split("/")[0].split("-")[0] for w in re.split(r"[\s,]", dump)]
        self.addresses += [to_address(w, family) for w in words if _is_address(w, family)]
        far = ["8.8.8.8", "198.51.100.7", "255.255.255.255", "224.0.0.1", "127.0.0.1"]
        far6 = ["2001:db8:9::1", "ff02::1", "::1", "fe80::99"]
        self.addresses += [to_address(a) for a in (far if family == 4 else far6)]
        self.numbers = [int(n) for n in re.findall(r"(?<![\d.])\d{1,5}(?![\d.])", dump) if int(n) < 65536] + [80, 8080]
        self.interfaces = sorted({a.interface for a in topology.addresses} | {r.interface for r in topology.routes})
        self.macs = ["02:00:00:00:00:07", *(e.mac for e in topology.endpoints if e.mac)]
        self.ports, self.bridges = sorted(topology.ports), topology.bridges

    def address(self) -> Address:
        number = self.random.choice(self.addresses).number + self.random.choice([0, 0, 0, 0, 0, 1, -1])
        return Address(self.family, number % (1 << (32 if self.family == 4 else 128)))

    def number(self, top: int) -> int:
        return min(max(self.random.choice(self.numbers) + self.random.choice([0, 0, 0, 0, 1, -1]), 0), top)

    def packet(self) -> dict[str, Any]:
        pick, ping = self.random.choice, "icmp" if self.family == 4 else "ipv6-icmp"
        fields: dict[str, Any] = {
            "iif": pick(["", *self.interfaces, *self.interfaces, "tun7"]), "src": self.address(), "dst": self.address(),
            "proto": pick(["tcp", "tcp", "tcp", "udp", "udp", ping, "sctp", "gre"]), "physin": "", "fragment": False,
            "ctstate": pick(["NEW"] * 6 + ["ESTABLISHED", "RELATED", "INVALID", "UNTRACKED"]),
            "flags": frozenset(pick(FLAGS)), "length": self.number(1500), "ttl": pick([1, 2, 64, 64, 64, 255]),
            "tos": pick([0, 0, 8, 16, 184]), "mark": pick([0, 0, 0, 1, self.number(65535)]), "connmark": pick([0, 0, 1]),
            "mac_src": pick(self.macs),
        }  # fmt: skip
        if fields["ctstate"] in KNOWN:
            fields |= {"ctdir": pick(["ORIGINAL", "REPLY"]), "ctstatus": pick(["NONE", "NONE", "DNAT", "SNAT,DNAT"])}
        if fields["iif"] in self.bridges and self.ports:
            fields["physin"] = pick(["", *self.ports])
        if fields["iif"] in ("", "lo"):
            fields["mac_src"] = ""
        if fields["proto"] == ping:
            fields |= {"icmp_type": pick([8, 8, 0, 3, 128, 135]), "icmp_code": 0, "icmp_id": 7}
        elif fields["proto"] != "gre":
            fields |= {"sport": self.number(65535), "dport": self.number(65535)}
        return fields


def _is_address(word: str, family: Family) -> bool:
    try:
        return (":" in word) == (family == 6) and bool(ip_address(word))
    except ValueError:
        return False


def ends_by_trace(way: Trace) -> set[Ended]:
    return {_ended(outcome) for outcome in way.outcome.branches or (way.outcome,)}


def _ended(outcome: Outcome) -> Ended:
    if outcome.kind not in ARRIVED:
        return outcome.kind, None, None
    dst, dport = outcome.fields["dst"], outcome.fields.get("dport")
    return outcome.kind, outcome.interface, None if isinstance(dst, OneOf) or isinstance(dport, OneOf) else (dst, dport)


def ends_by_sets(analysis: Analysis, packet: dict[str, Any], ends: list[End]) -> set[Ended]:
    found: set[Ended] = set()
    for end in ends:
        if end.way not in ARRIVED:
            found.add((end.way, None, None))
            continue
        to = [_after(analysis, packet, end, name) for name in ("dst", "dport")]
        found.add((end.way, end.interface, None if any(isinstance(v, Chosen) for v in to) else tuple(to)))
    return found


def _after(analysis: Analysis, packet: dict[str, Any], end: End, name: str) -> Any:
    level = analysis.fields.level[name]
    change = dict(end.changes).get(level)
    if change is None or name not in packet:
        return packet.get(name)
    if isinstance(change, Shift):
        change = change.of(analysis.fields.point(packet)[level])
    return analysis.fields.all[level].value(change) if isinstance(change, int) else change


def situations(file: Path) -> list[tuple[Situation, Family, str]]:
    case = json.loads(file.read_text())
    snapshot = read_snapshot(json.dumps(snapshot_of(case)), case["name"])
    families: list[tuple[Family, str]] = [(4, "dump"), (6, "dump6")]
    return [(Situation(snapshot, family), family, case[key]) for family, key in families if case.get(key)]


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_every_packet_ends_as_the_trace_says(file: Path) -> None:
    rng, undecided = random.Random(file.stem), 0
    for situation, family, dump in situations(file):
        ruleset, topology = situation.ruleset, situation.topology
        analysis = Analysis(ruleset, topology)
        pool = Pool(rng, situation, family, dump)
        for _ in range(PACKETS):
            packet = pool.packet()
            way = trace(ruleset, topology, Packet(dict(packet)))
            ends = analysis.ends_of(packet)
            by_sets, by_trace = ends_by_sets(analysis, packet, ends), ends_by_trace(way)
            if any(kind == UNDECIDED for kind, _, _ in by_sets) or way.bounded:
                assert not file.stem.startswith("docker"), f"nothing of Docker's rules is left undecided: {packet}"
                undecided += 1
                continue
            if None in {to for _, _, to in by_trace}:  # of addresses that NAT may choose the trace names the range
                by_sets, by_trace = ({(kind, out, None) for kind, out, _ in ends_} for ends_ in (by_sets, by_trace))
            assert by_sets == by_trace, f"{packet}\n{ends}"
    assert undecided <= PACKETS // 4


MARKED = "*mangle\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -j MARK --set-xmark 0x1/0xffffffff\nCOMMIT\n"


@pytest.mark.parametrize(
    ("src", "dst", "kind", "interface"),
    [
        ("192.0.2.10", "0.0.0.0", "delivered-local", "lo"),
        ("127.0.0.1", "0.0.0.0", "delivered-local", "lo"),
        ("127.0.0.1", "198.51.100.7", "delivered-local", "lo"),
        ("127.0.0.1", "192.0.2.1", "dropped", None),
        ("192.0.2.10", "192.0.2.1", "sent", "eth0"),
        ("127.0.0.1", "172.17.0.2", "sent", "docker0"),
        ("192.0.2.10", "203.0.113.5", "dropped", None),
    ],
)
def test_own_packets_that_rules_change_are_routed_anew(src: str, dst: str, kind: str, interface: str | None) -> None:
    """Without a default route, 198.51.100.0/24 lies behind lo, and docker0 has route_localnet (fixtures/kernel/expected.t)."""
    routes = [r for r in FACTS["routes"] if r["dst"] != "default"] + [{"dst": "198.51.100.0/24", "dev": "lo"}]
    situation = host(MARKED, routes=routes, sysctls={"net.ipv4.conf.docker0.route_localnet": 1})
    fields = {"iif": "", "src": src, "dst": dst, "proto": "udp", "sport": "40000", "dport": "53", "ttl": "64"}
    packet = read_fields(fields) | {"ctstate": "NEW"}
    outcome = trace(situation.ruleset, situation.topology, Packet(dict(packet))).outcome
    assert (outcome.kind, outcome.interface) == (kind, interface)
    analysis = Analysis(situation.ruleset, situation.topology)
    assert ends_by_sets(analysis, packet, analysis.ends_of(packet)) == {_ended(outcome)}
