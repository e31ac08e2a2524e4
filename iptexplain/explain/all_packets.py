"""Whether what one packet has shown holds for all: who reaches whom, whatever the protocol and the port."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from iptexplain.explain.senders import Addresses, far_away, on_interface, own
from iptexplain.explain.situation import Situation
from iptexplain.rules.model import Place
from iptexplain.sets.analyse import Analysis
from iptexplain.sets.reach import Question, Reach, Region
from iptexplain.sets.space import NO, TooLarge
from iptexplain.sets.spelling import Spelled

LIMIT = 1_000_000
"""Nodes that a matrix may need: about ten seconds. No clock, so that the answer is the same each time."""

LONGEST = 6
"""How many values a line shows; beyond, an example says more."""

Pair = tuple[str, str]


class Other(NamedTuple):
    """First packets from the ``sources`` to the target that fare otherwise than the matrix says.

    ``lines``: which they are, each line as fields; none where an example (``witness``) says more.
    """

    sources: tuple[str, ...]
    target: str
    fate: str
    by: tuple[Place | str, ...]
    lines: list[list[Spelled]]
    witness: dict[str, Any]


class Proof(NamedTuple):
    """For each pair whether the matrix' answer is that for all packets (None: not worked out), and what are not like that."""

    for_all: dict[Pair, bool | None]
    others: list[Other]

    @property
    def is_decided(self) -> bool:
        """Whether it was worked out for all pairs."""
        return None not in self.for_all.values()


def prove(situation: Situation, verdicts: Mapping[Pair, str], limit: int = LIMIT) -> Proof:
    """Ask about all first packets of connections from one side to another: networks by bridge, ``host`` and ``outside``.

    ``verdicts``: what is said of each pair. A pair of which nothing is known stays undecided.
    """
    proof = Proof(dict.fromkeys(verdicts), [])
    if situation.half:  # a packet must pass both backends' rules; sets of packets know one
        return proof
    sides = {name: side(situation, name) for name in dict.fromkeys(name for pair in verdicts for name in pair)}
    try:
        reach = Reach(Analysis(situation.ruleset, situation.topology, limit=limit))
        for source in dict.fromkeys(source for source, _ in verdicts):
            targets = {b: verdict for (a, b), verdict in verdicts.items() if a == source and verdict != "unknown"}
            _ask(reach, sides, source, targets, proof)
    except TooLarge:
        pass
    return proof._replace(others=list(_gathered(proof.others)))


def side(situation: Situation, name: str) -> tuple[str, Addresses]:
    """The interface of a side of the matrix, and its addresses."""
    topology = situation.topology
    if name == "host":
        return "", own(topology, lambda interface: interface != "lo")
    if name == "outside":
        return situation.end("internet").interface, far_away(topology)
    return name, on_interface(topology, name)


def _ask(
    reach: Reach, sides: Mapping[str, tuple[str, Addresses]], source: str, targets: Mapping[str, str], proof: Proof
) -> None:
    """What one side sends to all others, by their own addresses; what the rules redirect is a matter of published ports."""
    sent_to = tuple(sorted(interval for target in targets for interval in sides[target][1]))
    if not sent_to or not sides[source][1]:
        return
    question = Question((sides[source],), sent_to=sent_to)
    regions = [region for region in reach.regions(question) if "dst" not in dict(region.to)]
    level = reach.fields.level["dst"]
    for target, verdict in targets.items():
        if sides[target][1]:
            there = reach.space.among(level, sides[target][1])
            here = [r._replace(packets=reach.space.both(there, r.packets)) for r in regions if r.fate != verdict]
            others = [region for region in here if region.packets != NO]
            proof.for_all[source, target] = not others
            asked = question._replace(targets=sides[target][1])
            for fate in dict.fromkeys(region.fate for region in others):
                proof.others.append(_other(reach, asked, (source, target), [r for r in others if r.fate == fate]))


def _other(reach: Reach, question: Question, pair: Pair, regions: list[Region]) -> Other:
    packets = reach.space.union([region.packets for region in regions])
    boxes = reach.boxes(regions[0]._replace(packets=packets))
    lines = [reach.spelled(question, box) for box in boxes]
    size = sum(len(one.values) for line in lines for one in line)
    by = tuple(dict.fromkeys(by for r in regions for by in ((r.by,) if r.fate != "unknown" else r.asked) if by))
    return Other(pair[:1], pair[1], regions[0].fate, by, lines if size <= LONGEST else [], reach.witness_of(boxes[0]))


def _gathered(others: Iterable[Other]) -> Iterable[Other]:
    """What is the same for several senders is told once."""
    found: dict[tuple[Any, ...], Other] = {}
    for other in others:
        key = (other.target, other.fate, other.by, repr(other.lines) if other.lines else other.sources)
        known = found.setdefault(key, other)
        if known is not other:
            found[key] = known._replace(sources=known.sources + other.sources)
    return found.values()
