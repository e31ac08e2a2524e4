"""-m ipv6header"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option
from iptexplain.rules.values import Family, Kind

HEADERS = {
    "hop-by-hop": ("hop", "hopopt", "0"),
    "ipv6-opts": ("dst", "60"),
    "ipv6-route": ("route", "43"),
    "ipv6-frag": ("frag", "44"),
    "ah": ("auth", "51"),
    "esp": ("50",),
    "ipv6-nonxt": ("none", "59"),
    "protocol": ("prot", "255"),
}
"""The headers in the order in which iptables-save prints them, and what else may be written for them."""

_NAMES = {alias: name for name, aliases in HEADERS.items() for alias in (name, *aliases)}


class Headers(Kind):
    """A comma list of headers."""

    def parse(self, text: str, family: Family) -> tuple[str, ...]:
        words = [w for w in text.split(",") if w]
        unknown = [w for w in words if w not in _NAMES]
        if unknown or not words:
            raise OptionError(f"'{(unknown or [text])[0]}' is no header: there are {', '.join(HEADERS)}")
        named = {_NAMES[w] for w in words}
        return tuple(name for name in HEADERS if name in named)

    def save(self, value: tuple[str, ...]) -> str:
        return ",".join(value)


class Ipv6header(Match):
    """Which headers an IPv6 packet has behind the first: exactly those listed, or with ``--soft`` at least those.

    ``protocol`` stands for any upper-layer protocol and ``ipv6-nonxt`` for a packet that has none. Inverted with
    ``--soft``: none of those listed (net/ipv6/netfilter/ip6t_ipv6header.c).
    """

    name = "ipv6header"
    families = (6,)
    options = (
        Option("--header", Headers(), invert=True, required=True),
        Option("--soft"),
    )
    __slots__ = ()

    def answer(self, packet: Packet) -> Answer:
        return Answer.UNKNOWN
