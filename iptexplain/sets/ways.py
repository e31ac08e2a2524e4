"""Maps of packets to what becomes of them, put together as the kernel asks: one piece of the way after the other."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Literal, NamedTuple

from iptexplain.rules.model import Place
from iptexplain.sets.boxes import split
from iptexplain.sets.change import Changes, Chosen, composed, substituted
from iptexplain.sets.space import BOTTOM, NO, YES, Diagram, Space

NEXT, RETURN, ACCEPT, DROP, REJECT, UNDECIDED = "next", "return", "accept", "drop", "reject", "undecided"
"""How a piece of the way ends: with the next rule; where the chain was called from; with a verdict; so that nobody analysed it."""

ARRIVED = frozenset({"forwarded", "delivered-local", "sent"})
GONE = frozenset({DROP, REJECT, UNDECIDED, "dropped", "rejected"})


class End(NamedTuple):
    """What becomes of packets: ``way`` as above, or the kind of an outcome (walk/outcome.py) when the whole way is over.

    ``changes``: what their fields are then, from what they were at the beginning of the piece; ``by``: the rule or policy
    that gave the verdict, or the kernel's reason; ``accepted``: the rule or policy of the filter table that let them pass;
    ``nat``: the rules that rewrote them; ``interface``: where they arrive or leave; ``answer``: with what they are rejected.
    """

    way: str
    changes: Changes = ()
    by: Place | str | None = None
    accepted: Place | None = None
    nat: tuple[Place, ...] = ()
    interface: str | None = None
    answer: str | None = None

    def before(self, later: End, shown: Collection[int]) -> End:
        """This end's changes, and then the later one. Of packets that go no further no changes are kept, and of such as have
        arrived those of the levels ``shown``."""
        if later.way in GONE:
            return later
        changes = self.changes
        if later.way in ARRIVED:
            changes = tuple(change for change in changes if change[0] in shown)
        accepted, nat = later.accepted or self.accepted, self.nat + later.nat
        if not changes and accepted == later.accepted and nat == later.nat:
            return later
        return later._replace(changes=composed(changes, later.changes), accepted=accepted, nat=nat)


class Piece(NamedTuple):
    """A map of packets to Ends, and which of those (as diagrams) are not closed yet: the next piece says how they go on."""

    map: Diagram
    open: frozenset[Diagram]


class Asked(NamedTuple):
    """The levels that a map asks, and the ends that it has."""

    levels: frozenset[int]
    ends: frozenset[Diagram]


class Ways:
    """How pieces of ``space`` are put together. ``shown``: the levels whose change shows of packets that have arrived."""

    def __init__(self, space: Space, shown: Collection[int] = ()) -> None:
        self.space, self.shown = space, frozenset(shown)
        self.go_on = self.ending(End(NEXT))
        self.undecided = space.end(End(UNDECIDED))
        self._later: dict[tuple[Diagram, Piece], Piece] = {}
        self._asked: dict[Diagram, Asked] = {}
        self._questions: dict[Diagram, int] = {}

    def ending(self, end: End) -> Piece:
        """Every packet ends so."""
        node = self.space.end(end)
        return Piece(node, frozenset({node} if end.way == NEXT else ()))

    def choice(self, condition: Diagram, yes: Piece, no: Piece) -> Piece:
        """One piece for the packets of a set, another for all others."""
        if condition in (YES, NO):
            return yes if condition == YES else no
        space = self.space
        if space.level[yes.map] == space.level[no.map] == BOTTOM:
            found = space.turned(condition, lambda holds: yes.map if holds else no.map)
        else:
            found = space.fill(space.fill(condition, YES, yes.map), NO, no.map)
        return Piece(found, yes.open | no.open)

    def cases(self, cases: Sequence[tuple[Diagram, Piece]], others: Piece | None = None) -> Piece:
        """One piece for each of several sets that have no packet in common; ``others``: for all the rest, if there is any."""
        space = self.space
        if others is not None:
            cases = [*cases, (space.complement(space.union([where for where, _ in cases])), others)]
        found = space.overlaid([space.both(where, piece.map) for where, piece in cases])
        return Piece(found, frozenset[Diagram]().union(*(piece.open for _, piece in cases)))

    def then(self, first: Piece, second: Piece) -> Piece:
        """Both pieces as one."""
        return self.followed(first, lambda end: self.after(end, second))

    def followed(self, first: Piece, later: Callable[[Diagram], Piece]) -> Piece:
        """A piece whose open ends go on as ``later`` says, in terms of the packets as they were at its beginning."""
        if not first.open:
            return first
        space, pieces = self.space, {end: later(end) for end in sorted(first.open)}
        every = frozenset[Diagram]().union(*(piece.open for piece in pieces.values()))
        if len(pieces) == 1:
            ((end, piece),) = pieces.items()
            return Piece(space.fill(first.map, end, piece.map), every)
        # Where all packets of an end fare alike from there on, its name changes, and no more; ends that go on alike are one.
        leads: dict[Diagram, Diagram] = {}
        closed = {end: piece.map for end, piece in pieces.items() if space.level[piece.map] == BOTTOM}
        named = closed | {e: leads.setdefault(p.map, e) for e, p in pieces.items() if e not in closed}
        if not leads or (len(leads) == 1 and leads.keys().isdisjoint(closed.values())):
            found = space.renamed(first.map, named)
            for goes_on, lead in leads.items():
                found = space.fill(found, lead, goes_on)
            return Piece(found, every)
        parts = split(space, space.renamed(first.map, named), leads.values())
        rest = space.renamed(first.map, closed | dict.fromkeys(named.keys() - closed.keys(), NO))
        row = [rest, *(space.both(parts.get(lead, NO), goes_on) for goes_on, lead in leads.items())]
        return Piece(space.overlaid(row), every)

    def chained(self, pieces: Sequence[Piece]) -> Piece:
        """All pieces, one after the other, joined as a balanced tree: for many of which few change anything."""
        found: Piece = self.space.joined(pieces, self.then) if pieces else self.go_on
        return found

    def path(self, pieces: Sequence[Piece]) -> Piece:
        """All pieces, one after the other, joined from the end: for few pieces, of which the first change what all others see."""
        found = pieces[-1]
        for piece in reversed(pieces[:-1]):
            found = self.then(piece, found)
        return found

    def after(self, end: Diagram, second: Piece) -> Piece:
        """The second piece as the packets see it that have come to ``end``, which says what they were before."""
        if end == self.go_on.map:
            return second
        key = (end, second)
        if key not in self._later:
            self._later[key] = self._after(self.space.values[end], second)
        return self._later[key]

    def _after(self, first: End, second: Piece) -> Piece:
        asked = self.asked(second.map)
        changes = tuple(change for change in first.changes if change[0] in asked.levels)
        if changes:
            # Where the answer hangs on a number that is not followed, it is the same only for the same question about it.
            chosen = [(level, change.text) for level, change in changes if isinstance(change, Chosen)]
            question = self._questions.setdefault(second.map, len(self._questions) + 1)
            unknown = self.space.end(End(UNDECIDED, by=f"question {question} about {chosen}"))
            return self.turned(
                substituted(self.space, second.map, changes, unknown), lambda e: first.before(e, self.shown)
            )
        new = {end: self.space.end(first.before(self.space.values[end], self.shown)) for end in sorted(asked.ends)}
        return Piece(self.space.renamed(second.map, new), frozenset(new[end] for end in second.open & asked.ends))

    def asked(self, a: Diagram) -> Asked:
        """What a map asks."""
        if a not in self._asked:
            nodes, level = self.space.reachable(a) - {NO}, self.space.level
            ends = frozenset(node for node in nodes if level[node] == BOTTOM)
            self._asked[a] = Asked(frozenset(level[node] for node in nodes), ends)
        return self._asked[a]

    def changed(self, piece: Piece, changes: Changes) -> Piece:
        """A piece for packets that are changed only while it looks at them."""
        found = substituted(self.space, piece.map, changes, self.undecided)
        return Piece(found, piece.open)

    def turned(self, found: Diagram, new: Callable[[End], End]) -> Piece:
        """The map with each End replaced by what ``new`` makes of it."""
        made: set[Diagram] = set()

        def turn(value: End | Literal[False]) -> Diagram:
            if not value:
                return NO
            end = self.space.end(new(value))
            if self.space.values[end].way == NEXT:
                made.add(end)
            return end

        turned = self.space.turned(found, turn)
        return Piece(turned, frozenset(made))
