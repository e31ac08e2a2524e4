"""What lints say of all packets, against the trace of many: no packet meets a rule that is called dead, none fares otherwise
without one that is called redundant, and the rules that are named as the cause do leave nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest

from iptexplain.explain.situation import Situation
from iptexplain.host.snapshot import read_snapshot
from iptexplain.lint import redundant_rule
from iptexplain.lint.host import Host
from iptexplain.rules.addresses import to_address
from iptexplain.rules.model import Jump, Place, Rule, Ruleset
from iptexplain.walk.outcome import Outcome
from iptexplain.walk.packet import OneOf, Packet
from iptexplain.walk.trace import trace
from tests.test_agreement import CASES, Pool, situations

pytestmark = pytest.mark.exhaustive

PACKETS = 40
SEEDS = range(100)

CHAINS = ("FORWARD", "A", "B", "C")
SOURCES = ("10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16", "10.1.2.0/24")
TARGETS = ("ACCEPT", "ACCEPT", "DROP", "DROP", "RETURN", "REJECT", "REJECT --reject-with icmp-admin-prohibited", "LOG",
           "MARK --set-xmark 0x1/0x1", "MARK --set-xmark 0x0/0x1", "MARK --set-xmark 0x2/0x2")  # fmt: skip


def condition(rng: random.Random) -> str:
    """None, or some of a few conditions that often include each other."""
    words = []
    if rng.random() < 0.5:
        words.append(f"{rng.choice(['', '', '! '])}-s {rng.choice(SOURCES)}")
    if rng.random() < 0.3:
        words.append(f"-i eth{rng.randrange(2)}")
    if rng.random() < 0.6:
        proto = rng.choice(("tcp", "udp"))
        words.append(f"-p {proto} -m {proto} --dport {rng.choice(['1:10', '5', '5:80', '80', '1:100'])}")
    if rng.random() < 0.2:
        words.append(f"-m mark --mark 0x{rng.randrange(2)}/0x1")
    if rng.random() < 0.05:
        words.append("-m limit --limit 1/sec")
    if rng.random() < 0.1:
        words.append("-m conntrack --ctstate NEW")
    return " ".join(words)


def ruleset(rng: random.Random) -> str:
    """A filter table in which chains call those behind them in the alphabet."""
    lines = [f":{name} {rng.choice(['ACCEPT', 'DROP']) if name == 'FORWARD' else '-'} [0:0]" for name in CHAINS]
    for number, name in enumerate(CHAINS):
        for _ in range(rng.randrange(2, 7)):
            later = CHAINS[number + 1 :]
            jump = f"-{rng.choice('jjjg')} {rng.choice(later)}" if later and rng.random() < 0.35 else ""
            lines.append(f"-A {name} {condition(rng)} {jump or f'-j {rng.choice(TARGETS)}'}")
    return "*filter\n" + "\n".join(lines) + "\nCOMMIT\n"


def packet(rng: random.Random) -> dict[str, Any]:
    source = rng.choice(("10.0.0.1", "10.1.0.1", "10.1.2.3", "10.128.0.1", "10.200.0.1", "192.0.2.9"))
    return {
        "iif": f"eth{rng.randrange(3)}", "src": to_address(source), "dst": to_address("198.51.100.7"),
        "proto": rng.choice(("tcp", "udp", "gre")), "sport": 40000, "dport": rng.choice((1, 5, 10, 11, 79, 80, 100, 101)),
        "flags": frozenset({"SYN"}), "mark": rng.randrange(4), "ctstate": rng.choice(("NEW", "NEW", "ESTABLISHED")),
    }  # fmt: skip


def host(text: str) -> Host:
    return Host(Situation(read_snapshot(text, "rules.v4"), 4))


def without(rules: Ruleset, gone: Collection[Place]) -> Ruleset:
    """The ruleset without some rules."""

    def kept(table: str, chain: str, some: tuple[Rule, ...]) -> tuple[Rule, ...]:
        return tuple(r for n, r in enumerate(some, 1) if Place(table, chain, n, r.line) not in gone)

    tables = {
        name: table._replace(
            chains={c.name: c._replace(rules=kept(name, c.name, c.rules)) for c in table.chains.values()}
        )
        for name, table in rules.tables.items()
    }
    return rules._replace(tables=tables)


def ends(rules: Ruleset, one: Host, fields: dict[str, Any]) -> tuple[set[Any], set[Place]]:
    """How a packet can end, with its marks, and the rules that it meets; no ends where there are too many ways to follow."""
    way = trace(rules, one.topology, Packet(dict(fields)))
    found = {_end(outcome) for outcome in way.outcome.branches or (way.outcome,)}
    return set() if way.bounded else found, {s.place for s in way.steps if s.rule is not None}


def _end(outcome: Outcome) -> Any:
    if outcome.kind in ("dropped", "rejected"):
        return outcome.kind, outcome.answer
    names = ("src", "dst", "sport", "dport", "mark", "connmark", "ttl", "tos")
    values = [outcome.fields.get(name) for name in names]
    return outcome.kind, outcome.interface, *[str(v) if isinstance(v, OneOf) else v for v in values]


def check(one: Host, packets: list[dict[str, Any]]) -> tuple[int, int]:
    """Trace the packets; how many dead rules and how many spare rules there are."""
    dead = {place for asked in one.tables.values() for place in asked.dead}
    spare = [place for asked in one.tables.values() for place in asked.spare]
    assert not dead & set(spare)
    removals = [[place] for place in spare[:6]] + [spare, [*spare, *dead]]
    shortened = [(gone, without(one.ruleset, gone)) for gone in removals if gone]
    for fields in packets:
        before, met = ends(one.ruleset, one, fields)
        assert not met & dead, fields
        for gone, rules in shortened:
            after, _ = ends(rules, one, fields)
            assert not before or not after or before == after, f"without {gone}: {fields}"
    return len(dead), len(spare)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_chains(seed: int) -> None:
    rng = random.Random(seed)
    text = ruleset(rng)
    print(text)
    check(host(text), [packet(rng) for _ in range(PACKETS)])


def test_random_chains_have_such_rules() -> None:
    """Enough of both kinds for the tests above to mean something."""
    found = [host(ruleset(random.Random(seed))).tables["filter"] for seed in SEEDS]
    assert sum(len(asked.dead) for asked in found) > 60
    assert sum(len(asked.spare) for asked in found) > 30


@pytest.mark.parametrize("seed", SEEDS)
def test_causes_are_enough(seed: int) -> None:
    """A rule stays dead when of all rules that jump nowhere only the named ones are left beside it, with the chains that named
    ones call."""
    rng = random.Random(seed)
    text = ruleset(rng)
    print(text)
    one = host(text)
    asked = one.tables["filter"]
    for place in asked.dead:
        causes = asked.causes(place)
        if place not in asked.impossible and causes is not None:
            assert causes
            named = [one.rule(p).target for p in causes]
            called = {c for t in named if isinstance(t, Jump) for c in one.inside("filter", t.chain)}
            jumps = {p for p, r in one.places() if isinstance(r.target, Jump)}
            rest = {
                p for p, _ in one.places() if p not in (*causes, place) and p not in jumps and p.chain not in called
            }
            others = rest | (jumps & set(asked.dead) - {place})
            left = Host(Situation(one.snapshot, 4, (one.dump, without(one.ruleset, others))))
            assert place.line in {p.line for p in left.tables["filter"].dead}, (place, causes)


@pytest.mark.parametrize(
    "condition",
    [
        "--ctdir REPLY",
        "--ctstatus SEEN_REPLY",
        "--ctstatus EXPECTED",
        "--ctreplsrc 10.0.0.7",
        "--ctproto 6",
        "--ctstate DNAT",
    ],
)
def test_answers_are_packets_too(condition: str) -> None:
    """What never holds for the first packet of a connection holds for others."""
    rules = (
        "-A FORWARD -s 10.1.0.0/16 -p icmp -j {}\n-A FORWARD -s 10.0.0.0/8 -p icmp -m conntrack "
        + condition
        + " -j {}\n"
    )
    asked = host("*filter\n:FORWARD DROP [0:0]\n" + rules.format("ACCEPT", "ACCEPT") + "COMMIT\n").tables["filter"]
    assert (asked.dead, asked.spare) == ([], [])


@pytest.mark.parametrize("file", CASES[1::3], ids=lambda file: file.stem)
def test_recorded_rulesets(file: Path) -> None:
    rng = random.Random(file.stem)
    for situation, family, dump in situations(file):
        pool = Pool(rng, situation, family, dump)
        check(Host(situation), [pool.packet() for _ in range(PACKETS)])


HEAD = "*filter\n:INPUT DROP [0:0]\n:OWN - [0:0]\n"
SPARE = [
    ("-A INPUT -p udp -j DROP", {1}),
    ("-A INPUT -p udp -j DROP\n-A INPUT -j LOG", set()),
    ("-A INPUT -p udp -j DROP\n-A INPUT -p tcp -j LOG", {1}),
    ("-A INPUT -p udp -j REJECT", set()),
    ("-A INPUT -p udp -j REJECT\n-A INPUT -j REJECT", {1}),
    ("-A INPUT -p udp -j REJECT --reject-with icmp-host-prohibited\n-A INPUT -j REJECT", set()),
    ("-A INPUT -p udp -j DROP\n-A INPUT -m recent --set --name seen", set()),
    ("-A INPUT -p udp -m recent --update --seconds 9 --name seen -j DROP", set()),
    ("-A INPUT -p udp -m limit --limit 1/sec -j ACCEPT\n-A INPUT -p udp -j ACCEPT", set()),
    ("-A INPUT -p udp", set()),
    ("-A INPUT -p udp -j MARK --set-xmark 0x1/0x1\n-A INPUT -p udp -j MARK --set-xmark 0x1/0xf\n-A INPUT -j ACCEPT", {1}),
    ("-A INPUT -p udp -j MARK --set-xmark 0x1/0x1", {1}),
    ("-A INPUT -p udp -j MARK --set-xmark 0x2/0x2\n-A INPUT -p udp -j MARK --set-xmark 0x1/0x1\n-A INPUT -j ACCEPT", set()),
    ("-A INPUT -p udp -j ACCEPT\n-A INPUT -p udp -j ACCEPT", set()),
    ("-A INPUT -p tcp -j OWN\n-A OWN -p tcp -m tcp --dport 1 -j DROP", {1}),
    ("-A INPUT -p tcp -j OWN\n-A INPUT -j ACCEPT\n-A OWN -p tcp -m tcp --dport 1 -j DROP", set()),
    ("-A INPUT -p tcp -j OWN\n-A INPUT -p tcp -j LOG\n-A OWN -p tcp -m tcp --dport 1 -j DROP", set()),
]  # fmt: skip


@pytest.mark.parametrize(("rules", "spare"), SPARE)
def test_spare_rules(rules: str, spare: set[int]) -> None:
    assert {place.rule for place in host(f"{HEAD}{rules}\nCOMMIT\n").tables["filter"].spare} == spare


def test_of_a_policy_that_the_dump_does_not_tell_nothing_is_said() -> None:
    asked = host("*filter\n-A INPUT -p udp -j ACCEPT\n-A INPUT -p tcp -j DROP\nCOMMIT\n").tables["filter"]
    assert asked.spare == []


def test_what_a_target_does_beside_its_verdict_counts() -> None:
    """A helper, or a zone, is nothing that a set of packets shows."""
    rule = "-A PREROUTING -p tcp -m tcp --dport 2121 -j CT --helper ftp\n"
    text = f"*raw\n:PREROUTING ACCEPT [0:0]\n{rule}{rule.replace('2121', '2100:2200').replace('ftp', 'irc')}COMMIT\n"
    assert host(text).tables["raw"].spare == []


def test_ip_sets_are_not_what_they_hold_now() -> None:
    """fail2ban's sets are empty now and then."""
    text = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m set --match-set banned src -j DROP\nCOMMIT\n"
    given = json.dumps({"iptables": text, "ipsets": "create banned hash:ip family inet hashsize 1024 maxelem 65536\n"})
    asked = Host(Situation(read_snapshot(given, "rules"), 4)).tables["filter"]
    assert (asked.dead, asked.spare) == ([], [])


def test_addresses_that_nobody_listed_may_be_the_host_s() -> None:
    """The address that stands for the host where no snapshot tells one makes no rule dead."""
    rule = "-A PREROUTING -d 203.0.113.5/32 -p tcp -m tcp --dport 80 -m addrtype --dst-type LOCAL -j DNAT --to-destination 10.0.0.3\n"
    assert host(f"*nat\n:PREROUTING ACCEPT [0:0]\n{rule}COMMIT\n").tables["nat"].dead == []


UNCERTAIN = [
    "*filter\n:INPUT DROP [0:0]\n:OWN - [0:0]\n-A INPUT -p tcp -j OWN\n-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT\n"
    "-A OWN -p tcp -j NFQUEUE --queue-num 1\nCOMMIT\n",
    "*nat\n:PREROUTING ACCEPT [0:0]\n:OWN - [0:0]\n-A PREROUTING -p tcp -m tcp --dport 80 -j OWN\n"
    "-A PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 192.0.2.1:81\n"
    "-A OWN -p tcp -m tcp --dport 80 -j DNAT --to-destination 192.0.2.2:80\nCOMMIT\n",
]


@pytest.mark.parametrize("text", UNCERTAIN, ids=("NFQUEUE", "DNAT"))
def test_a_rule_of_many_ends_decides_in_a_called_chain(text: str) -> None:
    """Whatever a program says of its packets, or whichever address they get: none comes back to the caller."""
    one = host(text)
    (asked,) = one.tables.values()
    (dead,) = asked.dead
    causes = asked.causes(dead)
    assert causes and [(p.chain, p.rule) for p in asked.deciders(dead, causes)] == [("OWN", 1)]


def test_chains_deep_in_each_other() -> None:
    chains = "".join(f":D{n} - [0:0]\n" for n in range(3001))
    jumps = "".join(f"-A D{n} -j D{n + 1}\n" for n in range(3000))
    end = "-A D3000 -p tcp -j ACCEPT\n-A D3000 -p tcp -m tcp --dport 22 -j DROP\n-A D3000 -p udp -j DROP\n"
    asked = host(f"*filter\n:FORWARD DROP [0:0]\n{chains}-A FORWARD -j D0\n{jumps}{end}COMMIT\n").tables["filter"]
    (dead,) = asked.dead
    causes = asked.causes(dead)
    assert causes and [(p.chain, p.rule) for p in causes] == [("D3000", 1)]
    assert [(p.chain, p.rule) for p in asked.spare] == [("D3000", 3)]


@pytest.mark.parametrize(
    ("rules", "instead"),
    [
        ("-A INPUT -s 10.0.0.1 -j ACCEPT\n-A INPUT -j OWN\n-A INPUT -s 10.0.0.0/8 -j ACCEPT\n-A OWN -p icmp -s 192.0.2.0/24 -j DROP", [3]),
        ("-A INPUT -s 10.0.0.1 -j ACCEPT\n-A INPUT -j OWN\n-A OWN -s 10.0.0.0/8 -j ACCEPT", [2]),
        ("-A INPUT -s 10.0.0.1 -j DROP\n-A INPUT -j MARK --set-xmark 0x1\n-A INPUT -s 10.0.0.0/8 -j DROP", [3]),
        ("-A INPUT -s 10.0.0.1 -j DROP\n-A INPUT -j MARK --set-xmark 0x1\n-A INPUT -m mark --mark 0x1 -j DROP", [3]),
        ("-A INPUT -j MARK --set-xmark 0x1\n-A INPUT -j MARK --set-xmark 0x2\n-A INPUT -j ACCEPT", [2, 3]),
        ("-A INPUT -s 10.0.0.1 -j DROP\n-A INPUT -s 10.0.0.0/8 -p tcp -j DROP", [2, "policy"]),
    ],
)  # fmt: skip
def test_what_does_the_same_is_named(rules: str, instead: list[Any]) -> None:
    """And nothing that packets only come past."""
    one = host(f"{HEAD}{rules}\nCOMMIT\n")
    found = next(f for f in redundant_rule.find(one) if f.place and f.place.rule == 1)
    assert [p.rule for p in found.because] == instead
