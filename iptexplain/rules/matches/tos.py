"""-m tos"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Match, Option
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import masked
from iptexplain.rules.values import Family, Kind, Masked, Number

SYMBOLS = {
    "Minimize-Delay": 0x10,
    "Maximize-Throughput": 0x08,
    "Maximize-Reliability": 0x04,
    "Minimize-Cost": 0x02,
    "Normal-Service": 0x00,
}
"""The names that iptables knows for values of the TOS byte (RFC 1349)."""

SYMBOL_MASK = 0x3F

_LOWER = {name.lower(): value for name, value in SYMBOLS.items()}


class TosKind(Kind):
    """``VALUE[/MASK]`` of 8 bits or a symbolic name; saved as 0x10/0x3f (XTTYPE_TOSMASK)."""

    _byte = Number(0, 0xFF)

    def parse(self, text: str, family: Family) -> Masked:
        symbol = _LOWER.get(text.lower())
        if symbol is not None:
            return Masked(symbol, SYMBOL_MASK)
        if not text[:1].isdecimal():
            raise OptionError(f"'{text}' is neither a number nor one of {', '.join(SYMBOLS)}")
        value, slash, mask = text.partition("/")
        return Masked(self._byte.parse(value, family), self._byte.parse(mask, family) if slash else 0xFF)

    def save(self, value: Masked) -> str:
        return f"0x{value.value:02x}/0x{value.mask:02x}"

    def contains(self, value: Masked, actual: int) -> bool:
        return actual & value.mask == value.value


class Tos(Match):
    """The type-of-service byte of the IPv4 header, or the traffic class of the IPv6 header, under a mask.

    The byte holds the DSCP in its upper six bits and the ECN codepoint in its lower two. A symbolic name is compared
    under the mask 0x3f, a number without a mask under 0xff; a value with bits outside its mask never matches
    (net/netfilter/xt_dscp.c).
    """

    name = "tos"
    options = (Option("--tos", TosKind(), "tos", invert=True, required=True),)
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> list[str]:
        """nft has a name for the upper six bits alone; the byte is found by its place in the header."""
        place, shift = {4: ("@nh,8,8", 0), 6: ("@nh,0,16", 4)}[family]
        value, mask = (hex(number << shift) for number in self.value("tos"))
        return [masked(place, value, mask, self.settings[0].inverted)]

    @property
    def symbol(self) -> str | None:
        """The symbolic name of the value, when it has one."""
        value, mask = self.value("tos")
        return next((n for n, v in SYMBOLS.items() if (v, SYMBOL_MASK) == (value, mask)), None)
