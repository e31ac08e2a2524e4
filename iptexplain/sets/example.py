"""One packet of a box of ranges: an ordinary one, such as documents name, where there is a choice."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from iptexplain.rules.addresses import Address, to_address
from iptexplain.rules.values import Interval
from iptexplain.sets.analyse import Analysis
from iptexplain.sets.boxes import Box
from iptexplain.sets.spelling import ADDRESSES
from iptexplain.walk.conntrack import PINGS, TRACKED_PORTS

FIRST = {"ctstate": "NEW", "fragment": False, "flags": frozenset({"SYN"}), "ttl": 64, "mark": 0, "connmark": 0}
"""What the packets of a question have when nobody says otherwise: the first of a connection."""

USUAL = {"proto": (6, 17, 1, 58), "sport": (40000,), "dport": (8080, 80)}
"""Numbers that an example has where it may, the first that fits."""

DOCUMENTED = {
    (4, "src"): ("198.51.100.7", "192.0.2.7"), (4, "dst"): ("203.0.113.7",),
    (6, "src"): ("2001:db8:1::7", "2000::7"), (6, "dst"): ("2001:db8:2::7",),
}  # fmt: skip
"""Addresses for examples: the documentation's, which are nobody's; and one of the Internet."""


class Examples:
    """Packets of the boxes of one analysis."""

    def __init__(self, analysis: Analysis) -> None:
        self.fields, self.places = analysis.fields, analysis.kinds.places

    def of(self, box: Box) -> dict[str, Any]:
        """The fields of one packet of a box, as a trace reads them."""
        names = {self.fields.all[level].name: intervals for level, intervals in box.items()}
        packet: dict[str, Any] = {**FIRST}
        for name in ("iif", "proto", "src", "dst", "sport", "dport", *names):
            field = self.fields.all[self.fields.level[name]]
            intervals = names.get(name, ((0, field.top),))
            packet[name] = field.value(self._ordinary(name, intervals))
        if packet["proto"] not in TRACKED_PORTS:
            packet = {k: v for k, v in packet.items() if k not in ("sport", "dport")}
        if packet["proto"] in PINGS:
            question = min(PINGS[packet["proto"]])
            packet = {"icmp_type": question, "icmp_code": 0, "icmp_id": 1, **packet}
        return {k: v for k, v in packet.items() if k != "flags" or packet["proto"] == "tcp"}

    def _ordinary(self, name: str, intervals: Sequence[Interval]) -> int:
        """The first of the numbers that an example has where it may, else the lowest."""
        usual = self._usual(name)
        if len(intervals) == 1:
            ((low, high),) = intervals
            return next((n for n in usual if low <= n <= high), low) if low < high else low
        return next((n for n in usual if _holds(intervals, n)), intervals[0][0])

    def _usual(self, name: str) -> Iterable[int]:
        """Numbers that an example has where it may: of addresses one that documents use, or one that is like most others."""
        return self._usual_addresses[name] if name in ADDRESSES else USUAL.get(name, ())

    @cached_property
    def _usual_addresses(self) -> dict[str, tuple[int, ...]]:
        family, places = self.places.topology.family, self.places
        starts = [n for n in places.starts if not any(places.apart(Address(family, n)))]
        # The first address of a network is nobody's, the second often the host's.
        found = (*(n + 2 for n in starts), *starts)
        return {name: (*(to_address(text).number for text in DOCUMENTED[family, name]), *found) for name in ADDRESSES}


def _holds(intervals: Sequence[Interval], number: int) -> bool:
    """Whether a number lies in one of sorted, separate intervals."""
    place = bisect_right(intervals, number, key=lambda interval: interval[0])
    return place > 0 and intervals[place - 1][1] >= number
