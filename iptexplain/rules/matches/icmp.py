"""-m icmp"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import no_form
from iptexplain.rules.values import Family, Kind, Number


class IcmpType(NamedTuple):
    """An ICMP type, and the one code that is meant; without a code, all of them."""

    type: int
    code: int | None = None


class IcmpTypeKind(Kind):
    """``TYPE[/CODE]`` in numbers, or one of ``names`` in capitals or not, which may be shortened while it is clear."""

    _byte = Number(0, 255)

    def __init__(self, names: Mapping[str, IcmpType]) -> None:
        self.names = names

    def parse(self, text: str, family: Family) -> IcmpType:
        if text[:1].isdecimal():
            kind, slash, code = text.partition("/")
            return IcmpType(self._byte.parse(kind, family), self._byte.parse(code, family) if slash else None)
        found = [name for name in self.names if name.lower().startswith(text.lower())]
        if not found or not text:
            raise OptionError(f"unknown ICMP type '{text}'")
        if len(found) > 1:
            raise OptionError(f"'{text}' is short for more than one ICMP type: {', '.join(found)}")
        return self.names[found[0]]

    def save(self, value: IcmpType) -> str:
        return str(value.type) if value.code is None else f"{value.type}/{value.code}"

    def name(self, value: IcmpType) -> str | None:
        """The name of a type, or None when it has none."""
        return next((name for name, named in self.names.items() if named == value), None)


ANY = IcmpType(255)
NAMES = {
    "any": ANY,
    "echo-reply": IcmpType(0), "pong": IcmpType(0),
    "destination-unreachable": IcmpType(3),
    "network-unreachable": IcmpType(3, 0), "host-unreachable": IcmpType(3, 1), "protocol-unreachable": IcmpType(3, 2),
    "port-unreachable": IcmpType(3, 3), "fragmentation-needed": IcmpType(3, 4), "source-route-failed": IcmpType(3, 5),
    "network-unknown": IcmpType(3, 6), "host-unknown": IcmpType(3, 7), "network-prohibited": IcmpType(3, 9),
    "host-prohibited": IcmpType(3, 10), "TOS-network-unreachable": IcmpType(3, 11),
    "TOS-host-unreachable": IcmpType(3, 12), "communication-prohibited": IcmpType(3, 13),
    "host-precedence-violation": IcmpType(3, 14), "precedence-cutoff": IcmpType(3, 15),
    "source-quench": IcmpType(4),
    "redirect": IcmpType(5), "network-redirect": IcmpType(5, 0), "host-redirect": IcmpType(5, 1),
    "TOS-network-redirect": IcmpType(5, 2), "TOS-host-redirect": IcmpType(5, 3),
    "echo-request": IcmpType(8), "ping": IcmpType(8),
    "router-advertisement": IcmpType(9), "router-solicitation": IcmpType(10),
    "time-exceeded": IcmpType(11), "ttl-exceeded": IcmpType(11),
    "ttl-zero-during-transit": IcmpType(11, 0), "ttl-zero-during-reassembly": IcmpType(11, 1),
    "parameter-problem": IcmpType(12), "ip-header-bad": IcmpType(12, 0), "required-option-missing": IcmpType(12, 1),
    "timestamp-request": IcmpType(13), "timestamp-reply": IcmpType(14),
    "address-mask-request": IcmpType(17), "address-mask-reply": IcmpType(18),
}  # fmt: skip


class AnyIcmpTypeKind(IcmpTypeKind):
    """An ICMP type of IPv4; 255 stands for any, whatever its code."""

    def parse(self, text: str, family: Family) -> IcmpType:
        value = super().parse(text, family)
        return ANY if value.type == 255 else value

    def save(self, value: IcmpType) -> str:
        return "any" if value == ANY else super().save(value)


class IcmpMatch(Match):
    """What -m icmp and -m icmp6 have in common."""

    reads_header = True
    kind: ClassVar[IcmpTypeKind]
    any_type: ClassVar[IcmpType | None] = None
    """The type that stands for all of them."""

    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> list[str]:
        """A type with a code is compared as one, so that ``!`` refuses both together."""
        wanted: IcmpType = self.settings[0].value
        sign, called = "!= " if self.settings[0].inverted else "", "icmp" if family == 4 else "icmpv6"
        if wanted == self.any_type:
            if sign:
                raise no_form("! --icmp-type any, which no packet meets")
            return [""]
        if wanted.code is None:
            return [f"{called} type {sign}{wanted.type}"]
        return [f"{called} type . {called} code {sign}{{ {wanted.type} . {wanted.code} }}"]

    @property
    def type_name(self) -> str | None:
        """What iptables calls the message."""
        return self.kind.name(self.settings[0].value)

    def holds(self, setting: Setting, packet: Packet) -> Answer:
        wanted: IcmpType = setting.value
        result = Answer.YES
        if wanted != self.any_type:
            for number, field in ((wanted.type, "icmp_type"), (wanted.code, "icmp_code")):
                if number is not None:
                    actual = packet.field(field)
                    result &= Answer.UNKNOWN if actual is Answer.UNKNOWN else Answer.of(actual == number)
        return ~result if setting.inverted else result


class Icmp(IcmpMatch):
    """The type of an ICMP message, by number or name, and its code; loaded by ``-p icmp`` itself.

    A type without a code stands for all of its codes, ``any`` (255) for all types. Fragments after the first carry no
    ICMP header: they never match (net/ipv4/netfilter/ip_tables.c).
    """

    name = "icmp"
    kind = AnyIcmpTypeKind(NAMES)
    any_type = ANY
    families = (4,)
    protocols = frozenset({"icmp"})
    options = (Option("--icmp-type", kind, invert=True, required=True),)
    __slots__ = ()
