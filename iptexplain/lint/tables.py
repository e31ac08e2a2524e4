"""What the sets of packets say about the rules of one table: which are dead, why, and which can be spared."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

from iptexplain.host.topology import Topology
from iptexplain.rules.addresses import Address
from iptexplain.rules.answer import Answer
from iptexplain.rules.model import Place, Ruleset
from iptexplain.sets.analyse import Analysis
from iptexplain.sets.causes import Causes, Contradiction, contradictions
from iptexplain.sets.conditions import Conditions
from iptexplain.sets.hits import Hits, dead_rules
from iptexplain.sets.space import NO, TooLarge
from iptexplain.sets.spare import Effects, spare_rules

T = TypeVar("T")

SECONDS = 60
"""How long the analysis of one table may take."""


class Unlisted(Topology):
    """A host whose addresses nobody listed: of which type an address is, no rule decides."""

    def address_type(self, address: Address) -> Any:
        return Answer.UNKNOWN


def lasting(topology: Topology) -> Topology:
    """The host as far as it is known for certain and stays as it is: without what was inferred, and without the contents of IP sets."""
    found = (Topology if topology.known_addresses else Unlisted)(topology.family)
    found.assumed = topology.assumed
    if topology.known_addresses:
        found.addresses, found.known_addresses = topology.addresses, True
        found.routes = topology.routes
    return found


ANY = dict.fromkeys(
    ("ctdir", "ctstatus", "ctproto", "ctreplsrc", "ctrepldst", "ctreplsrcport", "ctrepldstport"), Answer.UNKNOWN
)
"""What the first packets of connections have alike, and rules are asked about others as well."""


def analysis_of(ruleset: Ruleset, topology: Topology) -> Analysis:
    """An analysis of the tables one by one, for all packets that rules are asked about."""
    analysis = Analysis(ruleset, lasting(topology), named=False, seconds=SECONDS)
    analysis.conditions = Conditions(analysis.space, analysis.kinds, analysis.topology, ANY)
    return analysis


class Asked:
    """One table. Every answer raises TooLarge when it needs more than it may have."""

    def __init__(self, ruleset: Ruleset, topology: Topology, table: str) -> None:
        self.table = ruleset.tables[table]
        self._ruleset, self._topology = ruleset, topology
        self._failed: TooLarge | None = None

    def _try(self, ask: Callable[[], T]) -> T:
        """What has failed once is not tried again."""
        if self._failed:
            raise self._failed
        try:
            return ask()
        except TooLarge as e:
            self._failed = e
            raise

    @cached_property
    def hits(self) -> list[Hits]:
        """One for each base chain."""
        return self._try(self._hits)

    def _hits(self) -> list[Hits]:
        chains = Effects(analysis_of(self._ruleset, self._topology), self.table)
        return [Hits(chains, c.name) for c in self.table.chains.values() if c.policy is not None]

    @cached_property
    def dead(self) -> list[Place]:
        """The rules that are for no packet although packets come to their chain."""
        visited = {
            name
            for hits in self.hits
            for name, comers in hits.coming.items()
            if any(who != NO for who in comers.values())
        }
        return self._try(lambda: [place for place in dead_rules(self.hits) if place.chain in visited])

    @cached_property
    def impossible(self) -> dict[Place, list[Contradiction]]:
        """Dead rules that are so by themselves: with the conditions that contradict each other, or do not fit the hook."""
        return self._try(lambda: {p: found for p in self.dead if (found := self._contradictions(p))})

    def _contradictions(self, place: Place) -> list[Contradiction]:
        return contradictions(self.table.rule(place), place, [hits for hits in self.hits if place in hits.of])

    def causes(self, place: Place) -> tuple[Place, ...] | None:
        """The rules that together leave nothing to a dead one; None: there are too many ways there, or it takes too long."""
        found = [self._or_none(lambda c=one: c.of(place)) for one in self._causes if place in one.hits.of]  # type: ignore[misc]
        if None in found:
            return None
        return tuple(sorted({p for some in found for p in some or ()}, key=lambda p: p.line))

    def deciders(self, place: Place, causes: tuple[Place, ...]) -> list[Place]:
        """The rules in chains that some of the causes jump to which decide about its packets there."""
        asked = [one for one in self._causes if place in one.hits.of]
        found = [self._or_none(lambda c=one: c.deciders(place, causes)) for one in asked]  # type: ignore[misc]
        return sorted({p for some in found for p in some or ()}, key=lambda p: p.line)

    def _or_none(self, ask: Callable[[], T]) -> T | None:
        """That a rule is dead is known, even if nobody can say why any more."""
        try:
            return None if self._failed else ask()
        except TooLarge as e:
            self._failed = e
            return None

    @cached_property
    def _causes(self) -> list[Causes]:
        return [Causes(hits) for hits in self.hits]

    @cached_property
    def spare(self) -> list[Place]:
        """The rules without which every packet would fare the same."""
        dead = frozenset(self._try(lambda: dead_rules(self.hits)))
        return self._try(lambda: spare_rules(self.hits, dead))
