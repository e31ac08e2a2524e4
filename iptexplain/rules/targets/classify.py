"""-j CLASSIFY"""

from __future__ import annotations

import re
from typing import NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Option, Target
from iptexplain.rules.model import Rule
from iptexplain.rules.values import Family, Kind


class TrafficClass(NamedTuple):
    """A class of traffic control, as tc(8) names it."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major:x}:{self.minor:x}"


class ClassKind(Kind):
    """``MAJOR:MINOR``, both always in hexadecimal; 16 bits of each are kept, what follows is ignored."""

    _read = re.compile(r"\s*(?:0[xX])?([0-9a-fA-F]+):(?:0[xX])?([0-9a-fA-F]+)").match

    def parse(self, text: str, family: Family) -> TrafficClass:
        found = self._read(text)
        if not found:
            raise OptionError(f"'{text}' is not a class MAJOR:MINOR in hexadecimal")
        return TrafficClass(int(found[1], 16) & 0xFFFF, int(found[2], 16) & 0xFFFF)

    def save(self, value: TrafficClass) -> str:
        return f"{value.major:04x}:{value.minor:04x}"


class Classify(Target):
    """Puts the packet into a class of traffic control (tc), by which it is queued for sending; the next rule is asked.

    Valid in FORWARD, OUTPUT and POSTROUTING, of any table (net/netfilter/xt_CLASSIFY.c).
    """

    name = "CLASSIFY"
    chains = frozenset({"FORWARD", "OUTPUT", "POSTROUTING"})
    options = (Option("--set-class", ClassKind(), required=True),)
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> str:
        return f"meta priority set {self.value('set_class')}"
