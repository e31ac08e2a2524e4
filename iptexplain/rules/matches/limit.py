"""-m limit"""

from __future__ import annotations

import re
from typing import NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.values import Family, Kind, Number

SCALE = 10000
"""The kernel counts the time between two packets in ten-thousandths of a second."""
SECONDS = {"sec": 1, "min": 60, "hour": 3600, "day": 86400}
"""How iptables-save spells the units of time."""
UNITS = {"sec": "second", "min": "minute", "hour": "hour", "day": "day"}
_RATE = re.compile(r"(\d+)(?:/(\w+))?").fullmatch


class Rate(NamedTuple):
    """So many packets in a second, minute, hour or day (``unit`` as iptables-save spells it)."""

    number: int
    unit: str

    def __str__(self) -> str:
        return f"{self.number}/{self.unit}"

    @property
    def per(self) -> str:
        """The unit in full."""
        return UNITS[self.unit]


class RateKind(Kind):
    """``NUMBER[/UNIT]``, at most 10000 a second; a unit may be shortened, and without one seconds are meant.

    The kernel keeps the time between two packets, and iptables-save turns it back into a rate: 60/min is saved as
    1/sec, and rates that do not divide the time well are saved as the nearest ones that do.
    """

    def parse(self, text: str, family: Family) -> Rate:
        found = _RATE(text)
        unit = found and next((u for u, name in UNITS.items() if name.startswith((found[2] or "s").lower())), None)
        if not found or not unit or not int(found[1]):
            raise OptionError(f"'{text}' is not a rate: a number, then /second, /minute, /hour or /day")
        period = SCALE * SECONDS[unit] // int(found[1])
        if not period:
            raise OptionError(f"rate {text} is too fast: {SCALE} a second at most")
        return rate_of(period)

    def save(self, value: Rate) -> str:
        return str(value)


def rate_of(period: int) -> Rate:
    """The rate as libxt_limit prints it: the smallest unit in which ``period`` comes out well."""
    fitting = "day"
    for unit in ("hour", "min", "sec"):
        span = SCALE * SECONDS[unit]
        if period > span or span // period < span % period:
            break
        fitting = unit
    return Rate(SCALE * SECONDS[fitting] // period, fitting)


class Limit(Match):
    """A token bucket: packets match while there are tokens in it.

    The bucket holds ``--limit-burst`` tokens (5 when it is not said) and is full at first; every packet that matches
    takes one, and they grow back at the rate of ``--limit`` (3 per hour when it is not said). One bucket serves all
    packets that come to the rule; hashlimit has one for each address (net/netfilter/xt_limit.c).
    """

    name = "limit"
    options = (
        Option("--limit", RateKind(), default=Rate(3, "hour")),
        Option("--limit-burst", Number(0, 10000), default=5, hide_default=True),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """A burst of 0 is read as none given (iptables-nft; iptables-legacy refuses it)."""
        if "limit_burst" in given and not given["limit_burst"].value:
            del given["limit_burst"]
