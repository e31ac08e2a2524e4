"""Who gets through and who does not: the packets of a question as regions, each with one fate and the rule that decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from iptexplain.rules.model import Place
from iptexplain.rules.values import Interval
from iptexplain.sets.analyse import Analysis, Sent
from iptexplain.sets.boxes import Box, at_point, boxes, split
from iptexplain.sets.change import Change, Changes, Chosen, Shift, substituted
from iptexplain.sets.example import FIRST, Examples
from iptexplain.sets.landing import Landing
from iptexplain.sets.space import NO, YES, Diagram
from iptexplain.sets.spelling import Spelled, spelled
from iptexplain.sets.ways import UNDECIDED, End

ARRIVED = frozenset({"forwarded", "delivered-local", "sent"})
FATES = {**dict.fromkeys(ARRIVED, "accepted"), "dropped": "dropped", "rejected": "rejected", UNDECIDED: "unknown"}
"""How a way ends → what is said of it."""

SHOWN = ("proto", "src", "dst", "sport", "dport", "icmp_type", "icmp_code", "iif", "physin", "mac_src", "length", "tos")
"""The fields of a region in the order in which they are told."""


class Region(NamedTuple):
    """Packets with one fate (accepted, dropped, rejected or unknown).

    ``by``: the rule or policy that let them pass or did not, or the kernel's reason; ``to``: what NAT makes of their
    addresses and ports: field → value; ``nat``: the rules that did; ``interface``: where they leave, or arrive when they are
    for the host (``is_local``); ``asked``: for an unknown fate, the rules whose conditions
    nobody can decide.
    """

    fate: str
    packets: Diagram
    by: Place | str | None = None
    to: tuple[tuple[str, Any], ...] = ()
    nat: tuple[Place, ...] = ()
    interface: str | None = None
    is_local: bool = False
    asked: tuple[Place, ...] = ()


ELSEWHERE = Region("elsewhere", NO)
"""Packets that the question is not about: they arrive, or were sent, somewhere else."""


AWAY = End("elsewhere")


class Question(NamedTuple):
    """Who sends: interfaces ("" for the host itself), each with the addresses that come by it; where it arrives: addresses,
    and whether the host itself is meant; to which addresses it was sent. None: all addresses."""

    sources: tuple[tuple[str, tuple[Interval, ...] | None], ...]
    targets: tuple[Interval, ...] | None = None
    to_host: bool = False
    proto: str | None = None
    port: int | None = None
    sent_to: tuple[Interval, ...] | None = None


class Reach:
    """Answers questions with one analysis."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis, self.space, self.fields = analysis, analysis.space, analysis.fields
        self._spelled: dict[tuple[str, tuple[Interval, ...]], Spelled] = {}
        self._lands = Landing(analysis.ruleset.tables.get("nat"), analysis.conditions, analysis.topology)
        self._landing_at: dict[Any, Diagram] = {}

    def narrow(self, question: Question) -> None:
        """Leave out all that this question is not about: it is then the only one that can be asked."""
        asked = [self._asked(interface, sources, question) for interface, sources in question.sources]
        first = at_point(self.space, self.fields.point(FIRST))
        self.analysis.narrow(self.space.both(first, self.space.union(asked)))

    def regions(self, question: Question) -> list[Region]:
        """The regions of all packets that the question is about, in a stable order: what gets through first."""
        space, told = self.space, self._told(question)
        variables = frozenset(self.analysis.conditions.variables)
        parts = {space.values[end]: packets for end, packets in split(space, told).items()}
        open_ones = {key for key, packets in parts.items() if space.depends(packets, variables)}
        sure = self._sure({key: packets for key, packets in parts.items() if key in open_ones}, variables)
        parts.pop(ELSEWHERE, None)
        found: list[Region] = []
        taken = NO
        for key in sorted(parts, key=_order):
            here = parts[key]
            if key in open_ones:
                here = space.minus(space.both(space.exists(here, variables), sure.get(key.fate, NO)), taken)
                taken = space.either(taken, here)
            if here != NO and key.fate != "unknown":
                found.append(key._replace(packets=here))
        known = {key for key in parts if key.fate != "unknown" and key not in open_ones}
        opened = [region.packets for region in found if region._replace(packets=NO) in open_ones]
        asked, settled = (space.where(told, some.__contains__) for some in (parts, known))
        left = space.minus(space.exists(asked, variables), space.either(settled, space.union(opened)))
        return [*found, Region("unknown", left, asked=self._questions(told, left))] if left != NO else found

    def _sure(self, parts: dict[Region, Diagram], variables: frozenset[int]) -> dict[str, Diagram]:
        """Fate → the packets that have it whatever the answers to open questions are."""
        by_fate: dict[str, list[Diagram]] = {}
        for key, packets in parts.items():
            by_fate.setdefault(key.fate, []).append(packets)
        unions = {fate: self.space.union(packets) for fate, packets in by_fate.items()}
        sure = {}
        for fate, packets in unions.items():
            others = self.space.union([other for name, other in unions.items() if name != fate])
            maybe, not_so = (self.space.exists(some, variables) for some in (packets, others))
            sure[fate] = self.space.minus(maybe, not_so)
        return sure

    def boxes(self, region: Region) -> list[Box]:
        """The region as boxes of ranges."""
        return [box for box, _ in boxes(self.space, region.packets)]

    def witness(self, region: Region) -> dict[str, Any]:
        """One packet of a region: its fields, as a trace reads them."""
        return self.witness_of(self.boxes(region)[0])

    def witness_of(self, box: Box) -> dict[str, Any]:
        """One packet of a box, an ordinary one where there is a choice."""
        return self._examples.of(box)

    @cached_property
    def _examples(self) -> Examples:
        return Examples(self.analysis)

    def spelled(self, question: Question, box: Box) -> list[Spelled]:
        """A box as the fields that say more than the question."""
        asked = dict(question.sources)
        said: dict[str, Any] = {"dst": question.targets, "dport": ((question.port, question.port),)}
        if question.proto:
            number = self.fields.all[self.fields.level["proto"]].number(question.proto)
            said["proto"] = ((number, number),)
        line = []
        for name in SHOWN:
            level = self.fields.level[name]
            if level not in box or (name == "iif" and len(asked) == 1) or box[level] == said.get(name):
                continue
            if name == "src" and box[level] in asked.values():
                continue
            key = name, box[level]
            if key not in self._spelled:
                self._spelled[key] = spelled(self.fields, *key, self.analysis.topology.family)
            line.append(self._spelled[key])
        return line

    # -- the packets of a question

    def _told(self, question: Question) -> Diagram:
        """A map of what the question's senders send to what is told of it: Regions without packets."""
        fixed = tuple(sorted(self.fields.point(FIRST).items()))
        found = []
        for interface, sources in question.sources:
            asked = self._asked(interface, sources, question)
            ways = substituted(self.space, self.analysis.ways_of(interface, Sent(asked, fixed)), fixed, NO)
            here = self._landing(self.space.both(asked, ways), question)
            here = self.space.turned(here, lambda end: self.space.end(self._end_told(end, question)) if end else NO)
            found.append(self._arriving(here, question))
        return self.space.overlaid(found)

    def _landing(self, ways: Diagram, question: Question) -> Diagram:
        """The map without packets that NAT moves to another address or port than the one that is asked for, each by its own."""
        space, away = self.space, NO
        for name, intervals in _wanted(question):
            level = self.fields.level[name]
            for end in space.ends(ways) if name != "dst" or not question.to_host else ():
                change = dict(end.changes).get(level) if end else None
                if isinstance(change, Shift) and end.way in ARRIVED:
                    lands = substituted(space, space.among(level, intervals), ((level, change),), NO)
                    here = space.where(ways, lambda value, e=end: value == e)  # type: ignore[misc]
                    away = space.either(away, space.minus(here, lands))
        return space.fill(space.both(away, space.end(AWAY)), NO, ways)

    def _end_told(self, end: End, question: Question) -> Region:
        """What is told of packets that end so."""
        if end == AWAY:
            return ELSEWHERE
        told = self._region(end)
        if told.fate != "accepted":
            return told
        if question.to_host and not told.is_local:
            return ELSEWHERE
        changes = dict(end.changes)
        for name, intervals in _wanted(question):
            new = changes.get(self.fields.level[name])
            if (
                isinstance(new, int)
                and not any(low <= new <= high for low, high in intervals)
                and not (question.to_host and name == "dst")
            ):
                return ELSEWHERE
        return told

    def _arriving(self, told: Diagram, question: Question) -> Diagram:
        """Packets whose address or port stays another than the one that is asked for are elsewhere. (What arrives at the
        host is for it.)"""
        for name, intervals in _wanted(question):
            there = self.space.among(self.fields.level[name], intervals)
            at_host = question.to_host and name == "dst"
            settled = [
                value for value in self.space.ends(told)
                if value and value.fate == "accepted" and (at_host or name in dict(value.to))
            ]  # fmt: skip
            kept = self.space.where(told, lambda value, s=frozenset(settled): value in s)  # type: ignore[misc]
            other = self.space.minus(self.space.where(told, bool), self.space.either(there, kept))
            told = self.space.fill(self.space.both(other, self.space.end(ELSEWHERE)), NO, told)
        return told

    def _asked(self, interface: str, sources: Sequence[Interval] | None, question: Question) -> Diagram:
        kinds, level = self.analysis.kinds, self.fields.level
        parts = [kinds.value("iif", interface)]
        for name, numbers in (("src", sources), ("dst", question.sent_to)):
            if numbers is not None:
                parts.append(self.space.among(level[name], numbers))
        if question.proto is not None:
            parts.append(kinds.value("proto", question.proto))
        parts.append(self._arrives(question))
        found = YES
        for part in parts:
            found = self.space.both(found, part)
        return found

    def _arrives(self, question: Question) -> Diagram:
        """The packets that can get to where the question's packets arrive."""
        key = question.targets, question.port, question.to_host
        if key not in self._landing_at:
            self._landing_at[key] = self._lands.packets(dict(_wanted(question)), question.to_host)
        return self._landing_at[key]

    def _region(self, end: End) -> Region:
        """What is told of packets that end so, without the packets."""
        accepted = end.way in ARRIVED
        to = tuple(self._rewritten(end.changes)) if accepted and end.nat else ()
        by = end.accepted if accepted else end.by
        is_local = end.way == "delivered-local"
        return Region(FATES[end.way], NO, by, to, end.nat if accepted else (), end.interface, is_local)

    def _rewritten(self, changes: Changes) -> Iterable[tuple[str, Any]]:
        """What NAT made of the addresses and ports: a value, or in words what it can be."""
        new: dict[int, Change] = dict(changes)
        for name in ("src", "sport", "dst", "dport"):
            level = self.fields.level[name]
            change = new.get(level)
            if isinstance(change, int):
                yield name, self.fields.all[level].value(change)
            elif isinstance(change, Chosen):
                yield name, change.text
            elif isinstance(change, Shift):
                yield name, "another of the same place in a range"

    def _questions(self, told: Diagram, packets: Diagram) -> tuple[Place, ...]:
        """The rules on whose conditions the fate of some packets hangs."""
        variables = self.analysis.conditions.variables
        seen = {self.space.level[node] for node in self.space.reachable(self.space.both(packets, told))}
        return tuple(sorted({variables[level][0] for level in seen if level in variables}, key=_key))


def _wanted(question: Question) -> list[tuple[str, tuple[Interval, ...]]]:
    """The fields that say where the question's packets arrive, with their numbers."""
    ports = ((question.port, question.port),) if question.port is not None else None
    return [(name, numbers) for name, numbers in (("dst", question.targets), ("dport", ports)) if numbers]


def _order(told: Region) -> tuple[Any, ...]:
    """Arrived before lost; by the rule's place in the dump."""
    fates = list(dict.fromkeys(FATES.values()))
    return (
        fates.index(told.fate),
        bool(told.nat),
        _key(told.by),
        tuple(map(_key, told.nat)),
        told.interface or "",
        repr(told),
    )


def _key(by: Place | str | None) -> tuple[int, str]:
    return (by.line, str(by.rule)) if isinstance(by, Place) else (0, by or "")
