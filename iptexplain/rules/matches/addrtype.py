"""-m addrtype"""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import no_form, spelled_set
from iptexplain.rules.values import Family, Kind, ShortFlags

TYPES = (
    "UNSPEC", "UNICAST", "LOCAL", "BROADCAST", "ANYCAST", "MULTICAST",
    "BLACKHOLE", "UNREACHABLE", "PROHIBIT", "THROW", "NAT", "XRESOLVE",
)  # fmt: skip
BY_ROUTE = frozenset({"LOCAL", "ANYCAST", "UNREACHABLE"})
"""In IPv6 the kernel looks for a route to tell these; the other types show in the address itself."""
IPV6_TYPES = BY_ROUTE | {"UNSPEC", "UNICAST", "MULTICAST"}

IN_NFT = {4: frozenset(TYPES[:9]), 6: frozenset({"LOCAL"})}
"""The types that nft's fib expression tells in the same way."""


class Types(NamedTuple):
    """The address types that an option lists."""

    family: Family
    names: tuple[str, ...]


class TypesKind(Kind):
    """A comma list of address types, each of which may be shortened. IPv4: any of them; IPv6: see Addrtype."""

    _names = ShortFlags(*TYPES)

    def parse(self, text: str, family: Family) -> Types:
        names = self._names.parse(text, family)
        if family == 6:
            for name in names:
                if name not in IPV6_TYPES:
                    raise OptionError(f"there is no address type {name} in IPv6")
        return Types(family, names)

    def save(self, value: Types) -> str:
        return self._names.save(value.names)

    def contains(self, value: Types, actual: str) -> bool:
        if value.family == 4:
            return actual in value.names
        shown = {actual, "UNICAST"} if actual in BY_ROUTE else {actual}
        by_route = BY_ROUTE.intersection(value.names)
        return shown.issuperset(set(value.names) - by_route) and (not by_route or actual in by_route)


class Addrtype(Match):
    """What kind of address the source or destination is, seen from this host's routing table.

    LOCAL is an address of this host, on whichever interface; UNICAST is any address that belongs to somebody else (in
    IPv6 to one machine, this host or another); BROADCAST, MULTICAST and ANYCAST are what their names say. Of several
    types in IPv4 one must fit. In IPv6, UNSPEC, UNICAST and MULTICAST must all fit, and of LOCAL, ANYCAST and
    UNREACHABLE one; the other types do not exist there. With ``--limit-iface-in`` or ``--limit-iface-out`` only
    addresses of the interface that the packet comes in or leaves by count as LOCAL or BROADCAST, all others are UNICAST
    (net/netfilter/xt_addrtype.c, inet_dev_addr_type).
    """

    name = "addrtype"
    options = (
        Option("--src-type", TypesKind(), "src_type", invert=True),
        Option("--dst-type", TypesKind(), "dst_type", invert=True),
        Option("--limit-iface-in", group="limit"),
        Option("--limit-iface-out", group="limit"),
    )
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> list[str]:
        """nft looks every address up in the routes; what iptables tells from an IPv6 address itself is something else."""
        sides = {"src_type": "saddr", "dst_type": "daddr"}
        limit = " . iif" if self.get("limit_iface_in") else " . oif" if self.get("limit_iface_out") else ""
        found = []
        for option, value, inverted in (s for s in self.settings if s.option.key in sides):
            if not IN_NFT[family].issuperset(value.names):
                raise no_form(f"{option.name} {','.join(value.names)}" + " in IPv6" * (family == 6))
            names = spelled_set([n.lower() for n in value.names])
            found.append(f"fib {sides[option.key]}{limit} type {'!= ' if inverted else ''}{names}")
        return [" ".join(found)]

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        if "src_type" not in given and "dst_type" not in given:
            raise OptionError("addrtype: --src-type or --dst-type must be given")

    def refuse(self, rule: Rule, table: str, family: Family) -> str | None:
        """The interface must be known where the rule stands."""
        if self.get("limit_iface_in") and rule.chain in ("OUTPUT", "POSTROUTING"):
            return f"--limit-iface-in: there is no incoming interface in {rule.chain}"
        if self.get("limit_iface_out") and rule.chain in ("PREROUTING", "INPUT"):
            return f"--limit-iface-out: there is no outgoing interface in {rule.chain}"
        return super().refuse(rule, table, family)

    def holds(self, setting: Setting, packet: Packet) -> Answer:
        """An interface's addresses are not in the packet: where the limit could change the answer, it is unknown."""
        if setting.option.kind is None:
            return Answer.YES
        answer = super().holds(setting, packet)
        interface = self._limit(packet)
        if answer is Answer.UNKNOWN or interface == "":
            return answer
        there = packet.field(f"{setting.option.field}@{interface}")
        if there is not Answer.UNKNOWN:
            return Answer.of(setting.option.kind.contains(setting.value, there) != setting.inverted)
        actual = packet.field(setting.option.field or "")
        others = {"UNREACHABLE"} if setting.value.family == 6 else set()
        if actual != "MULTICAST":
            others.add("UNICAST")
        contains = setting.option.kind.contains
        same = all(Answer.of(contains(setting.value, o) != setting.inverted) is answer for o in others)
        return answer if same else Answer.UNKNOWN

    def _limit(self, packet: Packet) -> Any:
        """The one interface whose addresses count; "" when all count, as for a packet without such an interface."""
        for key, field in (("limit_iface_in", "iif"), ("limit_iface_out", "oif")):
            if self.get(key) is not None:
                return packet.field(field)
        return ""
