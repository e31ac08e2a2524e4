"""Maps of packets to what becomes of them, put together as the kernel asks: one piece of the way after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from iptexplain.rules.model import Place
from iptexplain.sets.boxes import split
from iptexplain.sets.change import Changes, Chosen, composed, substituted
from iptexplain.sets.space import BOTTOM, NO, YES, Diagram, Space

NEXT, RETURN, ACCEPT, DROP, REJECT, UNDECIDED = "next", "return", "accept", "drop", "reject", "undecided"
"""How a piece of the way ends: with the next rule; where the chain was called from; with a verdict; so that nobody analysed it."""

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

    def before(self, later: End) -> End:
        """This end's changes, and then the later one; of packets that go no further no changes are kept."""
        if later.way in GONE:
            return later
        return later._replace(
            changes=composed(self.changes, later.changes) if self.changes else later.changes,
            accepted=later.accepted or self.accepted,
            nat=self.nat + later.nat,
        )


class Piece(NamedTuple):
    """A map of packets to Ends, and which of those (as diagrams) are not closed yet: the next piece says how they go on."""

    map: Diagram
    open: frozenset[Diagram]


class Ways:
    """How pieces of ``space`` are put together."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.go_on = self.ending(End(NEXT))
        self.undecided = space.end(End(UNDECIDED))
        self._later: dict[tuple[Diagram, Piece], Piece] = {}

    def ending(self, end: End) -> Piece:
        """Every packet ends so."""
        node = self.space.end(end)
        return Piece(node, frozenset({node} if end.way == NEXT else ()))

    def choice(self, condition: Diagram, yes: Piece, no: Piece) -> Piece:
        """One piece for the packets of a set, another for all others."""
        if condition in (YES, NO):
            return yes if condition == YES else no
        space = self.space
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
        if len(pieces) == 1:
            ((end, piece),) = pieces.items()
            return Piece(space.fill(first.map, end, piece.map), piece.open)
        # Where all packets of an end fare alike from there on, its name changes, and no more.
        named = {end: piece.map if space.level[piece.map] == BOTTOM else NO for end, piece in pieces.items()}
        parts = split(space, first.map, {end for end, new in named.items() if new == NO})
        closed = space.turned(first.map, lambda v: named.get(space.end(v), space.end(v)) if v else NO)
        row = [closed, *(space.both(where, pieces[end].map) for end, where in parts.items())]
        found = space.overlaid(row)
        return Piece(found, frozenset[Diagram]().union(*(piece.open for piece in pieces.values())))

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
            first: End = self.space.values[end]
            # Where the answer hangs on a number that is not followed, it is the same only for the same question about it.
            chosen = [(level, change.text) for level, change in first.changes if isinstance(change, Chosen)]
            unknown = self.space.end(End(UNDECIDED, by=f"question {second.map} about {chosen}"))
            found = substituted(self.space, second.map, first.changes, unknown)
            self._later[key] = self.turned(found, first.before)
        return self._later[key]

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
