"""Rates: so many packets in a unit of time, as ``-m limit`` and ``-m hashlimit`` count them."""

from __future__ import annotations

import re
from typing import NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.values import Family, Kind

UNITS: dict[str, int] = {"day": 86400, "hour": 3600, "min": 60, "sec": 1}
"""The units in iptables-save's spelling, with their seconds, in the order in which it tries them."""

_WRITTEN = {"second": "sec", "minute": "min", "hour": "hour", "day": "day"}
_split = re.compile(r"\s*\+?(\d+)[^/]*(?:/(.+))?", re.ASCII | re.DOTALL).fullmatch


class Rate(NamedTuple):
    """So many packets in one unit of time: ``5/min``."""

    amount: int
    unit: str

    @property
    def seconds(self) -> int:
        return UNITS[self.unit]

    def __str__(self) -> str:
        return f"{self.amount}/{self.unit}"


class RateKind(Kind):
    """``AMOUNT[/UNIT]``, per second when no unit is given; any beginning of a unit's name will do.

    The kernel keeps the time between two packets, in ticks of 1/``scale`` second. iptables-save computes what it prints
    from that time, so it need not be what was written: 60/min comes back as 1/sec.
    """

    def __init__(self, scale: int = 10000) -> None:
        self.scale = scale

    def parse(self, text: str, family: Family) -> Rate:
        period = self.period(as_written(text))
        if not period:
            raise OptionError(f"rate {text} is too fast: at most {self.scale} packets per second can be counted")
        return self.printed(period)

    def period(self, rate: Rate) -> int:
        """The ticks between two packets."""
        return self.scale * rate.seconds // rate.amount

    def printed(self, period: int) -> Rate:
        """The rate that iptables-save prints for that many ticks (print_rate in libxt_limit.c)."""
        chosen, *finer = UNITS
        for unit in finer:
            ticks = self.scale * UNITS[unit]
            if period > ticks or ticks // period < ticks % period:
                break
            chosen = unit
        return Rate(self.scale * UNITS[chosen] // period, chosen)


def as_written(text: str) -> Rate:
    """The rate that ``text`` names; raises OptionError."""
    found = _split(text)
    amount, unit = (int(found[1]), (found[2] or "second").lower()) if found else (0, "")
    units = [short for name, short in _WRITTEN.items() if name.startswith(unit)]
    if not amount or not units:
        raise OptionError(f"'{text}' is not a rate such as 5/second, 5/minute, 5/hour or 5/day")
    return Rate(amount, units[0])
