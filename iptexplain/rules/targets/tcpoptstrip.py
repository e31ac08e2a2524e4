"""-j TCPOPTSTRIP"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Option, Target
from iptexplain.rules.values import Family, Kind, Number

NAMES = {"mss": 2, "wscale": 3, "sack-permitted": 4, "sack": 5, "timestamp": 8, "md5": 19}
"""The TCP options that iptables knows by name."""


class TcpOptions(Kind):
    """A comma list of TCP options, by number or name; saved as sorted numbers."""

    _number = Number(0, 255)

    def parse(self, text: str, family: Family) -> tuple[int, ...]:
        numbers: set[int] = set()
        for word in text.split(","):
            number = NAMES.get(word) or self._number.parse(word, family)
            if number < 2:
                raise OptionError(f"TCP option {word} cannot be removed: 0 and 1 are padding")
            if number in numbers:
                raise OptionError(f"TCP option {word} is given twice")
            numbers.add(number)
        return tuple(sorted(numbers))

    def save(self, value: tuple[int, ...]) -> str:
        return ",".join(map(str, value))


PADDING = 1
"""The number of the option that means nothing (RFC 9293)."""


class Tcpoptstrip(Target):
    """Removes options from the TCP header, by writing padding over them; the next rule is asked.

    Needs ``-p tcp``, and is valid in the mangle table only (net/netfilter/xt_TCPOPTSTRIP.c).
    """

    name = "TCPOPTSTRIP"
    protocols = frozenset({"tcp"})
    tables = frozenset({"mangle"})
    options = (Option("--strip-options", TcpOptions()),)
    __slots__ = ()

    @property
    def option_names(self) -> list[str]:
        """The options by name, or number where they have none."""
        known = {number: name for name, number in NAMES.items()}
        return [known.get(n, str(n)) for n in self.value("strip_options") or ()]

    def changes(self, packet: Packet) -> Mapping[str, Any]:
        listed, stripped = packet.field("tcp_options"), frozenset(self.value("strip_options") or ())
        if listed is Answer.UNKNOWN or listed.isdisjoint(stripped):
            return {}
        return {"tcp_options": listed - stripped | {PADDING}}
