"""One table at one hook: what its chains do with every packet that comes there. A user chain is worked out once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from iptexplain.rules.model import Chain, Jump, Place, Rule, Table, Verdict
from iptexplain.rules.nat import NatTarget
from iptexplain.sets.actions import Actions
from iptexplain.sets.conditions import Conditions
from iptexplain.sets.space import NO, Diagram
from iptexplain.sets.ways import ACCEPT, DROP, NEXT, RETURN, End, Piece, Ways

Nat = Callable[[NatTarget, Rule, str, Place, "Place | None"], Piece]
"""What a NAT target does in a rule, at a hook (see Nat.of in nat.py)."""


class Chains:
    """``named``: whether ends tell which rule or policy decided; without that, diagrams are smaller."""

    def __init__(self, ways: Ways, conditions: Conditions, table: Table, nat: Nat, named: bool = True) -> None:
        self.ways, self.conditions, self.table, self.nat, self.named = ways, conditions, table, nat, named
        self.actions = Actions(ways, conditions)
        self._done: dict[tuple[str, str], Piece] = {}
        self._rules: dict[tuple[Place, str], Piece] = {}
        self._conditions: dict[tuple[Place, str], Diagram] = {}

    def at(self, hook: str) -> Piece:
        """The verdict of the base chain ``hook``: every End is one."""
        base = self.table.chains[hook]
        policy = ACCEPT if (base.policy or "ACCEPT") == "ACCEPT" else DROP
        by = self.by(Place(self.table.name, base.name, "policy", base.line))
        return self.ways.then(self.chain(hook, hook), self.ways.ending(End(policy, by=by)))

    def by(self, place: Place) -> Place | None:
        return place if self.named else None

    def chain(self, name: str, hook: str) -> Piece:
        """A chain as those see it that jump there: its last end is NEXT. Only NAT differs with the hook."""
        own = self.own(hook)
        for called in called_first(self.table.chains, name, lambda rule: self.conditions.can_meet(rule, own)):
            if (called, own) not in self._done:
                placed = places(self.table, self.table.chains[called])
                self.done(called, own, self.ways.chained([self.rule(rule, place, own) for place, rule in placed]))
        return self._done[name, own]

    def own(self, hook: str) -> str:
        """The hook, where what chains do differs with it."""
        return hook if self.table.name == "nat" else ""

    def done(self, name: str, own: str, rules: Piece) -> None:
        """Say what the rules of a chain do one after the other; of the chains that they call it is known."""
        back = self.ways.turned(rules.map, lambda end: end._replace(way=NEXT) if end.way == RETURN else end)
        self._done[name, own] = back

    def rule(self, rule: Rule, place: Place, hook: str) -> Piece:
        """What one rule of the table does with all packets."""
        key = place, hook
        if key not in self._rules:
            condition, go_on = self.condition(rule, place, hook), self.ways.go_on
            is_dead = condition == NO
            self._rules[key] = go_on if is_dead else self.ways.choice(condition, self.action(rule, place, hook), go_on)
        return self._rules[key]

    def condition(self, rule: Rule, place: Place, hook: str = "") -> Diagram:
        """The packets that meet the conditions of a rule of the table."""
        key = place, hook
        if key not in self._conditions:
            self._conditions[key] = self.conditions.of(rule, place, hook)
        return self._conditions[key]

    def action(self, rule: Rule, place: Place, hook: str) -> Piece:
        """What the target does with the packets that meet the conditions."""
        target, by = rule.target, self.by(place)
        if target is None:
            return self.ways.go_on
        if isinstance(target, Jump):
            called = self._done[target.chain, hook]
            if not target.goto:
                return called
            return self.ways.turned(called.map, lambda end: end._replace(way=RETURN) if end.way == NEXT else end)
        if isinstance(target, Verdict):
            if target.word == "QUEUE":
                return self.actions.either(place, None, by)
            ways = {"ACCEPT": ACCEPT, "DROP": DROP, "RETURN": RETURN}
            return self.ways.ending(End(ways[target.word], by=by if target.word != "RETURN" else None))
        if isinstance(target, NatTarget):
            return self.nat(target, rule, hook, place, by)
        return self.actions.of(target, place, by)


def places(table: Table, chain: Chain) -> Iterator[tuple[Place, Rule]]:
    for number, rule in enumerate(chain.rules, 1):
        yield Place(table.name, chain.name, number, rule.line), rule


def called_first(
    chains: Mapping[str, Chain], name: str, calls: Callable[[Rule], bool] = lambda rule: True
) -> list[str]:
    """The chain and all that it calls, each behind those that it calls itself; however deep they are nested.

    ``calls``: whether a rule that jumps is to count.
    """
    order: list[str] = []
    seen: set[str] = set()
    waiting = [(name, False)]
    while waiting:
        chain, is_ready = waiting.pop()
        if is_ready:
            order.append(chain)
        elif chain not in seen:
            seen.add(chain)
            waiting.append((chain, True))
            for rule in chains[chain].rules:
                if isinstance(rule.target, Jump) and rule.target.chain not in seen and calls(rule):
                    waiting.append((rule.target.chain, False))
    return order
