"""-m iprange"""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.rules.addresses import Address, to_address
from iptexplain.rules.extension import Match, Option
from iptexplain.rules.values import Family, Interval, Kind


class AddressRange(NamedTuple):
    """A closed range of addresses."""

    first: Address
    last: Address


class AddressRangeKind(Kind):
    """``FIRST-LAST`` or one address; a range whose ends are the wrong way round is taken, and contains nothing."""

    def parse(self, text: str, family: Family) -> AddressRange:
        first, dash, last = text.partition("-")
        low = to_address(first, family)
        return AddressRange(low, to_address(last, family) if dash else low)

    def save(self, value: AddressRange) -> str:
        return f"{value.first}-{value.last}"

    def contains(self, value: AddressRange, actual: Address) -> bool:
        return actual.family == value.first.family and value.first.number <= actual.number <= value.last.number

    def as_set(self, value: AddressRange) -> tuple[Interval, ...]:
        ends = value.first.number, value.last.number
        return (ends,) if ends[0] <= ends[1] else ()


class Iprange(Match):
    """A range of source or destination addresses, which need not be a network (net/netfilter/xt_iprange.c)."""

    name = "iprange"
    needs_any = True
    options = (
        Option("--src-range", AddressRangeKind(), "src", invert=True, nft="{ip} saddr"),
        Option("--dst-range", AddressRangeKind(), "dst", invert=True, nft="{ip} daddr"),
    )
    __slots__ = ()
