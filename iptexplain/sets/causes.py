"""Why a rule is for no packet: the few earlier rules that together take all of its packets away, on each way that leads to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from iptexplain.rules.extension import Match
from iptexplain.rules.model import Jump, Place, Rule
from iptexplain.sets.chains import called_first
from iptexplain.sets.hits import Comers, Hits, Part
from iptexplain.sets.space import NO, YES, Diagram
from iptexplain.sets.ways import RETURN, End

T = TypeVar("T")

MOST_WAYS = 8
"""On how many ways to a chain the causes are looked for."""


def few(items: Sequence[T], enough: Callable[[Sequence[T]], bool]) -> list[T]:
    """Some of the ``items`` that are ``enough``, none of which can be spared; those that stand first are preferred.

    All of them must be enough, and more of them never less so (QuickXplain: Junker, AAAI 2004).
    """

    def search(given: list[T], grown: bool, rest: list[T]) -> list[T]:
        if grown and enough(given):
            return []
        if len(rest) == 1:
            return rest
        half = len(rest) // 2
        first, second = rest[:half], rest[half:]
        needed = search(given + first, bool(first), second)
        return search(given + needed, bool(needed), first) + needed

    return search([], False, list(items)) if not enough([]) else []


class Station(NamedTuple):
    """A chain on the way to a rule: the place where the way leaves it (a jump, or the rule itself)."""

    chain: str
    place: Place
    rule: Rule


Way = tuple[Station, ...]


class Causes:
    """Asks ``hits`` of one hook."""

    def __init__(self, hits: Hits) -> None:
        self.hits, self.space, self.table = hits, hits.space, hits.chains.table
        self._jumps: dict[str, list[Station]] = {}
        for place in hits.of:
            rule = self.table.rule(place)
            if isinstance(rule.target, Jump) and hits.of[place] != NO:
                self._jumps.setdefault(rule.target.chain, []).append(Station(place.chain, place, rule))

    def of(self, place: Place) -> tuple[Place, ...] | None:
        """The rules (jumps among them) that leave nothing to the dead rule at ``place``, in the order of the dump.

        None: packets come to its chain on too many ways to say it.
        """
        rule = self.table.rule(place)
        found: set[Place] = set()
        for number, way in enumerate(self._ways(Station(place.chain, place, rule))):
            if number == MOST_WAYS:
                return None
            found.update(self._on(way))
        return tuple(sorted(found, key=lambda p: p.line))

    def deciders(self, place: Place, causes: Sequence[Place]) -> list[Place]:
        """In the chains that some of the causes jump to: the rules that give a verdict to packets that ``place`` would be for."""
        condition = self.hits.chains.condition(self.table.rule(place), place)
        wanted = self.space.exists(condition, self.hits.changed)
        named = {target.chain for p in causes if isinstance(target := self.table.rule(p).target, Jump)} - {place.chain}
        inside = {c for name in named for c in called_first(self.table.chains, name)}
        verdicts = (p for p in self.hits.of if p.chain in inside and self._decides(p))
        return [p for p in verdicts if not self.space.disjoint(wanted, self.hits.of[p])]

    def _decides(self, place: Place) -> bool:
        rule = self.table.rule(place)
        piece = self.hits.chains.action(rule, place, self.hits.chains.own(self.hits.hook))
        return not isinstance(rule.target, Jump) and not piece.open and piece.map != self.space.end(End(RETURN))

    def _ways(self, last: Station) -> Iterator[Way]:
        """Every way from the base chain to a rule. (No chain leads back to itself: the dump would have been refused.)"""
        waiting: list[Way] = [(last,)]
        while waiting:
            way = waiting.pop()
            if way[0].chain == self.hits.hook:
                yield way
            else:
                waiting += [(station, *way) for station in reversed(self._jumps.get(way[0].chain, []))]

    def _on(self, way: Way) -> list[Place]:
        """The rules that count on one way: those that take packets before, and the jumps whose conditions do."""
        wanted, changed = self.hits.here(), self.hits.changed
        for station in way:
            condition = self.hits.chains.condition(station.rule, station.place)
            wanted = self.space.both(self.space.exists(condition, changed), wanted)
        jumps = [s for s in way[:-1] if self.hits.chains.condition(s.rule, s.place) != YES]
        candidates = [part for s in way for part in self._before(s, wanted)]
        items: list[tuple[Place, Any]] = [(p.rule[0], p) for p in candidates if p.rule] + [
            (s.place, None) for s in jumps
        ]
        items.sort(key=lambda one: (sum(len(m.settings) for m in self.table.rule(one[0]).conditions()), one[0].line))
        alone = next((one for one in items if self._dead(way, [one])), None)
        return [place for place, _ in ([alone] if alone else few(items, lambda kept: self._dead(way, kept)))]

    def _before(self, station: Station, wanted: Diagram) -> list[Part]:
        """The rules of a chain before one of it that do something with some of the ``wanted`` packets."""
        does = [p for p in self.hits.meeting(station.chain, wanted) if p.piece != self.hits.chains.ways.go_on]
        return [p for p in does if p.rule and int(p.rule[0].rule) < int(station.place.rule)]

    def _dead(self, way: Way, kept: Sequence[tuple[Place, Part | None]]) -> bool:
        """Whether nobody gets to the end of the way past the ``kept`` rules, through those of its jumps that are among them."""
        parts = {place: part for place, part in kept}
        comers: Comers = {(): self.hits.here()}
        for station in way:
            mine = sorted((p for p in parts if p.chain == station.chain and p != station.place), key=lambda p: p.line)
            pieces = [part.piece for p in mine if (part := parts[p])]
            if pieces:
                comers = self.hits.past(self.hits.chains.ways.chained(pieces), comers)
            if station.place in parts or station is way[-1]:
                condition = self.hits.chains.condition(station.rule, station.place)
                comers = {c: met for c, who in comers.items() if (met := self.hits.met(condition, c, who)) != NO}
            if not comers or all(who == NO for who in comers.values()):
                return True
        return all(who == NO for who in comers.values())


def clauses(rule: Rule, place: Place, hits: Hits) -> list[tuple[Match, Diagram]]:
    """The conditions of a rule, each option of ``-s -d -i -o -p`` by itself, with the packets that meet them."""
    conditions = hits.chains.conditions
    found = []
    for match in rule.conditions():
        apart = [type(match)((s,)) for s in match.settings] if match is rule.parameters else [match]
        for one in apart:
            alone = rule._replace(parameters=type(rule.parameters)(), matches=(one,))
            found.append((one, conditions.of(alone, place)))
    return found


class Contradiction(NamedTuple):
    """Conditions that no packet meets together at these hooks; one alone does not go with them."""

    hooks: tuple[str, ...]
    conditions: tuple[Match, ...]


def contradictions(rule: Rule, place: Place, every: Sequence[Hits]) -> list[Contradiction]:
    """Why no packet meets a rule, for the hooks from which its chain is reached; none: some packet could."""
    found: dict[tuple[Match, ...], list[str]] = {}
    for hits in every:
        parts = clauses(rule, place, hits)

        def impossible(kept: Sequence[tuple[Match, Diagram]], hits: Hits = hits) -> bool:
            result = hits.here()
            for _, packets in kept:
                result = hits.space.both(packets, result)
            return result == NO

        if not impossible(parts):
            return []
        found.setdefault(tuple(one for one, _ in few(parts, impossible)), []).append(hits.hook)
    return [Contradiction(tuple(hooks), conditions) for conditions, hooks in found.items()]
