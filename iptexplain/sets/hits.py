"""Which packets each rule of a table is for: those that come to it and meet its conditions. A rule without any is dead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from iptexplain.rules.model import Jump, Place, Rule
from iptexplain.sets.chains import Chains, called_first, places
from iptexplain.sets.change import Changes, substituted
from iptexplain.sets.space import NO, YES, Diagram
from iptexplain.sets.ways import NEXT, End, Piece

Comers = Mapping[Changes, Diagram]
"""Who comes to a rule: what rules before have changed in them, and who they were when they came to the hook."""

AT_HOOK = {
    "PREROUTING": (True, False), "INPUT": (True, False), "FORWARD": (True, True), "OUTPUT": (False, True),
    "POSTROUTING": (None, True),
}  # fmt: skip
"""Whether a packet has an interface that it came in by, and one that it leaves by."""

OPENING = ("NEW", "RELATED")
"""The states of packets that nat is asked about: the first of a connection (nf_nat_inet_fn)."""


class Part(NamedTuple):
    """Some neighbouring rules of a chain: what they do as one, which packets any of them is for, and the two halves;
    ``is_apart``: no packet meets the conditions of two of the rules."""

    piece: Piece
    condition: Diagram
    rule: tuple[Place, Rule] | None
    halves: tuple[Part, Part] | None
    is_apart: bool = True


class Hits:
    """All rules that are reached from the base chain ``hook`` of a table, with the packets (as they come to the hook) that each
    is for (``of``), with the packets that come to each chain (``coming``), and the fields that rules change (``changed``)."""

    def __init__(self, chains: Chains, hook: str) -> None:
        self.chains, self.hook, self.space = chains, hook, chains.ways.space
        self.of: dict[Place, Diagram] = {}
        self.changed: set[int] = set()
        self._trees: dict[str, Part | None] = {}
        order = called_first(chains.table.chains, hook)
        for name in order:
            called = self.tree(name)
            chains.done(name, chains.own(hook), called.piece if called else chains.ways.go_on)
        self.coming: dict[str, dict[Changes, Diagram]] = {hook: {(): self.here()}}
        for name in reversed(order):
            tree = self.tree(name)
            if tree:
                self._descend(tree, self.coming.get(name, {}))

    def here(self) -> Diagram:
        """What can be at the hook at all."""
        kinds, found = self.chains.conditions.kinds, YES
        for name, has in zip(("iif", "oif"), AT_HOOK[self.hook], strict=True):
            if has is not None:
                none = kinds.number(name, 0)
                found = self.space.both(found, self.space.complement(none) if has else none)
        if self.chains.table.name == "nat":
            found = self.space.both(found, kinds.one_of("ctstate", OPENING))
        return found

    def tree(self, name: str) -> Part | None:
        """The rules of a chain as a balanced tree; None: it has none."""
        if name not in self._trees:
            rules = places(self.chains.table, self.chains.table.chains[name])
            parts = [self._part(place, rule) for place, rule in rules]
            self._trees[name] = self.space.joined(parts, self.joined) if parts else None
        return self._trees[name]

    def meeting(self, name: str, packets: Diagram) -> list[Part]:
        """The rules of a chain whose conditions some of the packets meet."""
        found: list[Part] = []

        def look(part: Part) -> None:
            if not self.space.disjoint(packets, part.condition):
                if part.halves:
                    look(part.halves[0])
                    look(part.halves[1])
                else:
                    found.append(part)

        tree = self.tree(name)
        if tree:
            look(tree)
        return found

    def _part(self, place: Place, rule: Rule) -> Part:
        """One rule."""
        piece = self.chains.rule(rule, place, self.chains.own(self.hook))
        self.changed.update(level for end in piece.open for level, _ in self.space.values[end].changes)
        return Part(piece, self.chains.condition(rule, place), (place, rule), None)

    def joined(self, first: Part, second: Part) -> Part:
        piece = self.chains.ways.then(first.piece, second.piece)
        condition = self.space.either(first.condition, second.condition)
        are_apart = first.is_apart and second.is_apart and self.space.disjoint(first.condition, second.condition)
        return Part(piece, condition, None, (first, second), are_apart)

    def is_apart(self, part: Part) -> bool:
        """Whether none of its rules does anything to packets that another of them is for."""
        return part.is_apart and not self.changed

    def are_apart(self, part: Part) -> bool:
        """Whether no rule of its first half does anything to packets that one of its second half is for."""
        assert part.halves is not None
        return not self.changed and self.space.disjoint(*(half.condition for half in part.halves))

    def _descend(self, part: Part, comers: Comers) -> None:
        """Only those count for whom one of the part's rules is: so whole parts fall away at once, and sets are small far down."""
        if part.halves and self.is_apart(part):
            for half in part.halves:
                self._descend(half, comers)
            return
        here = self.for_part(part, comers)
        if part.halves:
            self._descend(part.halves[0], here)
            self._descend(part.halves[1], here if self.are_apart(part) else self.past(part.halves[0].piece, here))
            return
        assert part.rule is not None
        place, rule = part.rule
        self.of[place] = self.space.union(list(here.values()))
        if isinstance(rule.target, Jump):
            coming = self.coming.setdefault(rule.target.chain, {})
            for changes, who in here.items():
                coming[changes] = self.space.either(coming.get(changes, NO), who)

    def for_part(self, part: Part, comers: Comers) -> Comers:
        """The comers that meet the conditions of one of its rules: all others pass as they are."""
        met = {c: self.met(part.condition, c, who) for c, who in comers.items()}
        return {c: who for c, who in met.items() if who != NO}

    def met(self, condition: Diagram, changes: Changes, who: Diagram) -> Diagram:
        """A field that only the kernel knows may be anything."""
        return self.space.both(substituted(self.space, condition, changes, YES) if changes else condition, who)

    def past(self, piece: Piece, comers: Comers) -> Comers:
        """Who comes past some rules."""
        past: dict[Changes, Diagram] = {}
        ways, space = self.chains.ways, self.space
        for changes, who in comers.items():
            seen = ways.after(space.end(End(NEXT, changes)), piece)
            for end in sorted(seen.open):
                new = space.values[end].changes
                passed = space.both(self._ending_in(seen.map, end), who)
                past[new] = space.either(past.get(new, NO), passed)
        return past

    def _ending_in(self, found: Diagram, end: Diagram) -> Diagram:
        wanted = self.space.values[end]
        return self.space.where(found, lambda value: value == wanted)


def dead_rules(every: list[Hits]) -> list[Place]:
    """The rules that are for no packet at any of these hooks, in order."""
    places_of_all = dict.fromkeys(place for hits in every for place in hits.of)
    return [place for place in places_of_all if all(hits.of.get(place, NO) == NO for hits in every)]
