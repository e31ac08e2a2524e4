"""Rules without which every packet would fare the same: what comes after them does the same with all that they are for.

That holds for each of them alone, and for all of them together. What a rule does beside its verdict counts as well (another
rejection, another address, a mark), and so does what it keeps packets from: a later rule that logs or counts on its own.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from typing import NamedTuple

from iptexplain.rules.extension import Target
from iptexplain.rules.model import Chain, Jump, Place, Table, Verdict
from iptexplain.rules.nat import NatTarget
from iptexplain.rules.targets.mark import MarkTarget
from iptexplain.rules.targets.reject import Reject
from iptexplain.sets.analyse import Analysis
from iptexplain.sets.chains import Chains, called_first
from iptexplain.sets.change import Changes
from iptexplain.sets.hits import Comers, Hits, Part
from iptexplain.sets.nat import Nat
from iptexplain.sets.space import NO, YES, Diagram
from iptexplain.sets.ways import ACCEPT, DROP, NEXT, REJECT, RETURN, UNDECIDED, End, Piece

KNOWN = (Verdict, Jump, Reject, MarkTarget, NatTarget)
"""The targets of which all that they do shows in the ends."""

VERDICTS = frozenset({ACCEPT, DROP, REJECT})

CALLS = 25
"""How many nested calls a chain takes, at most."""

MANY = 2
"""More ways than one lead to a chain."""


class Effects(Chains):
    """A table's chains as far as their effects differ: ends tell which target gave the verdict, of targets that are alike the
    first one; plain verdicts do not tell who gave them."""

    def __init__(self, analysis: Analysis, table: Table) -> None:
        nat = Nat(analysis.ways, analysis.conditions, analysis.topology)
        super().__init__(analysis.ways, analysis.conditions, table, nat.of)
        self._alike: dict[Target, Place] = {}

    def by(self, place: Place) -> Place | None:
        if place.rule == "policy":
            return None
        target = self.table.rule(place).target
        return None if target is None or isinstance(target, Verdict) else self._alike.setdefault(target, place)


class Behind(NamedTuple):
    """What becomes of packets behind some rules: as the rules stand, and without those that were found to be spare.

    ``odd``: packets that meet something there which is more than a verdict, or a rule that is dead while all rules stand.
    """

    full: Piece
    reduced: Piece
    odd: Diagram


class Spare:
    """Looks for such rules behind the base chain of ``hits``. ``dead``: the rules that are for no packet; they are none of them."""

    def __init__(self, hits: Hits, dead: Collection[Place]) -> None:
        self.hits, self.space, self.ways = hits, hits.space, hits.chains.ways
        self.found: list[Place] = []
        self._dead = dead
        self._odd: dict[int, Diagram] = {}
        table = hits.chains.table
        reached = called_first(table.chains, hits.hook)
        # Chains may be as deep in each other as there are chains; each is a few calls, and those of its tree.
        sys.setrecursionlimit(max(sys.getrecursionlimit(), 1000 + CALLS * len(reached)))
        self._count = _ways_to(table)
        for name in reached:
            if self._count[name] == MANY and table.name != "nat":
                self._chain(name, {(): YES}, Behind(self.ways.go_on, self.ways.go_on, NO))
        policy = self._policy(table.chains[hits.hook])
        self._chain(hits.hook, {(): hits.here()}, Behind(policy, policy, NO))

    def _policy(self, chain: Chain) -> Piece:
        """What a policy does: where the dump has no line for the chain, nobody knows."""
        if not chain.declared:
            return Piece(self.ways.undecided, frozenset())
        return self.ways.ending(End(ACCEPT if (chain.policy or "ACCEPT") == "ACCEPT" else DROP))

    def _chain(self, name: str, comers: Comers, behind: Behind) -> tuple[Part | None, Part | None]:
        """The rules of a chain, and those that are left."""
        tree = self.hits.tree(name)
        return tree, self._descend(tree, comers, behind, behind) if tree else None

    def _descend(self, part: Part, comers: Comers, behind: Behind, end: Behind) -> Part | None:
        """The part without the rules that can be spared; ``end``: what becomes of packets that return from the chain."""
        if part.halves and self.hits.is_apart(part):
            first, second = part.halves
            kept, rest = (self._descend(half, comers, behind, end) for half in (first, second))
        else:
            here = self.hits.for_part(part, comers)
            if not here:
                return part
            if part.halves is None:
                return self._rule(part, here, behind, end)
            first, second = part.halves
            if self.hits.are_apart(part):
                rest = self._descend(second, here, behind, end)
                before = self._narrowed(behind, first.condition)
            else:
                rest = self._descend(second, self.hits.past(first.piece, here), behind, end)
                before = self._before(first, second, rest, behind, end)
            kept = self._descend(first, here, before, end)
        if kept is first and rest is second:
            return part
        return self.hits.joined(kept, rest) if kept and rest else kept or rest

    def _before(self, first: Part, second: Part, rest: Part | None, behind: Behind, end: Behind) -> Behind:
        """What is behind the ``first`` rules: the ``second``, of which the ``rest`` is left."""
        packets = YES if self.hits.changed else first.condition
        full = self._followed(second.piece, behind.full, end.full, packets)
        reduced = full
        if rest is not second or behind.reduced != behind.full:
            reduced = self._followed(rest.piece if rest else self.ways.go_on, behind.reduced, end.reduced, packets)
        return Behind(full, reduced, self.space.either(behind.odd, self._odd_in(second)))

    def _followed(self, piece: Piece, behind: Piece, end: Piece, packets: Diagram) -> Piece:
        """Both pieces for some packets, where nobody asks about others; those that return go on at the ``end``."""
        pair = [Piece(self.space.both(packets, one.map), one.open) for one in (piece, behind)]
        found = self.ways.then(*pair)
        return Piece(self.space.fill(found.map, self.space.end(End(RETURN)), end.map), found.open | end.open)

    def _narrowed(self, behind: Behind, packets: Diagram) -> Behind:
        """What is behind some rules, where nobody asks about other packets."""
        if self.hits.changed:
            return behind
        full, reduced = (Piece(self.space.both(packets, one.map), one.open) for one in behind[:2])
        return Behind(full, reduced, self.space.both(packets, behind.odd))

    def _rule(self, part: Part, comers: Comers, behind: Behind, end: Behind) -> Part | None:
        assert part.rule is not None
        place, rule = part.rule
        if isinstance(rule.target, Jump):
            return self._jump(part, rule.target, comers, behind)
        if self._is_odd(part):
            return part
        met = {c: self.hits.met(part.condition, c, who) for c, who in comers.items()}
        if self._differs(part.piece, behind.full, met.get((), NO)):
            return part
        if not all(self.space.disjoint(who, behind.odd) for who in met.values()):
            return part
        packets = YES if self.hits.changed else part.condition
        for later, after in ((behind.full, end.full), (behind.reduced, end.reduced)):
            done = self._followed(part.piece, later, after, packets)
            if not all(self._same(done, later, changes, who) for changes, who in met.items()):
                return part
            if behind.full == behind.reduced and end.full == end.reduced:
                break
        self.found.append(place)
        return None

    def _differs(self, piece: Piece, later: Piece, who: Diagram) -> bool:
        """Whether one of some packets already shows that a rule's verdict counts; False: that is to be looked at."""
        point = self.space.pick(who)
        if point is None:
            return False
        verdict = self.space.at(piece.map, point)
        return verdict.way in VERDICTS and verdict != self.space.at(later.map, point)

    def _jump(self, part: Part, jump: Jump, comers: Comers, behind: Behind) -> Part:
        """A chain that is called here alone is looked at with what is behind it here."""
        if self._count[jump.chain] == MANY:
            return part
        met = {c: self.hits.met(part.condition, c, who) for c, who in comers.items()}
        tree, left = self._chain(jump.chain, met, self._narrowed(behind, part.condition))
        if left is tree:
            return part
        inside = left.piece if left else self.ways.go_on
        back = self.ways.turned(inside.map, lambda end: end._replace(way=NEXT) if end.way == RETURN else end)
        return part._replace(piece=self.ways.choice(part.condition, back, self.ways.go_on))

    def _same(self, one: Piece, other: Piece, changes: Changes, who: Diagram) -> bool:
        """Whether packets that were ``who`` when they came fare alike, for certain."""
        begun = self.space.end(End(NEXT, changes))
        fates = [self.space.both(who, self.ways.after(begun, piece).map) for piece in (one, other)]
        return fates[0] == fates[1] and all(end is False or end.way != UNDECIDED for end in self.space.ends(fates[0]))

    # -- rules that do more

    def _is_odd(self, part: Part) -> bool:
        """Whether a rule remembers, logs or asks something, or may do so, and it matters which packets come to it; a dead one may
        come to life."""
        assert part.rule is not None
        variables = self.hits.chains.conditions.variables
        asks = any(self.space.depends(found, variables) for found in (part.condition, part.piece.map))
        does_more = not isinstance(part.rule[1].target, KNOWN) or part.piece == self.ways.go_on
        return asks or does_more or part.rule[0] in self._dead

    def _odd_in(self, part: Part) -> Diagram:
        """The packets that such a rule in a part may be for, with those of the chains that it jumps to."""
        if id(part) not in self._odd:  # the trees stay as long as their hits
            found = self.space.either(*map(self._odd_in, part.halves)) if part.halves else self._odd_at(part)
            self._odd[id(part)] = found
        return self._odd[id(part)]

    def _odd_at(self, part: Part) -> Diagram:
        assert part.rule is not None
        place, rule = part.rule
        is_odd = self._is_odd(part)
        if isinstance(rule.target, Jump) and place not in self._dead:
            tree = self.hits.tree(rule.target.chain)
            is_odd = tree is not None and self._odd_in(tree) != NO
        if not is_odd:
            return NO
        return YES if self.hits.changed else self.space.exists(part.condition, self.hits.chains.conditions.variables)


def _ways_to(table: Table) -> dict[str, int]:
    """On how many ways packets can come to each chain from any hook of the table: one, or MANY."""
    count = {name: int(chain.policy is not None) for name, chain in table.chains.items()}
    bases = [name for name, chain in table.chains.items() if chain.policy is not None]
    order = dict.fromkeys(name for base in bases for name in called_first(table.chains, base))
    for name in reversed(order):
        for rule in table.chains[name].rules:
            if isinstance(rule.target, Jump):
                more = MANY if rule.target.goto else count[name]
                count[rule.target.chain] = min(count[rule.target.chain] + more, MANY)
    return count


def spare_rules(every: Iterable[Hits], dead: Collection[Place]) -> list[Place]:
    """The rules of one table that can be spared, at all of these hooks. The chains of ``every`` are Effects."""
    return list(dict.fromkeys(place for hits in every for place in Spare(hits, dead).found))
