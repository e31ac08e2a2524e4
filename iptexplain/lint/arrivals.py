"""Which packets get to nat PREROUTING past the tables raw and mangle, and which rules take the others away."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from iptexplain.host.topology import Topology
from iptexplain.lint.tables import analysis_of
from iptexplain.rules.model import Jump, Place, Ruleset
from iptexplain.sets.hits import Hits
from iptexplain.sets.space import NO, Diagram
from iptexplain.sets.spare import Effects
from iptexplain.sets.ways import DROP, REJECT

HOOK = "PREROUTING"


class Before(NamedTuple):
    """A table that is asked before nat, with the packets that come to it and do not get past it."""

    hits: Hits
    taken: Diagram


class Arrivals:
    """``nat``: which packets each rule there is for. What raw or mangle write into packets may be anything afterwards."""

    def __init__(self, ruleset: Ruleset, topology: Topology) -> None:
        analysis = analysis_of(ruleset, topology)
        self.space, self._ctstate = analysis.space, analysis.fields.level["ctstate"]
        self._untracked = analysis.fields.all[self._ctstate].number("UNTRACKED")
        self._changed: set[int] = set()
        self._before: list[Before] = []
        self._coming = analysis.kinds.number("tracked", 0)  # nobody has decided about the connection yet
        for table in ("raw", "mangle"):
            if ruleset.chain(table, HOOK):
                self._pass(Hits(Effects(analysis, ruleset.tables[table]), HOOK))
        self.nat = Hits(Effects(analysis, ruleset.tables["nat"]), HOOK)

    def _pass(self, hits: Hits) -> None:
        passed = self.space.where(hits.chains.at(HOOK).map, lambda end: not self._takes(end))
        self._before.append(Before(hits, self.space.minus(self._coming, passed)))
        self._changed |= hits.changed
        self._coming = self.space.exists(self.space.both(self._coming, passed), hits.changed)

    def _takes(self, end: Any) -> bool:
        """Whether nat is not asked about packets that fare so: they are gone, or have no connection."""
        return bool(end) and (end.way in (DROP, REJECT) or dict(end.changes).get(self._ctstate) == self._untracked)

    def none_for(self, place: Place) -> bool:
        """Whether none of the packets that a rule of nat is for gets there."""
        return self.space.both(self.nat.of[place], self._coming) == NO

    def takers(self, place: Place) -> Iterator[Place]:
        """The rules and policies that take the packets away which the rule of nat is for."""
        wanted = self.space.exists(self.nat.of[place], self._changed)
        for hits, taken in self._before:
            left = self.space.both(wanted, taken)
            for taker, who in hits.of.items():
                gone = self.space.both(left, who)
                if gone != NO and self._is_taker(hits, taker, gone):
                    left = self.space.minus(left, gone)
                    yield taker
            chain = hits.chains.table.chains[HOOK]
            if left != NO and chain.policy == "DROP":
                yield Place(hits.chains.table.name, HOOK, "policy", chain.line)

    def _is_taker(self, hits: Hits, place: Place, gone: Diagram) -> bool:
        rule = hits.chains.table.rule(place)
        if isinstance(rule.target, Jump):
            return False
        done = hits.chains.action(rule, place, "").map
        return any(self._takes(end) for end in self.space.ends(self.space.both(gone, done)))
