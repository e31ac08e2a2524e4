"""Two rulesets compared for all packets against two traces of one: a random rule is changed, and random packets are asked.

The rulesets are those of fixtures/kernel, with their hosts.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pytest

from iptexplain.errors import DumpError
from iptexplain.rules.model import Place, Ruleset
from iptexplain.rules.parse import parse
from iptexplain.sets.change import Chosen
from iptexplain.sets.difference import Comparison, Region
from iptexplain.sets.ordinary import MOST, Line, Ordinary
from iptexplain.sets.same import same_places
from iptexplain.sets.simplest import simplified
from iptexplain.sets.space import NO, YES, Space
from iptexplain.sets.ways import UNDECIDED
from iptexplain.walk.outcome import Outcome, Trace
from iptexplain.walk.packet import Packet
from iptexplain.walk.trace import trace
from tests.test_agreement import CASES, Pool
from tests.test_agreement import situations as recorded

pytestmark = pytest.mark.exhaustive

PACKETS = 60
OWN = (
    "iif", "src", "dst", "proto", "sport", "dport", "fragment", "ctstate", "flags", "length", "ttl", "tos", "mark", "connmark",
    "mac_src", "physin", "icmp_type", "icmp_code",
)  # fmt: skip
"""A packet's own fields, not those that it gets on its way."""

Mutate = Callable[[random.Random, list[str], list[int]], None]


def dropped(rng: random.Random, lines: list[str], rules: list[int]) -> None:
    del lines[rng.choice(rules)]


def doubled(rng: random.Random, lines: list[str], rules: list[int]) -> None:
    """A rule once more, somewhere in its own chain."""
    one = rng.choice(rules)
    same = [n for n in rules if lines[n].split()[1] == lines[one].split()[1]]
    lines.insert(rng.choice(same), lines[one])


def swapped(rng: random.Random, lines: list[str], rules: list[int]) -> None:
    pairs = [n for n in rules if n + 1 in rules and lines[n].split()[1] == lines[n + 1].split()[1]]
    if pairs:
        n = rng.choice(pairs)
        lines[n : n + 2] = lines[n + 1], lines[n]


def turned(rng: random.Random, lines: list[str], rules: list[int]) -> None:
    """Another verdict."""
    verdicts = ["-j ACCEPT", "-j DROP", "-j RETURN"]
    fitting = [n for n in rules if lines[n].endswith(tuple(verdicts))]
    if fitting:
        n = rng.choice(fitting)
        lines[n] = lines[n].rpartition(" -j ")[0] + " " + rng.choice(verdicts)


def other_policy(rng: random.Random, lines: list[str], rules: list[int]) -> None:
    policies = [n for n, line in enumerate(lines) if line.startswith(":") and line.split()[1] in ("ACCEPT", "DROP")]
    n = rng.choice(policies)
    name, policy, *rest = lines[n].split()
    lines[n] = " ".join([name, "DROP" if policy == "ACCEPT" else "ACCEPT", *rest])


def numbered(rng: random.Random, lines: list[str], rules: list[int]) -> None:
    """Another port, or the other way round."""
    fitting = [n for n in rules if " --dport " in lines[n] or " --sport " in lines[n]]
    if fitting:
        n = rng.choice(fitting)
        swap = {"--dport": "--sport", "--sport": "--dport"}
        lines[n] = " ".join(swap.get(word, word) for word in lines[n].split(" "))


MUTATIONS: list[Mutate] = [dropped, doubled, swapped, turned, other_policy, numbered]


def mutated(rng: random.Random, dump: str, old: Ruleset) -> Ruleset | None:
    """The ruleset with one thing changed, if iptables takes it."""
    lines = dump.splitlines()
    rules = [n for n, line in enumerate(lines) if line.startswith("-A ")]
    if not rules:
        return None
    rng.choice(MUTATIONS)(rng, lines, rules)
    try:
        found = parse("\n".join(lines) + "\n", "new").rulesets
    except DumpError:
        return None
    return found[0]._replace(backend=old.backend) if found else None


def outcomes(way: Trace) -> tuple[Outcome, ...]:
    return way.outcome.branches or (way.outcome,)


def looks(outcome: Outcome, fields: tuple[str, ...]) -> Any:
    """What shows of an outcome."""
    if outcome.kind in ("dropped", "rejected"):
        return outcome.kind, outcome.answer
    return outcome.kind, outcome.interface, *(outcome.fields.get(name) for name in fields)


def is_open(region: Region) -> bool:
    """Whether one of its ends has something that only the kernel knows, or that was not analysed."""
    ends = (*region.was, *region.now)
    return any(e.way == UNDECIDED or any(isinstance(c, Chosen) for _, c in e.changes) for e in ends)


def hold(comparison: Comparison, regions: list[Region], packet: dict[str, Any]) -> None:
    point = comparison.fields.point(packet)
    here = [region for region in regions if comparison.space.at(region.packets, point)]
    ways = [trace(ruleset, comparison.topology, Packet(dict(packet))) for ruleset in comparison.rulesets]
    if any(way.bounded for way in ways):
        return
    if not here:
        # An address that the kernel chooses from the same ones is the same.
        old, new = ({looks(o, ("dst", "dport")) for o in outcomes(way)} for way in ways)
        assert old == new, packet
        return
    (region,) = here
    for ends, way in zip((region.was, region.now), ways, strict=True):
        if not any(end.way == UNDECIDED for end in ends):
            assert {end.way for end in ends} >= {o.kind for o in outcomes(way)}, (packet, region)
    if is_open(region) or len(region.was) + len(region.now) > 2:
        return
    old, new = ({looks(o, ("src", "sport", "dst", "dport")) for o in outcomes(way)} for way in ways)
    silent = all(o.kind == "rejected" and o.answer is None for way in ways for o in outcomes(way))
    assert old != new or silent, (packet, region)


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_every_packet_is_in_a_region_exactly_if_its_traces_differ(file: Path) -> None:
    rng = random.Random(f"difference {file.stem}")
    for situation, family, dump in recorded(file):
        new = mutated(rng, dump, situation.ruleset)
        if new is None:
            continue
        comparison = Comparison(situation.ruleset, new, situation.topology)
        regions = comparison.regions()
        assert not comparison.undecided
        pool = Pool(rng, situation, family, dump)
        for _ in range(PACKETS):
            packet = pool.packet()
            if packet["iif"] != "lo":
                hold(comparison, regions, packet)
        for region in regions:
            hold_for_some_of(comparison, regions, region)


def hold_for_some_of(comparison: Comparison, regions: list[Region], region: Region) -> None:
    point = comparison.space.pick(region.packets)
    assert point is not None
    packet = {f.name: comparison.fields.value(f.name, point) for f in comparison.fields.all if ":" not in f.name}
    packet |= {name: comparison.fields.value(name, point) for name in ("flags", "mark", "connmark")}
    hold(comparison, regions, {name: value for name, value in packet.items() if name in OWN})


@pytest.mark.parametrize("file", CASES[::4], ids=lambda file: file.stem)
def test_a_ruleset_is_equal_to_itself_with_other_names(file: Path) -> None:
    for situation, _, dump in recorded(file):
        new = parse(renamed(dump, situation.ruleset), "new").rulesets[0]
        comparison = Comparison(situation.ruleset, new._replace(backend=situation.ruleset.backend), situation.topology)
        assert comparison.regions() == []


def renamed(dump: str, ruleset: Ruleset) -> str:
    """The dump with other names for the chains."""
    names = {chain.name for table in ruleset.tables.values() for chain in table.chains.values() if chain.policy is None}
    new = {name: f"Renamed-{number}" for number, name in enumerate(sorted(names))}
    words = r"(?<=^:)\S+|(?<=-A )\S+|(?<= -j )\S+|(?<= -g )\S+"
    return re.sub(words, lambda found: new.get(found[0], found[0]), dump, flags=re.MULTILINE)


@pytest.mark.parametrize("file", CASES[::4], ids=lambda file: file.stem)
def test_lines_cover_their_region_and_examples_are_in_it(file: Path) -> None:
    rng = random.Random(f"lines {file.stem}")
    for situation, _, dump in recorded(file):
        new = mutated(rng, dump, situation.ruleset)
        if new is None:
            continue
        comparison = Comparison(situation.ruleset, new, situation.topology)
        space, ordinary = comparison.space, Ordinary(comparison.ground)
        for region in comparison.regions():
            lines = ordinary.lines(region.packets)
            assert all(space.minus(line.packets, region.packets) == NO for line in lines)
            said = space.union([reduce(space.both, _ranges(comparison, line), YES) for line in lines])
            assert len(lines) == MOST or space.minus(region.packets, said) == NO
            for line in lines:
                assert space.at(region.packets, comparison.fields.point(ordinary.example(line.packets)))


def _ranges(comparison: Comparison, line: Line) -> list[int]:
    return [comparison.space.among(level, line.box[level]) for level in sorted(line.box, reverse=True)]


def test_a_set_is_the_same_where_somebody_looks() -> None:
    rng = random.Random(5)
    for _ in range(300):
        space = Space([7] * 4)
        a, care = (_random_set(rng, space) for _ in "ab")
        short = simplified(space, a, care)
        assert space.both(short, care) == space.both(a, care)
        assert {space.level[node] for node in space.reachable(short)} <= {
            space.level[node] for node in space.reachable(a)
        }
    assert simplified(space, a, NO) == NO


def _random_set(rng: random.Random, space: Space) -> int:
    parts = []
    for _ in range(rng.randrange(1, 6)):
        ends = {level: sorted(rng.choices(range(8), k=2)) for level in (3, 2, 1, 0)}
        parts.append(
            reduce(space.both, [space.among(level, [(low, high)]) for level, (low, high) in ends.items()], YES)
        )
    return space.union(parts)


PAIRED = """*filter
:INPUT DROP [0:0]
:A - [0:0]
-A INPUT -p tcp -j A
-A INPUT -m limit --limit 1/sec -j ACCEPT
-A INPUT -p udp -m limit --limit 1/sec -j ACCEPT
-A A -m limit --limit 1/sec -j ACCEPT
COMMIT
"""


PAIRED_NEW = """*filter
:INPUT DROP [0:0]
:B - [0:0]
-A INPUT -p udp -m limit --limit 1/sec -j DROP
-A INPUT -p tcp -j B
-A INPUT -s 10.0.0.0/8 -j ACCEPT
-A INPUT -m limit --limit 1/sec -j ACCEPT
-A B -m limit --limit 1/sec -j ACCEPT
COMMIT
"""


def test_the_same_rules_are_found_again() -> None:
    """Under another chain's name, in another place, with another target; and one that is new."""
    old, new = (parse(one).rulesets[0] for one in (PAIRED, PAIRED_NEW))
    found = {(p.chain, p.rule): was for p, was in same_places(old, new).items() if isinstance(was, Place)}
    assert {key: (was.chain, was.rule) for key, was in found.items()} == {
        ("INPUT", 1): ("INPUT", 3), ("INPUT", 2): ("INPUT", 1), ("INPUT", 4): ("INPUT", 2), ("B", 1): ("A", 1),
        **{(hook, "policy"): (hook, "policy") for hook in ("INPUT", "FORWARD", "OUTPUT")},
    }  # fmt: skip
