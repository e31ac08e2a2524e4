"""Which rule is for which packet, against the walk of single packets through one table, and rules that are for none."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from iptexplain.host.topology import Topology
from iptexplain.rules.model import Place
from iptexplain.rules.parse import parse
from iptexplain.sets.analyse import Analysis
from iptexplain.sets.change import substituted
from iptexplain.sets.hits import AT_HOOK, Hits, dead_rules
from iptexplain.sets.space import NO
from iptexplain.walk.decide import Decisions, all_ways
from iptexplain.walk.packet import Packet
from iptexplain.walk.seen import Seen
from iptexplain.walk.table import Step, TableWalk
from iptexplain.walk.tracking import Tracking
from tests.test_agreement import CASES, Pool, situations

PACKETS = 25


def met(analysis: Analysis, table: str, hook: str, packet: dict[str, Any]) -> set[Place]:
    """The rules that a packet meets in one table, on any of the ways that nobody can decide between."""
    tracking = Tracking(packet["ctstate"], None, False, None)
    tracking.look_up(Packet({k: v for k, v in packet.items() if k != "ctstate"}))

    def walk(decisions: Decisions) -> list[Step]:
        steps: list[Step] = []
        seen = Seen(dict(packet), analysis.topology, tracking.field)
        TableWalk(analysis.ruleset, table, hook, seen, decisions, steps).run()
        return steps

    ways, _ = all_ways(walk, {})
    return {step.place for steps in ways for step in steps if step.rule is not None}


def at_hook(rng: random.Random, pool: Pool, hook: str) -> dict[str, Any]:
    """A packet as it comes to a hook behind conntrack."""
    packet = pool.packet() | {
        "pkttype": "unicast",
        "physin": "",
        "physout": "",
        "tracked": False,
        "ctstatus": "NONE",
        "ctdir": "ORIGINAL",
    }
    for name, has in zip(("iif", "oif"), AT_HOOK[hook], strict=True):
        packet[name] = rng.choice([i for i in (*pool.interfaces, "tun7") if i]) if has is not False else ""
    packet["mac_src"] = packet["mac_src"] or pool.macs[0]
    return packet


@pytest.mark.parametrize("file", CASES[::3], ids=lambda file: file.stem)
def test_rules_are_for_the_packets_that_meet_them(file: Path) -> None:
    rng = random.Random(file.stem)
    for situation, family, dump in situations(file):
        analysis = Analysis(situation.ruleset, situation.topology)
        pool = Pool(rng, situation, family, dump)
        for table, hook in [(t, h) for t in ("mangle", "filter") if t in situation.ruleset.tables for h in AT_HOOK]:
            if hook not in situation.ruleset.tables[table].chains:
                continue
            hits = Hits(analysis.chains[table], hook)
            for _ in range(PACKETS):
                packet = at_hook(rng, pool, hook)
                begun = {"ctorigsrc": "src", "ctorigdst": "dst", "ctorigsrcport": "sport", "ctorigdstport": "dport"}
                whole = packet | {new: packet[old] for new, old in begun.items() if old in packet}
                point = dict.fromkeys(range(len(analysis.fields.all)), 0) | analysis.fields.point(whole)
                fixed = tuple(sorted(point.items()))
                by_sets = {place for place, who in hits.of.items() if substituted(analysis.space, who, fixed, NO) != NO}
                assert by_sets == met(analysis, table, hook, packet), packet


DEAD = [
    ("-A FORWARD -s 10.0.0.0/8 -j DROP\n-A FORWARD -s 10.1.0.0/16 -p tcp -j ACCEPT", {2}),
    ("-A FORWARD -s 10.1.0.0/16 -j DROP\n-A FORWARD -s 10.0.0.0/8 -p tcp -j ACCEPT", set()),
    ("-A FORWARD -s 10.0.0.0/9 -j DROP\n-A FORWARD -s 10.128.0.0/9 -j DROP\n-A FORWARD -s 10.9.0.0/12 -j ACCEPT", {3}),
    ("-A FORWARD -m limit --limit 1/s -j DROP\n-A FORWARD -j ACCEPT", set()),
    ("-A FORWARD -j MARK --set-xmark 0x1/0x1\n-A FORWARD -m mark --mark 0x0/0x1 -j DROP", {2}),
    ("-A FORWARD -j MARK --set-xmark 0x1/0x1\n-A FORWARD -m mark --mark 0x2/0x2 -j DROP", set()),
    ("-A FORWARD -p tcp -j RETURN\n-A FORWARD -p tcp -m tcp --dport 80 -j ACCEPT", {2}),
    ("-A FORWARD -p tcp -m tcp --dport 80 -j LOG\n-A FORWARD -p tcp -m tcp --dport 80 -j ACCEPT", set()),
    ("-A FORWARD -i eth+ -j DROP\n-A FORWARD -i eth7 -j ACCEPT\n-A FORWARD -i wlan0 -j ACCEPT", {2}),
    ("-A FORWARD -m conntrack --ctstate NEW,RELATED,ESTABLISHED,INVALID,UNTRACKED -j DROP\n-A FORWARD -j ACCEPT", {2}),
]


@pytest.mark.parametrize(("rules", "dead"), DEAD)
def test_dead_rules(rules: str, dead: set[int]) -> None:
    ruleset = parse(f"*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n{rules}\nCOMMIT\n").rulesets[0]
    analysis = Analysis(ruleset, Topology(4))
    found = dead_rules([Hits(analysis.chains["filter"], "FORWARD")])
    assert {place.rule for place in found} == dead


def test_a_rule_of_a_user_chain_is_dead_only_if_no_caller_brings_it_packets() -> None:
    dump = """*filter
:INPUT ACCEPT
:FORWARD ACCEPT
:OUTPUT ACCEPT
:WEB - [0:0]
-A INPUT -p tcp -m tcp --dport 80 -j WEB
-A FORWARD -p tcp -m tcp --dport 443 -j WEB
-A WEB -p tcp -m tcp --dport 80 -j ACCEPT
-A WEB -p tcp -m tcp --dport 443 -j ACCEPT
-A WEB -p tcp -m tcp --dport 8080 -j ACCEPT
-A WEB -o eth0 -p tcp -m tcp --dport 80 -j DROP
COMMIT
"""
    analysis = Analysis(parse(dump).rulesets[0], Topology(4))
    every = [Hits(analysis.chains["filter"], hook) for hook in ("INPUT", "FORWARD")]
    assert [(place.chain, place.rule) for place in dead_rules(every)] == [("WEB", 3), ("WEB", 4)]
    assert [(place.chain, place.rule) for place in dead_rules(every[:1])] == [("WEB", 2), ("WEB", 3), ("WEB", 4)]
