"""Where two rulesets treat packets differently: both are walked in one space, where equal treatment is one and the same diagram.

What shows outside of the host counts: whether a packet arrives and where, what it is rewritten to, what its sender is told.
Which rule decides does not, unless somebody asks; marks do where a rule makes a difference of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import NamedTuple

from iptexplain.host.topology import Topology
from iptexplain.rules.model import Place, Ruleset
from iptexplain.sets.analyse import ANY, CHANGING, NOTHING, Analysis, Sent
from iptexplain.sets.apart import Apart, alike, masqueraded_as_before, parted, rewriting
from iptexplain.sets.boxes import split
from iptexplain.sets.fields import NAT_FIELDS
from iptexplain.sets.ground import LIMIT, Ground
from iptexplain.sets.nat import OUTGOING
from iptexplain.sets.same import same_places
from iptexplain.sets.space import NO, YES, Diagram, TooLarge
from iptexplain.sets.ways import UNDECIDED, End, Piece

ARRIVED = frozenset({"forwarded", "delivered-local", "sent"})

Sides = tuple[Analysis, Analysis]
"""The old and the new ruleset's."""

Hook = tuple[str, bool]
"""A hook, and whether it is that of packets that come back from the host itself."""

BRANCHES: Mapping[bool, tuple[tuple[Hook, ...], ...]] = {
    True: (
        (("PREROUTING", False), ("INPUT", False)),
        (("PREROUTING", False), ("FORWARD", False), ("POSTROUTING", False)),
    ),
    False: ((("OUTPUT", False), ("POSTROUTING", False), ("PREROUTING", True), ("INPUT", True), ("POSTROUTING", True)),),
}
"""The hooks that a packet can pass one after the other: of those that come in (True), and of those that the host makes."""

ALIKE = End("dropped", by="alike")
"""Where both rulesets do the same, and all that comes before and after is the same, nobody needs to know what it is."""

FILTERING = ("filter", "security")
"""Tables that neither rewrite packets nor write what the nat table reads."""


class Region(NamedTuple):
    """Packets that the rulesets treat differently: in which ways they may end under each (one way, where nothing is open),
    and the rules on which that hangs."""

    was: tuple[End, ...]
    now: tuple[End, ...]
    packets: Diagram
    was_asked: tuple[Place, ...] = ()
    now_asked: tuple[Place, ...] = ()


class Scope(NamedTuple):
    """What is compared. ``hooks``: only packets that get there (of FORWARD, INPUT, OUTPUT); ``nat``: only what NAT makes of them;
    ``ignored``: interfaces by which they neither come nor go; ``deciders``: whether it counts which rule decides."""

    hooks: frozenset[str] = frozenset()
    nat: bool = False
    ignored: frozenset[str] = frozenset()
    deciders: bool = False


EVERYTHING = Scope()


class Comparison:
    """Two rulesets on one host. ``undecided``: the interfaces ("": the host's own packets) for which the budget did not do."""

    def __init__(
        self, old: Ruleset, new: Ruleset, topology: Topology, scope: Scope = EVERYTHING, limit: int = LIMIT,
        seconds: float | None = None,
    ) -> None:  # fmt: skip
        if scope.nat:
            old, new = (
                r._replace(tables={k: t for k, t in r.tables.items() if k not in FILTERING}) for r in (old, new)
            )
        self.rulesets, self.topology, self.scope = (old, new), topology, scope
        self.same = same_places(old, new)
        self.ground = Ground(self.rulesets, topology, limit, seconds)
        self.space, self.fields = self.ground.space, self.ground.fields
        self.sides = self._sides(scope.deciders)
        self.undecided: list[str] = []
        self._pieces: dict[tuple[Analysis, Hook], Piece] = {}
        self._apart: dict[Hook, Diagram] = {}

    def _sides(self, named: bool) -> Sides:
        old, new = self.rulesets
        return (
            Analysis(old, self.topology, named, ground=self.ground, same=NOTHING),
            Analysis(new, self.topology, named, ground=self.ground, same=self.same),
        )

    @property
    def interfaces(self) -> list[str]:
        """The ways into the host's rules; "" is that of its own packets. (What comes in by lo it has made itself.)"""
        incoming = [name for name in self.sides[0].interfaces if name not in {"lo", *self.scope.ignored}]
        own = not self.scope.hooks or bool(self.scope.hooks & {"OUTPUT", "INPUT"})
        return [*([""] if own else []), *(incoming if self.scope.hooks != {"OUTPUT"} else [])]

    # -- the answer

    def regions(self) -> list[Region]:
        """All packets that are treated differently, as far as the budget goes."""
        own, incoming = ([name for name in self.interfaces if bool(name) is comes_in] for comes_in in (False, True))
        found = self.space.overlaid([self._among(own), self._among(incoming)])
        return [self._region(self.space.values[pair], packets) for pair, packets in split(self.space, found).items()]

    def _among(self, interfaces: Sequence[str]) -> Diagram:
        """A map of the packets that come in by some interfaces to Apart, with the rules that decide."""
        parts = []
        for name in interfaces:
            try:
                found = self._parted(name, self.sides, self._shown)
                parts.append(self.space.both(self._in_scope(name), found) if found != NO else NO)
            except TooLarge:
                self.undecided.append(name)
        return self._with_rules(self._kept(self.space.overlaid(parts)), interfaces)

    def _region(self, pair: Apart, packets: Diagram) -> Region:
        was, now = (tuple(self.space.ends(side)) for side in pair)
        was_asked, now_asked = (self._asked(side, found) for side, found in zip(self.sides, pair, strict=True))
        return Region(was, now, packets, was_asked, now_asked)

    def _asked(self, side: Analysis, a: Diagram) -> tuple[Place, ...]:
        """The rules whose open questions a map asks."""
        levels = {self.space.level[node] for node in self.space.reachable(a) if self.space.kids[node]}
        return tuple(sorted({side.conditions.variables[level][0] for level in levels}, key=lambda p: (p.line, str(p))))

    def _kept(self, found: Diagram) -> Diagram:
        """The map without those packets that differ in nothing that shows, or that go by an interface that does not count."""
        kept = []
        for end, packets in split(self.space, found).items():
            was, now = (self.space.ends(side) for side in self.space.values[end])
            arrived = [_leaves(e) for e in (*was, *now) if e.way in ARRIVED]
            if arrived and self.scope.ignored.issuperset(arrived):
                continue
            if len(was) == len(now) == 1:
                packets = self.space.minus(packets, self._alike(was[0], now[0]))
            kept.append(self.space.both(packets, end))
        return self.space.overlaid(kept)

    def _alike(self, was: End, now: End) -> Diagram:
        """The packets for which two ends come to the same; MASQUERADE may put in the address that was there."""
        found = alike(self.space, self.fields, was, now)
        dst, src = (self.fields.level[name] for name in ("dst", "src"))
        kept = [e._replace(changes=tuple(c for c in e.changes if c != (src, OUTGOING))) for e in (was, now)]
        if kept != [was, now] and all(level != dst for e in kept for level, _ in e.changes):
            same = alike(self.space, self.fields, *kept)
            found = self.space.either(
                found, self.space.both(same, masqueraded_as_before(self.ground.kinds, was.interface or ""))
            )
        return found

    def _with_rules(self, found: Diagram, interfaces: Sequence[str]) -> Diagram:
        """The map with the rules that decide, told apart by them; as it is, where the budget does not do for that."""
        differing = self.space.where(found, bool)
        if differing == NO:
            return NO
        self.space.grant(0.5)
        try:
            named = self._sides(True)
            parts = [self._parted(name, named, self._told, differing) for name in interfaces]
        except TooLarge:
            return found
        return self.space.overlaid(parts)

    # -- both walks

    def _parted(self, name: str, sides: Sides, shown: Callable[[int, End], End], within: Diagram = YES) -> Diagram:
        """A map of the packets that come in by ``name`` to Apart; NO where both sides treat them alike."""
        space = self.space
        here = space.both(self.ground.kinds.value("iif", name), within)
        if here == NO or not self._narrow(bool(name), sides):
            return NO
        among = ANY if within == YES else Sent(here)
        ways = [space.both(here, side.ways_of(name, among)) for side in sides]
        old, new = (
            space.turned(way, lambda end, n=n: space.end(shown(n, end)) if end else NO)  # type: ignore[misc]
            for n, way in enumerate(ways)
        )
        return parted(space, old, new, len(self.fields.all))

    def _shown(self, side: int, end: End) -> End:
        """What shows of an end outside of the host."""
        by = self._called(side, end.accepted or end.by) if self.scope.deciders else None
        if end.way == UNDECIDED:
            # Two that were not analysed need not be alike, unless it is for the same target.
            return End(UNDECIDED, by=end.by or f"not analysed in {side}")
        if end.way not in ARRIVED:
            return End(end.way, by=by, answer=end.answer)
        return End(end.way, rewriting(self.fields, end), by, interface=_leaves(end))

    def _told(self, side: int, end: End) -> End:
        """What is told of an end."""
        arrived = end.way in ARRIVED
        return end._replace(changes=rewriting(self.fields, end) if arrived else (), interface=_leaves(end))

    def _called(self, side: int, by: Place | str | None) -> Place | str | None:
        """The deciding rule by a name that both sides have for it."""
        if side and isinstance(by, Place):
            same = self.same[by]
            return same if isinstance(same, Place) else str(same)
        return by

    # -- narrowed to what differs

    def _narrow(self, incoming: bool, sides: Sides) -> bool:
        """Have a hook tell only of packets that meet another treatment there, if all hooks before and behind it are the same
        on both sides; False: so are all hooks."""
        branches = BRANCHES[incoming]
        apart = {hook: self._apart_at(hook) for branch in branches for hook in branch}
        alone = [
            hook
            for hook in apart
            if all(apart[other] == NO for branch in branches if hook in branch for other in branch if other != hook)
        ]
        differing = {hook for hook, packets in apart.items() if packets != NO}
        enough = differing.issubset(alone)
        behind = {h for branch in branches for n, h in enumerate(branch) if not differing.isdisjoint(branch[:n])}
        for side, plain in zip(sides, self.sides, strict=True):
            for hook in (hook for hook in apart if hook not in alone):
                # What comes before makes no difference; behind, rules decide about packets that were treated differently.
                side.hooks[hook] = self._piece(plain if enough and hook not in behind else side, hook)
            if enough and side is not plain:
                side.conditions.within = self.space.union([self._needed(hook, apart[hook]) for hook in alone])
            for hook in alone:
                side.hooks[hook] = self._narrowed(side, hook, apart[hook])
        return bool(differing)

    def _needed(self, hook: Hook, differing: Diagram) -> Diagram:
        """The packets that rules are asked about at a narrowed hook, whatever tables have changed in them already."""
        chains = [ruleset.chain("nat", hook[0]) for ruleset in self.rulesets]
        names = CHANGING | set(NAT_FIELDS if any(chain and chain.rules for chain in chains) else ())
        levels = {level for level, field in enumerate(self.fields.all) if field.name.partition(":")[0] in names}
        return self.space.exists(differing, levels)

    def _narrowed(self, side: Analysis, hook: Hook, differing: Diagram) -> Piece:
        """A hook as it is for some packets; who the others are is settled before any table is asked, which keeps all small."""
        ways = self.ground.ways
        first = ways.choice(differing, ways.go_on, ways.ending(ALIKE))
        return reduce(ways.then, side.tables(*hook) if differing != NO else (), first)

    def _apart_at(self, hook: Hook) -> Diagram:
        """The packets, as they come to a hook, to which the two sides do something else there."""
        if hook not in self._apart:
            maps = [self._piece(side, hook).map for side in self.sides]
            if self.scope.deciders:
                maps = [self._with_common_names(n, found) for n, found in enumerate(maps)]
            found = parted(self.space, maps[0], maps[1], len(self.fields.all))
            self._apart[hook] = self.space.where(found, bool)
        return self._apart[hook]

    def _with_common_names(self, side: int, found: Diagram) -> Diagram:
        def common(end: End) -> Diagram:
            by, accepted = (self._called(side, name) for name in (end.by, end.accepted))
            return self.space.end(end._replace(by=by, accepted=accepted, nat=()))  # type: ignore[arg-type]

        return self.space.turned(found, common)

    def _piece(self, side: Analysis, hook: Hook) -> Piece:
        """All that happens at a hook."""
        if (side, hook) not in self._pieces:
            side.hooks.pop(hook, None)
            self._pieces[side, hook] = side.hook(*hook)
        return self._pieces[side, hook]

    # -- what is compared

    def _in_scope(self, interface: str) -> Diagram:
        """The packets that come in by ``interface`` and get to one of the hooks that are asked for, on either side."""
        wanted = self.scope.hooks
        if not wanted or (not interface and "OUTPUT" in wanted):
            return YES
        found = []
        for side, ruleset in zip(self.sides, self.rulesets, strict=True):
            marked = Analysis(ruleset, self.topology, ground=self.ground, same=side.conditions.same)
            for hook in {hook for branch in BRANCHES[bool(interface)] for hook in branch}:
                here = self.ground.ways.ending(End("dropped", by=hook[0])) if hook[0] in ("INPUT", "FORWARD") else None
                marked.hooks[hook] = here or self._piece(side, hook)
            found.append(self.space.where(marked.ways_of(interface), lambda end: end and end.by in wanted))
        return self.space.either(*found)


def _leaves(end: End) -> str | None:
    """The interface by which a packet leaves the host."""
    return None if end.way == "delivered-local" else end.interface
