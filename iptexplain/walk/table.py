"""A packet's way through the chains of one table at one hook."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from iptexplain.rules.answer import Answer, Backend
from iptexplain.rules.extension import Match, Target
from iptexplain.rules.model import Chain, Jump, Place, Rule, Ruleset, Verdict
from iptexplain.walk.decide import Decisions
from iptexplain.walk.packet import Packet


class Step(NamedTuple):
    """A rule that matched, or a policy that was reached; ``depth`` counts the jumps, ``rule`` is None for a policy."""

    hook: str
    place: Place
    action: str
    rule: Rule | None
    depth: int
    to: dict[str, Any]
    """What the rule changed: fields of the packet with their new values."""

    backend: Backend
    """Whose table it stands in."""


MOST = 100_000
"""How many rules are asked more than once, of one table at one hook: where each chain is jumped to twice by the one above, thirty
chains are a thousand million rules. The kernel has no bound, and would ask them all."""


class TooLong(Exception):
    """``place``: the jump behind which a packet was followed no further."""

    def __init__(self, place: Place) -> None:
        self.place = place


class TableWalk:
    """One table, one hook, one packet. ``run`` gives the verdict, ACCEPT or DROP; its rule or policy is then the last of ``steps``.

    Raises TooLong where chains are asked again and again.
    """

    def __init__(
        self, ruleset: Ruleset, table: str, hook: str, packet: Packet, decisions: Decisions, steps: list[Step]
    ) -> None:
        self.chains, self.backend = ruleset.tables[table].chains, ruleset.backend
        self.table, self.hook, self.packet, self.decisions, self.steps = table, hook, packet, decisions, steps
        self.target: Target | None = None
        self._asked = 0

    def run(self) -> str:
        """The verdict; afterwards ``target`` is the target that gave it (None: the policy, or ACCEPT and DROP themselves)."""
        base = self.chains[self.hook]
        # Chains may be as deep in each other as there are chains; each is a few calls.
        sys.setrecursionlimit(max(sys.getrecursionlimit(), 1000 + 3 * len(self.chains)))
        verdict = self._chain(base, 0)
        if verdict is not None:
            return verdict
        policy = base.policy or "ACCEPT"
        place = Place(self.table, base.name, "policy", base.line)
        self.steps.append(Step(self.hook, place, policy, None, 0, {}, self.backend))
        return policy

    def _chain(self, chain: Chain, depth: int) -> str | None:
        """The verdict of a chain, None when the packet falls out of its end or returns."""
        for number, rule in enumerate(chain.rules, 1):
            if not self._matches(rule, number):
                continue
            place, target = self._place(rule, number), rule.target
            if isinstance(target, Jump):
                self._step(place, f"{'goto' if target.goto else 'jump'}:{target.chain}", rule, depth)
                self._count(self.chains[target.chain], place)
                verdict = self._chain(self.chains[target.chain], depth + 1)
                if verdict is not None or target.goto:
                    return verdict
            elif isinstance(target, Verdict):
                self._step(place, target.word, rule, depth)
                if target.word == "RETURN":
                    return None
                return target.word if target.word != "QUEUE" else self._either(place, None)
            elif target is None:
                self._step(place, "none", rule, depth)
            else:
                verdict = self._extension(target, place, rule, depth)
                if verdict is not None:
                    return verdict
        return None

    def _count(self, chain: Chain, place: Place) -> None:
        self._asked += len(chain.rules)
        if self._asked > MOST and self._asked - sum(len(c.rules) for c in self.chains.values()) > MOST:
            raise TooLong(place)

    def _extension(self, target: Target, place: Place, rule: Rule, depth: int) -> str | None:
        """A target with a file of its own: what it changes, and the verdict when it gives one."""
        verdict = target.decide(self.packet)
        changes = dict(target.changes(self.packet))
        self._step(place, target.called, rule, depth, {k: v for k, v in changes.items() if k != "tracked"})
        self.packet.fields.update(changes)
        if verdict is None:
            return None
        self.target = target
        return verdict if verdict != "UNKNOWN" else self._either(place, target)

    def _either(self, place: Place, target: Target | None) -> str:
        """A verdict that is not netfilter's to give."""
        return "ACCEPT" if self.decisions.decide(place, target) else "DROP"

    def _step(self, place: Place, action: str, rule: Rule, depth: int, to: dict[str, Any] | None = None) -> None:
        self.steps.append(Step(self.hook, place, action, rule, depth, to or {}, self.backend))

    def _place(self, rule: Rule, number: int) -> Place:
        return Place(self.table, rule.chain, number, rule.line)

    def _matches(self, rule: Rule, number: int) -> bool:
        """Every condition in order. A definite no ends it; only when nothing says no are the unknown ones decided."""
        unknown: list[Match] = []
        for match in rule.conditions():
            answer = match.answer(self.packet)
            if answer is Answer.NO:
                return False
            if answer is Answer.UNKNOWN:
                unknown.append(match)
        if not unknown:
            return True
        place = self._place(rule, number)
        return all(self.decisions.decide(place, match, is_idle(rule)) for match in unknown)


def is_idle(rule: Rule) -> bool:
    """Whether a packet is the same after the rule and goes on, matched or not (LOG, or no target at all)."""
    target = rule.target
    if target is None:
        return True
    ends = isinstance(target, Jump | Verdict) or target.verdict is not None
    return not ends and all(getattr(type(target), name) is getattr(Target, name) for name in ("decide", "changes"))
