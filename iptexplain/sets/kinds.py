"""Kinds of packets: the values of a field parted as far as a match can tell them apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

from iptexplain.host.topology import Topology
from iptexplain.rules.addresses import Network
from iptexplain.rules.answer import Answer
from iptexplain.rules.extension import Setting
from iptexplain.rules.matches.physdev import SOME_PORT
from iptexplain.rules.matches.tcp import FlagsUnderMask
from iptexplain.rules.values import Interval, Kind, Mark
from iptexplain.sets.boxes import at_point
from iptexplain.sets.fields import BITS_OF, Fields
from iptexplain.sets.members import members
from iptexplain.sets.places import Places
from iptexplain.sets.space import NO, YES, Diagram, Space
from iptexplain.walk.conntrack import KNOWN, TRACKED_PORTS
from iptexplain.walk.routing import way_back

Part = tuple[Diagram, Any]
"""Packets, and the value of the field that stands for theirs."""

SMALL = 1024
"""Up to how many values a field is asked value by value."""

SAME = {"ctproto": "proto", "ctreplsrc": "dst", "ctrepldst": "src", "ctreplsrcport": "dport", "ctrepldstport": "sport"}
"""Of a connection's first packet: its answers come from where it goes now."""

OTHER_ENDS = ("ctorig", "ctrepl")
"""How the fields begin that are a connection's ends."""

CONNECTION_PORTS = frozenset({"ctorigsrcport", "ctorigdstport", "ctreplsrcport", "ctrepldstport"})
INTERFACES = frozenset({"iif", "oif", "physin", "physout"})
APART: dict[str, tuple[str, ...]] = {**dict.fromkeys(INTERFACES, ("", SOME_PORT, "lo")), "mac_src": ("",)}
"""Values of large fields that a match may tell from all others without naming them."""

MENTIONED = frozenset({"sport", "dport", "icmp_type", "icmp_code"})
"""The fields for which a match may hold numbers in an option that names no field; it compares them, no more."""


class Kinds:
    """``topology`` answers for types of addresses, IP sets and ways back, as it does for one packet (walk/seen.py)."""

    def __init__(self, space: Space, fields: Fields, topology: Topology) -> None:
        self.space, self.fields, self.topology = space, fields, topology
        self.places = Places(topology)
        self._named: dict[tuple[str, type[Kind], Any], Diagram | None] = {}
        self._split: dict[str, list[Part]] = {}

    def number(self, name: str, number: int) -> Diagram:
        """The packets whose field ``name`` has this number."""
        return self.space.among(self.fields.level[name], [(number, number)])

    def value(self, name: str, value: Any) -> Diagram:
        """The packets whose field ``name`` has this value."""
        return self.number(name, self.fields.all[self.fields.level[name]].number(value))

    def one_of(self, name: str, values: Iterable[Any]) -> Diagram:
        """The packets whose field ``name`` has one of these values."""
        return self.space.union([self.value(name, value) for value in values])

    # -- one option

    def named(self, name: str, kind: Kind, value: Any) -> Diagram | None:
        """The packets whose field ``name`` is one of those that an option names; None: that is no set of numbers."""
        key = (name, type(kind), value)
        if key not in self._named:
            self._named[key] = self._bits(name, kind, value) if name in BITS_OF else self._numbers(name, kind, value)
        return self._named[key]

    def _bits(self, name: str, kind: Kind, value: Any) -> Diagram | None:
        levels = self.fields.bits(name)
        if isinstance(kind, Mark) and type(kind).contains is Mark.contains and name != "flags":
            if value.value & ~value.mask:
                return NO
            wanted = [(level, value.value >> n & 1) for n, level in enumerate(levels) if value.mask >> n & 1]
        elif isinstance(kind, FlagsUnderMask):
            mask, comp = value
            if not set(comp) <= set(mask):
                return NO
            named = zip(BITS_OF[name], levels, strict=True)
            wanted = [(level, int(flag in comp)) for flag, level in named if flag in mask]
        else:
            return None
        return at_point(self.space, dict(wanted))

    def _numbers(self, name: str, kind: Kind, value: Any) -> Diagram | None:
        level = self.fields.level.get(name)
        if level is None:
            return None
        field = self.fields.all[level]
        if field.top < SMALL:
            return self.space.among(
                level, _runs(n for n in range(field.top + 1) if kind.contains(value, field.value(n)))
            )
        if type(kind).contains is Kind.contains:
            return self.number(name, field.number(value))
        if isinstance(value, Network) and value.prefix is None:
            return self._scattered(level, value)
        intervals = _intervals(kind, value)
        return None if intervals is None else self.space.among(level, _clipped(intervals, field.top))

    def _scattered(self, level: int, network: Network) -> Diagram | None:
        """The addresses under a mask that is no prefix, unless it leaves too many ranges."""
        free = network.mask ^ self.places.top
        low_bits = (~network.mask & network.mask - 1).bit_length()
        holes = [n for n in range(low_bits, free.bit_length()) if free >> n & 1]
        if 1 << len(holes) > SMALL or network.number & free:
            return None
        starts = sorted(sum(1 << b for i, b in enumerate(holes) if n >> i & 1) for n in range(1 << len(holes)))
        size = (1 << low_bits) - 1
        return self.space.among(level, [(network.number | s, network.number | s | size) for s in starts])

    # -- what a match may ask

    def parts(self, name: str, settings: Sequence[Setting], fields: Mapping[str, Any]) -> list[Part]:
        """The packets by their field ``name``, as far as a match with these settings, which has read ``fields``, tells apart."""
        if name.startswith(OTHER_ENDS):
            inner = self._by_connection(name, settings, fields)
            return [(self.rewritten, Answer.UNKNOWN), *((self.space.minus(p, self.rewritten), v) for p, v in inner)]
        return self._parts(name, settings, fields)

    @cached_property
    def known(self) -> Diagram:
        """The packets of connections that conntrack knows."""
        return self.one_of("ctstate", KNOWN)

    @cached_property
    def rewritten(self) -> Diagram:
        """Those of them that are answers, or that NAT rewrites: whose connection's ends do not follow from their own."""
        levels = [self.fields.level[name] for name in ("ctdir", "ctstatus:SNAT", "ctstatus:DNAT")]
        return self.space.both(self.known, self.space.union([self.space.among(level, [(1, 1)]) for level in levels]))

    def _by_connection(self, name: str, settings: Sequence[Setting], fields: Mapping[str, Any]) -> list[Part]:
        if name in CONNECTION_PORTS:
            proto = self.fields.level["proto"]
            kind = self.fields.all[proto]
            tracked = self.space.among(proto, _runs(sorted(kind.number(p) for p in TRACKED_PORTS)))
            inner = self._parts(name, settings, fields)
            return [
                (self.space.complement(tracked), Answer.UNKNOWN),
                *((self.space.both(tracked, p), v) for p, v in inner),
            ]
        return self._parts(name, settings, fields)

    def _parts(self, name: str, settings: Sequence[Setting], fields: Mapping[str, Any]) -> list[Part]:
        real = SAME.get(name, name)
        if name == "ctdir":
            reply = self.space.both(self.known, self.value("ctdir", "REPLY"))
            return [(reply, "REPLY"), (self.space.complement(reply), "ORIGINAL")]
        if real not in self.fields.level and real not in BITS_OF:
            return self._of_host(name, fields)
        sets = self._told_apart(name, real, settings)
        if sets is None:
            return self._each(real)
        sets += [self.value(real, value) for value in APART.get(real, ())]
        parts = [YES]
        for one in sets:
            parts = [piece for part in parts for piece in (self.space.both(part, one), self.space.minus(part, one))]
            parts = [part for part in parts if part != NO]
        return [(part, self.fields.value(real, self.space.pick(part) or {})) for part in parts]

    def _told_apart(self, name: str, real: str, settings: Sequence[Setting]) -> list[Diagram] | None:
        """The sets of values that the options name; None where one of them is no set, or every value can be looked at."""
        sets: list[Diagram] = []
        small = real in self.fields.level and self.fields.all[self.fields.level[real]].top < SMALL
        if small and real not in MENTIONED | INTERFACES:
            return None
        for setting in settings:
            option = setting.option
            if option.field == name and option.kind is not None:
                found = self.named(real, option.kind, setting.value)
                if found is None:
                    return None
                sets.append(found)
            elif option.field is None and real in MENTIONED:
                top = self.fields.all[self.fields.level[real]].top
                sets += [
                    self.space.among(self.fields.level[real], [(0, n)]) for n in _mentioned(setting.value) if n <= top
                ]
                sets += [
                    self.space.among(self.fields.level[real], [(0, n - 1)])
                    for n in _mentioned(setting.value)
                    if 0 < n <= top
                ]
        return sets or None

    def _each(self, name: str) -> list[Part]:
        """Value by value, where there are few."""
        if name in ("flags", "ctstatus"):
            levels = self.fields.bits(name)
            points = [
                dict(zip(levels, (n >> i & 1 for i in range(len(levels))), strict=True))
                for n in range(1 << len(levels))
            ]
            return [(at_point(self.space, point), self.fields.value(name, point)) for point in points]
        if name in BITS_OF or self.fields.all[self.fields.level[name]].top >= SMALL:
            return [(YES, Answer.UNKNOWN)]
        field = self.fields.all[self.fields.level[name]]
        return [(self.number(name, n), field.value(n)) for n in range(field.top + 1)]

    # -- what the host knows

    def _of_host(self, name: str, fields: Mapping[str, Any]) -> list[Part]:
        kind, _, interface = name.partition("@")
        if kind in ("src_type", "dst_type"):
            if interface:
                return self.by_address(name, kind[:3], lambda a: self.topology.type_at(a, interface) or Answer.UNKNOWN)
            return self.by_address(name, kind[:3], self.topology.address_type)
        if name.startswith("set:"):
            _, title, sides = name.split(":", 2)
            inside = members(
                self.space, self.fields, self.topology.ipsets, self.topology.family, title, sides.split(",")
            )
            return (
                [(YES, Answer.UNKNOWN)] if inside is None else [(inside, True), (self.space.complement(inside), False)]
            )
        if name.startswith("way_back:") and self.topology.known_addresses and self.topology.routes:
            return self._way_back(name)
        return [(YES, Answer.UNKNOWN)]

    def by_address(self, name: str, side: str, answer: Callable[[Any], Any]) -> list[Part]:
        """The packets by what ``answer`` says of their address (src or dst); remembered under ``name``."""
        return self._by(self.places.split, name, side, answer)

    def by_route(self, name: str, side: str, answer: Callable[[Any], Any]) -> list[Part]:
        """The same for an answer that hangs on nothing but routing: asked for each of a host's many interfaces it costs less."""
        return self._by(self.places.routed, name, side, answer)

    def _by(self, split: Callable[[Any], Any], name: str, side: str, answer: Callable[[Any], Any]) -> list[Part]:
        if name not in self._split:
            level, found = self.fields.level[side], split(answer)
            self._split[name] = [(self.space.among(level, intervals), value) for value, intervals in found.items()]
        return self._split[name]

    def _way_back(self, name: str) -> list[Part]:
        parts: list[Part] = []
        for number, interface in enumerate(self.fields.interfaces.names):
            came_in = self.number("iif", number)
            for part, value in self.by_address(
                f"{name}@{interface}", "src",
                lambda a, i=interface: way_back(self.topology, a, i, "loose" in name, "local" in name),  # type: ignore[misc]
            ):  # fmt: skip
                parts.append((self.space.both(came_in, part), value))
        return [(self.space.union([p for p, v in parts if v is truth]), truth) for truth in (True, False)]


def _intervals(kind: Kind, value: Any) -> Iterable[Interval] | None:
    """``as_set``, when it is of the same class as ``contains`` or of one derived from it: else it speaks of something else."""
    order = type(kind).__mro__
    definers = [next(i for i, c in enumerate(order) if name in vars(c)) for name in ("as_set", "contains")]
    if definers[0] > definers[1] or order[definers[0]] is Kind:
        return None
    return kind.as_set(value)


def _clipped(intervals: Iterable[Interval], top: int) -> list[Interval]:
    return [(low, min(high, top)) for low, high in intervals if low <= top]


def _runs(numbers: Iterable[int]) -> list[Interval]:
    """Sorted numbers as intervals."""
    runs: list[Interval] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def _mentioned(value: Any) -> Iterator[int]:
    """All numbers in a value of tuples."""
    if isinstance(value, tuple):
        for one in value:
            yield from _mentioned(one)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value
