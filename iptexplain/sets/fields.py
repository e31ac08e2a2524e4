"""What a packet is to the diagrams: which field lies on which level, and how its values are numbered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from iptexplain.host.topology import Topology
from iptexplain.rules.addresses import BITS, Address
from iptexplain.rules.matches.conntrack import STATES
from iptexplain.rules.matches.physdev import SOME_PORT
from iptexplain.rules.model import Ruleset
from iptexplain.rules.parameters import PROTOCOLS
from iptexplain.rules.values import InterfaceName

ANOTHER = "…"
"""What the name of an interface that nobody named ends in."""

REWRITTEN = "rewritten"
"""Not a packet's own: whether NAT has given it another destination address."""

NAT_FIELDS = ("src", "sport", "dst", "dport")
"""What NAT rewrites."""

TCP_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
STATUS = ("SNAT", "DNAT", "CONFIRMED")
MARK_BITS = 32
MARKS = ("mark", "connmark")
BITS_OF: dict[str, tuple[str, ...]] = {
    "flags": TCP_FLAGS,
    "ctstatus": STATUS,
    "mark": tuple(str(n) for n in range(MARK_BITS)),
    "connmark": tuple(str(n) for n in range(MARK_BITS)),
}
"""The fields that have a level for each of their bits, and the names of those; of a mark from the lowest bit on."""


class Field(NamedTuple):
    """One level: its name, the greatest number, the number of a value and the value of a number."""

    name: str
    top: int
    number: Callable[[Any], int]
    value: Callable[[int], Any]


def _numbers(name: str, top: int) -> Field:
    return Field(name, top, int, int)


def _words(name: str, words: Sequence[Any]) -> Field:
    return Field(name, len(words) - 1, {word: n for n, word in enumerate(words)}.__getitem__, words.__getitem__)


_PROTOCOL_NUMBERS = {name: number for number, name in PROTOCOLS.items()}


def _protocol_number(name: str) -> int:
    return _PROTOCOL_NUMBERS[name] if name in _PROTOCOL_NUMBERS else int(name)


def _mac_number(mac: str) -> int:
    """A packet without an Ethernet header has the empty address, and number 0."""
    return int(mac.replace(":", ""), 16) + 1 if mac else 0


def _mac_of(number: int) -> str:
    return (number - 1).to_bytes(6, "big").hex(":") if number else ""


class Interfaces:
    """The names that rules and host know, "" for none, SOME_PORT, and for all others one name under each ``+`` wildcard."""

    def __init__(self, names: Iterable[str]) -> None:
        known = sorted(set(names) - {"", SOME_PORT})
        self.prefixes = sorted({name[:-1] for name in known if name.endswith("+")} | {""}, key=len, reverse=True)
        self.names = ["", SOME_PORT, *(n for n in known if not n.endswith("+"))]
        self.names += [prefix + ANOTHER for prefix in reversed(self.prefixes)]
        self._numbers = {name: n for n, name in enumerate(self.names)}

    def number(self, name: str) -> int:
        if name in self._numbers:
            return self._numbers[name]
        return self._numbers[next(p for p in self.prefixes if name.startswith(p)) + ANOTHER]

    def field(self, name: str) -> Field:
        return Field(name, len(self.names) - 1, self.number, self.names.__getitem__)


def named_interfaces(rulesets: Iterable[Ruleset], topology: Topology) -> Iterator[str]:
    """Every interface that a rule or the host has a name for."""
    for ruleset in rulesets:
        for table in ruleset.tables.values():
            for rule in table.rules():
                for match in rule.conditions():
                    yield from (s.value for s in match.settings if isinstance(s.option.kind, InterfaceName))
    yield "lo"
    yield from (a.interface for a in topology.addresses)
    yield from (r.interface for r in topology.routes)
    yield from topology.bridges
    yield from (e.interface for e in topology.endpoints)
    yield from (e.port for e in topology.endpoints if e.port)
    yield from topology.ports
    for found in topology.ipsets.sets.values():
        yield from (
            part for e in found.elements for d, part in zip(found.dimensions, e.parts, strict=False) if d == "iface"
        )


class Fields:
    """All levels in their order. What many rules speak of stands above; interfaces or states on top would cost ten times as much.

    The bits of both marks stand pair by pair: rules copy one mark to the other, and whether two numbers are equal costs
    nothing so, and everything when one stands below the other.
    """

    def __init__(self, rulesets: Iterable[Ruleset], topology: Topology) -> None:
        family = topology.family
        interfaces = Interfaces(named_interfaces(rulesets, topology))
        widest = (1 << BITS[family]) - 1

        def address(name: str) -> Field:
            return Field(name, widest, lambda a: int(a.number), lambda n: Address(family, n))

        self.interfaces = interfaces
        self.all = [
            Field("proto", 255, _protocol_number, lambda n: PROTOCOLS.get(n, str(n)) if n else "0"),
            address("dst"), address("ctorigdst"), _numbers("dport", 65535), _numbers("ctorigdstport", 65535),
            address("src"), address("ctorigsrc"),
            *(interfaces.field(name) for name in ("oif", "iif", "physin", "physout")),
            _words("ctstate", STATES), _words("ctdir", ("ORIGINAL", "REPLY")),
            _numbers("sport", 65535), _numbers("ctorigsrcport", 65535),
            _numbers("icmp_type", 255), _numbers("icmp_code", 255), _words("fragment", (False, True)),
            _words("pkttype", ("unicast", "broadcast", "multicast", "otherhost")), _words("tracked", (False, True)), _words(REWRITTEN, (False, True)),
            _numbers("length", 65535), _numbers("ttl", 255), _numbers("tos", 255),
            Field("mac_src", 1 << 48, _mac_number, _mac_of),
            *(_numbers(f"{name}:{bit}", 1) for name in ("flags", "ctstatus") for bit in BITS_OF[name]),
            *(_numbers(f"{name}:{bit}", 1) for bit in BITS_OF["mark"] for name in MARKS),
        ]  # fmt: skip
        self.level = {field.name: level for level, field in enumerate(self.all)}

    @property
    def tops(self) -> list[int]:
        return [field.top for field in self.all]

    def bits(self, name: str) -> list[int]:
        """The levels of a field that is taken bit by bit."""
        return [self.level[f"{name}:{bit}"] for bit in BITS_OF[name]]

    def point(self, packet: Mapping[str, Any]) -> dict[int, int]:
        """A packet's fields as level → number; fields without a level are left out."""
        point: dict[int, int] = {}
        for name, value in packet.items():
            if name in BITS_OF:
                point.update(zip(self.bits(name), bits_of(name, value), strict=True))
            elif name in self.level:
                point[self.level[name]] = self.all[self.level[name]].number(value)
        return point

    def value(self, name: str, point: Mapping[int, int]) -> Any:
        """A field's value at a point; where the point says nothing, that of 0."""
        if name not in BITS_OF:
            level = self.level[name]
            return self.all[level].value(point.get(level, 0))
        bits = [point.get(level, 0) for level in self.bits(name)]
        if name in MARKS:
            return sum(bit << n for n, bit in enumerate(bits))
        names = [bit for bit, on in zip(BITS_OF[name], bits, strict=True) if on]
        return frozenset(names) if name == "flags" else ",".join(names) or "NONE"


def bits_of(name: str, value: Any) -> list[int]:
    """The bits of a mark, of a set of flags or of a connection's status."""
    if isinstance(value, int):
        return [value >> n & 1 for n in range(MARK_BITS)]
    words = value.split(",") if isinstance(value, str) else value
    return [int(bit in words) for bit in BITS_OF[name]]
