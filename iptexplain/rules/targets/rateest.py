"""-j RATEEST"""

from __future__ import annotations

import math
import re

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Option, Setting, Target
from iptexplain.rules.targets.log import Cut
from iptexplain.rules.values import Family, Kind

SECOND = 1000000
_UNITS = {"": 1, "us": 1, "usec": 1, "usecs": 1, "ms": 1000, "msec": 1000, "msecs": 1000, "s": SECOND, "sec": SECOND,
          "secs": SECOND}  # fmt: skip
"""Microseconds in each unit."""


class Time(Kind):
    """A time with a unit (without: microseconds), in microseconds; saved as 1.0s, 250.0ms or 5us."""

    _read = re.compile(r"([0-9.]+(?:[eE][-+]?\d+)?)([a-z]*)").fullmatch

    def parse(self, text: str, family: Family) -> int:
        found = self._read(text.lower())
        try:
            return int(float(found[1]) * _UNITS[found[2]]) if found else int("")
        except (KeyError, ValueError):
            raise OptionError(f"'{text}' is not a time in s, ms or us") from None

    def save(self, value: int) -> str:
        if value >= SECOND:
            return f"{value / SECOND:.1f}s"
        return f"{value / 1000:.1f}ms" if value >= 1000 else f"{value}us"


class Rateest(Target):
    """Measures the rate of these packets under a name, for ``-m rateest`` to ask; the next rule is asked.

    The kernel counts in intervals of 0.25, 0.5, 1, 2, 4 or 8 seconds: the next that is not shorter than what is given.
    ``--rateest-ewmalog`` is the time over which the rate is averaged: a power of two of intervals
    (net/netfilter/xt_RATEEST.c).
    """

    name = "RATEEST"
    options = (
        Option("--rateest-name", Cut(15, quoted=False), required=True),
        Option("--rateest-interval", Time(), required=True),
        Option("--rateest-ewmalog", Time(), required=True),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """Both times become those that the kernel can count (RATEEST_final_check in libxt_RATEEST.c)."""
        if "rateest_interval" not in given or "rateest_ewmalog" not in given:
            return
        interval, wanted = given["rateest_interval"].value, given["rateest_ewmalog"].value
        counted = next((SECOND // 4 << i for i in range(6) if interval <= SECOND // 4 << i), None)
        if counted is None:
            raise OptionError("RATEEST: the interval is longer than 8 seconds")
        longer = (e for e in range(1, 32) if interval / -math.log(1 - 1 / (1 << e)) > wanted)
        power = next(longer, 32) - 1
        if not 0 < power < 31:
            raise OptionError("RATEEST: --rateest-ewmalog is too short or too long for the interval")
        given["rateest_interval"] = cls.setting("rateest_interval", counted)
        given["rateest_ewmalog"] = cls.setting("rateest_ewmalog", counted << power & 0xFFFFFFFF)
