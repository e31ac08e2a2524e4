"""What lints ask: one ruleset with all that is known about it, and beside it the host's other rulesets."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from iptexplain.explain.situation import Situation, situations
from iptexplain.host.snapshot import Snapshot
from iptexplain.lint.finding import CHAIN
from iptexplain.lint.tables import Asked
from iptexplain.recognise.docker_port import Port
from iptexplain.rules.addresses import to_address
from iptexplain.rules.model import Chain, Place, Rule, Verdict
from iptexplain.rules.save import save_rule
from iptexplain.sets.chains import called_first
from iptexplain.walk.outcome import Trace

REFUSES = ("DROP", "REJECT")


class Host(Situation):
    """A ruleset as lints see it. ``all_rules``: whether rules that Docker or another known program wrote are judged, too."""

    def __init__(self, one: Situation, all_rules: bool = False) -> None:
        super().__init__(one.snapshot, one.family, (one.dump, one.ruleset))
        self.all_rules = all_rules
        self.other_family: list[Host] = []
        """The host's rulesets of the other family."""

    @cached_property
    def tables(self) -> dict[str, Asked]:
        return {name: Asked(self.ruleset, self.topology, name) for name in self.ruleset.tables}

    def places(self, table: str = "filter", chain: str | None = None) -> Iterator[tuple[Place, Rule]]:
        """The rules of a table, or of one chain of it."""
        found = self.ruleset.tables.get(table)
        for one in found.chains.values() if found else ():
            if chain in (None, one.name):
                yield from one.placed(table)

    def is_own(self, place: Place) -> bool:
        """Whether a rule is the administrator's: no known program wrote it, or it wrote it at his word."""
        if place in self.docker.roles.by_place:
            return False
        program = self.program_of(place)
        return program is None or program[1].own

    def is_judged(self, place: Place) -> bool:
        return self.all_rules or self.is_own(place)

    def whole(self, table: str, chain: Chain) -> Place:
        """The place of a chain as a whole."""
        return Place(table, chain.name, CHAIN, chain.line)

    def policy(self, table: str, name: str) -> Place | None:
        """The place of a policy."""
        chain = self.ruleset.chain(table, name)
        return Place(table, name, "policy", chain.line) if chain and chain.policy else None

    def inside(self, table: str, name: str) -> set[str]:
        """A chain and all chains that its rules lead to."""
        return set(called_first(self.ruleset.tables[table].chains, name))

    def rule(self, place: Place) -> Rule:
        return self.ruleset.tables[place.table].rule(place)

    @cached_property
    def first_saved(self) -> dict[tuple[str, str], Place]:
        """By table and words (``-A CHAIN …``) the first of the rules that have them."""
        places = [(table, place, rule) for table in self.ruleset.tables for place, rule in self.places(table)]
        return {(table, save_rule(rule)): place for table, place, rule in reversed(places)}

    # -- probes

    def from_outside(self, port: Port) -> Trace:
        """The way of somebody outside to a published port."""
        host = self.end("host")
        target = host if port.is_everywhere else host._replace(address=to_address(port.host_ip))
        return self.probe(self.end("internet"), target._replace(port=port.host_port), port.proto)

    def is_open(self, port: Port) -> bool:
        """Whether somebody outside gets to the container by a published port."""
        outcome = self.from_outside(port).outcome
        return outcome.kind == "forwarded" and str(outcome.fields["dst"]) == port.container_ip


def hosts(snapshot: Snapshot, all_rules: bool = False) -> list[Host]:
    """One for each ruleset that was given and says something."""
    found = [Host(one, all_rules) for one in situations(snapshot)]
    for host in found:
        host.other_family = [other for other in found if other.family != host.family]
    return found


def word(rule: Rule) -> str | None:
    """The verdict that a rule gives: ACCEPT, DROP, REJECT, RETURN…; None for another target, or none."""
    target = rule.target
    if isinstance(target, Verdict):
        return target.word
    return "REJECT" if target is not None and target.name == "REJECT" else None
