"""-m hbh"""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option
from iptexplain.rules.values import Family, Kind, Number, to_int

ANY_LENGTH = 255
MAX_OPTIONS = 16


class HeaderOption(NamedTuple):
    """An option in a header, by its type and, unless that is 255, by the length of its data."""

    type: int
    length: int = ANY_LENGTH

    def __str__(self) -> str:
        return str(self.type) if self.length == ANY_LENGTH else f"{self.type}:{self.length}"


class HeaderOptions(Kind):
    """``TYPE[:LENGTH][,…]``, sixteen at most; of larger numbers the lowest eight bits count."""

    def parse(self, text: str, family: Family) -> tuple[HeaderOption, ...]:
        options = tuple(self._one(word) for word in text.split(","))
        if len(options) > MAX_OPTIONS:
            raise OptionError(f"too many options: {MAX_OPTIONS} at most")
        return options

    def _one(self, text: str) -> HeaderOption:
        kind, colon, length = text.partition(":")
        option = HeaderOption(to_int(kind) & 0xFF, to_int(length) & 0xFF if colon else ANY_LENGTH)
        if colon and option.type == 0:
            raise OptionError("option 0 (Pad1) has no length")
        return option

    def save(self, value: tuple[HeaderOption, ...]) -> str:
        return ",".join(map(str, value))


class OptionsMatch(Match):
    """A match of an IPv6 header that carries options."""

    families = (6,)
    __slots__ = ()

    def answer(self, packet: Packet) -> Answer:
        return Answer.UNKNOWN


class Hbh(OptionsMatch):
    """IPv6's hop-by-hop options header: its length in bytes, and the options in it, in the order in which they stand.

    Every router looks at those options; the router alert of multicast (type 5) is the usual one. Pad options count like
    any other (net/ipv6/netfilter/ip6t_hbh.c).
    """

    name = "hbh"
    options = (
        Option("--hbh-len", Number(), invert=True),
        Option("--hbh-opts", HeaderOptions()),
    )
    __slots__ = ()
