"""Whether a wish is fulfilled: the rules that came of it are asked about all packets that it is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

from iptexplain.explain.difference import SECONDS
from iptexplain.explain.ranges import said_ranges
from iptexplain.explain.situation import ARRIVED, Situation, decider, is_strange, verdict
from iptexplain.generate.asked import Asked, Packets
from iptexplain.rules.addresses import Network, NetworkKind
from iptexplain.rules.model import Jump, Place, Ruleset
from iptexplain.sets.analyse import Analysis, Sent
from iptexplain.sets.boxes import split
from iptexplain.sets.change import Changes, substituted
from iptexplain.sets.example import FIRST
from iptexplain.sets.ground import LIMIT, Ground
from iptexplain.sets.ordinary import STRANGE, Ordinary
from iptexplain.sets.reach import FATES
from iptexplain.sets.space import NO, YES, Diagram, TooLarge
from iptexplain.sets.spelling import Spelled
from iptexplain.sets.ways import UNDECIDED, End
from iptexplain.walk.conntrack import PINGS, opening
from iptexplain.walk.outcome import Trace
from iptexplain.walk.packet import Packet
from iptexplain.walk.trace import trace

ANSWER = FIRST | {"ctstate": "ESTABLISHED", "ctdir": "REPLY", "flags": frozenset({"SYN", "ACK"})}
"""What the first answers have where first packets have FIRST."""

SHOWN = 6
"""How many lines of packets are told of one rule that is in a wish's way."""


class Missed(NamedTuple):
    """Packets that fare otherwise than was asked for, all by one rule.

    ``fate``: accepted, dropped, rejected, or ``elsewhere`` (they arrive, but not where they were sent); ``by``: the rule, policy or
    kernel's reason; ``perhaps``: the rules on whose conditions, which no dump shows, it hangs; ``lines``: which packets they are,
    and how many ``more`` lines there are; ``example``: one of them, and the ``way`` that a trace followed it.
    """

    asked: Asked
    fate: str
    by: Place | str | None
    perhaps: tuple[Place, ...]
    lines: list[list[Spelled]]
    more: int
    example: dict[str, Any]
    way: Trace

    @property
    def is_confirmed(self) -> bool:
        """Whether the trace says the same of the example."""
        return verdict(self.way) == {"elsewhere": "accepted"}.get(self.fate, self.fate)

    @property
    def visited(self) -> set[str]:
        """The chains that the example comes to."""
        return {s.place.chain for s in self.way.steps} | {
            s.rule.target.chain for s in self.way.steps if s.rule and isinstance(s.rule.target, Jump)
        }


class Fulfilment(NamedTuple):
    """``found``: what is not as was asked for, or perhaps not; ``decided``: whether all could be worked out; ``hidden``: the bridges
    of which nobody knows the addresses, so that no packet to or from them could be asked about."""

    found: tuple[Missed, ...]
    decided: bool
    hidden: tuple[str, ...] = ()

    @property
    def missed(self) -> list[Missed]:
        return [one for one in self.found if not one.asked.noted]

    @property
    def noted(self) -> list[Missed]:
        return [one for one in self.found if one.asked.noted]


def fulfilment(result: Situation, wishes: Sequence[Asked]) -> Fulfilment:
    """Ask the rules with the new ones (``result``) about everything that was wished for.

    Where another backend holds rules, too, what is to arrive must pass them as well.
    """
    halves = [(result.ruleset, wishes)]
    if result.half:
        halves.append((result.half.ruleset, [asked for asked in wishes if asked.arrives]))
    try:
        found = [m for ruleset, some in halves if some for m in _Asker(result, ruleset, some).all()]
    except TooLarge:
        return Fulfilment((), False)
    once = {(m.asked.name, *sorted(m.asked.values.items()), m.by, m.fate): m for m in reversed(found)}
    return Fulfilment(tuple(reversed(once.values())), True, _hidden(result, wishes))


def _hidden(result: Situation, wishes: Sequence[Asked]) -> tuple[str, ...]:
    if result.topology.known_addresses:  # then a bridge without any has none, and no packet gets there
        return ()
    known = {"", None, *(route.interface for route in result.topology.routes)}
    asked = [name for w in wishes for name in (*(w.packets.interfaces or ()), w.landing.interface) if not w.noted]
    return tuple(dict.fromkeys(name for name in asked if name is not None and name not in known))


class _Asker:
    """``ruleset``: the half of ``result`` that is asked."""

    def __init__(self, result: Situation, ruleset: Ruleset, wishes: Sequence[Asked]) -> None:
        self.result, self.wishes, self.topology = result, wishes, result.topology
        ground = Ground([ruleset], self.topology, LIMIT, SECONDS)
        self.space, self.kinds, self.fields = ground.space, ground.kinds, ground.fields
        self.ordinary = Ordinary(ground)
        self.analysis = Analysis(ruleset, self.topology, ground=ground)
        self.analysis.narrow(self.space.union([self._meant(asked.packets) for asked in wishes]))

    def all(self) -> Iterator[Missed]:
        return (missed for asked in self.wishes for missed in self.missed(asked))

    # -- which packets

    def _meant(self, packets: Packets) -> Diagram:
        """The packets, whatever is the same in all first packets, or in all answers."""
        space, level = self.space, self.fields.level
        every = [name for name in self.analysis.interfaces if name != "lo"]
        parts = [self.kinds.one_of("iif", every if packets.interfaces is None else packets.interfaces)]
        for name, addresses in (("src", packets.src), ("dst", packets.dst)):
            if addresses is not None:
                parts.append(space.among(level[name], addresses))
        if packets.to_host:
            own = self.kinds.by_address("own", "dst", lambda a: self.topology.address_type(a) == "LOCAL")
            parts.append(space.union([part for part, is_own in own if is_own]))
        if packets.proto:
            parts.append(self.kinds.value("proto", packets.proto))
        if packets.port:
            parts.append(self.kinds.number(*packets.port))
        parts += [space.complement(self._from(network)) for network in packets.but_from]
        parts += [space.complement(self._impossible(proto, packets.answers)) for proto in PINGS]
        parts += [space.complement(self._meant(others)) for others in packets.but]
        return reduce(space.both, parts, YES)

    def _impossible(self, proto: str, answers: bool) -> Diagram:
        """Messages that open no connection, or answer none: such as errors."""
        pings = PINGS[proto].values() if answers else PINGS[proto]
        told = self.space.union([self.kinds.number("icmp_type", number) for number in pings])
        return self.space.minus(self.kinds.value("proto", proto), told)

    def _from(self, network: Network) -> Diagram:
        found = self.kinds.named("src", NetworkKind(), network)
        if found is None:
            raise TooLarge(f"{network} has too many ranges")
        return found

    def _ways(self, meant: Diagram, fixed: Changes) -> Diagram:
        """A map of the packets to their Ends."""
        space, found = self.space, []
        for name in self.analysis.interfaces:
            here = space.both(self.kinds.value("iif", name), meant)
            if here != NO:
                ways = self.analysis.ways_of(name, Sent(here, fixed))
                found.append(space.both(here, substituted(space, ways, fixed, NO)))
        return space.overlaid(found)

    # -- what becomes of them

    def missed(self, asked: Asked) -> Iterator[Missed]:
        """What is not as it was asked for, by the rules that decide."""
        ways = self._ways(self._meant(asked.packets), self._fixed(asked))
        right, wrong = self._sorted(ways, asked)
        variables = frozenset(self.analysis.conditions.variables)
        fine = self.space.exists(self.space.union(right), variables)
        for (fate, by), packets in wrong.items():
            whole = self.space.exists(packets, variables)
            sure = self.space.minus(whole, fine)
            if asked.packets.answers:
                yield from self._unanswered(asked, whole)
            elif whole != NO:
                hinges = self._hinges(packets) if sure == NO else ()
                yield from self._told(asked, fate, by, hinges, sure if sure != NO else whole)
        if asked.arrives and not asked.packets.answers:
            for packets in right:
                yield from self._unanswered(asked, self.space.exists(packets, variables))

    def _fixed(self, asked: Asked) -> Changes:
        return tuple(sorted(self.fields.point(ANSWER if asked.packets.answers else FIRST).items()))

    def _sorted(
        self, ways: Diagram, asked: Asked
    ) -> tuple[list[Diagram], dict[tuple[str, Place | str | None], Diagram]]:
        """The packets that fare as they should, by their Ends, and those that do not, by fate and rule. What was not analysed is both."""
        right: list[Diagram] = []
        wrong: dict[tuple[str, Place | str | None], Diagram] = {}
        for node, packets in split(self.space, ways).items():
            end: End = self.space.values[node]
            there = self.space.both(packets, self._landed(end, asked))
            for part, arrives in ((there, True), (self.space.minus(packets, there), False)):
                if part != NO and (arrives is asked.arrives or end.way == UNDECIDED):
                    right.append(part)
                if part != NO and arrives is not asked.arrives:
                    key = _fate(end, arrives)
                    wrong[key] = self.space.either(wrong.get(key, NO), part)
        return right, wrong

    def _landed(self, end: End, asked: Asked) -> Diagram:
        """The packets that arrive with this End where the wish is about."""
        where, addresses = asked.landing
        new = dict(end.changes).get(self.fields.level["dst"])
        if end.way != ("forwarded" if where != "" else "delivered-local") or (where and where != end.interface):
            return NO
        if new is None:
            return YES if addresses is None else self.space.among(self.fields.level["dst"], addresses)
        if asked.arrives or where == "":
            return NO
        is_there = addresses is None or not isinstance(new, int) or any(low <= new <= high for low, high in addresses)
        return YES if is_there else NO

    def _hinges(self, packets: Diagram) -> tuple[Place, ...]:
        """The rules whose open conditions a set asks."""
        variables = self.analysis.conditions.variables
        levels = {self.space.level[node] for node in self.space.reachable(packets)}
        return tuple(
            sorted({variables[level][0] for level in levels if level in variables}, key=lambda place: place.line)
        )

    # -- as it is told

    def _told(
        self, asked: Asked, fate: str, by: Place | str | None, perhaps: tuple[Place, ...], packets: Diagram
    ) -> Iterator[Missed]:
        lines = sorted(self.ordinary.lines(self._blurred(packets)), key=lambda line: line.rank)
        if asked.noted and lines[0].rank == STRANGE:
            return
        lines = [line for line in lines if line.rank != STRANGE] or lines
        told = [said_ranges(self.ordinary, line) for line in lines[:SHOWN]]
        example = self._example(self.space.both(lines[0].packets, packets))
        yield Missed(asked, fate, by, perhaps, told, len(lines) - SHOWN, example, self._trace(example))

    def _blurred(self, packets: Diagram) -> Diagram:
        """The packets, with messages that nobody sends where this is shorter to say."""
        whole = self.space.exists(packets, {self.fields.level["icmp_type"]})
        unsent = self.space.union([self._impossible(proto, answers=False) for proto in PINGS])
        return whole if self.space.minus(whole, unsent) == packets else packets

    def _example(self, packets: Diagram) -> dict[str, Any]:
        """One of the packets, best not one to a loopback address, which would be a strange example."""
        near = [a.address.number for a in self.topology.addresses if a.interface != "lo"]
        usual = self.space.both(
            packets, self.space.among(self.fields.level["dst"], [(n, n) for n in sorted(set(near))])
        )
        return self.ordinary.example(usual if usual != NO else packets)

    def _unanswered(self, asked: Asked, packets: Diagram) -> Iterator[Missed]:
        """The answer to one of the packets (or to what one of the packets answers), if it does not get back. Conntrack gives it other
        addresses than these rules let see, so a trace decides."""
        if packets == NO:
            return
        first = self.ordinary.example(packets)
        if asked.packets.answers:
            turned = {"src": first["dst"], "dst": first["src"], "proto": first["proto"], "iif": asked.landing.interface}
            ports = {new: first[old] for new, old in (("sport", "dport"), ("dport", "sport")) if old in first}
            first = opening(turned | ports)
        way = self._trace(first)
        back = self.result.answer_to(way)
        if back is None or verdict(way) != "accepted" or (verdict(back) == "accepted" and not is_strange(way, back)):
            return
        by = back.outcome.by if isinstance(back.outcome.by, str) else decider(back)
        ends = ("bridge", "other") if asked.packets.answers else ("other", "bridge")
        asked = asked._replace(
            name="answers", values=dict(zip(("bridge", "other"), (asked.values[e] for e in ends), strict=True))
        )
        fate = "elsewhere" if back.outcome.kind in ARRIVED else verdict(back)
        perhaps = tuple(u.place for u in back.unknowns) if fate == "unknown" else ()
        yield Missed(asked, fate, by, perhaps, [], 0, dict(back.packet.fields), back)

    def _trace(self, packet: Mapping[str, Any]) -> Trace:
        return trace(self.result.ruleset, self.topology, Packet(dict(packet)), beside=self.result.beside)


def _fate(end: End, arrives: bool) -> tuple[str, Place | str | None]:
    """What becomes of packets, and by which rule."""
    if end.way not in ARRIVED:
        return FATES[end.way], end.by
    return ("accepted", end.accepted) if arrives else ("elsewhere", end.nat[0] if end.nat else end.accepted)
