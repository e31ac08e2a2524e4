"""-m mh"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Option
from iptexplain.rules.headers import RangeMatch, TransportMatch
from iptexplain.rules.values import NumberRange, Range

TYPES = {
    "binding-refresh-request": 0, "brr": 0, "home-test-init": 1, "hoti": 1, "careof-test-init": 2, "coti": 2,
    "home-test": 3, "hot": 3, "careof-test": 4, "cot": 4, "binding-update": 5, "bu": 5,
    "binding-acknowledgement": 6, "ba": 6, "binding-error": 7, "be": 7,
}  # fmt: skip
"""The messages of Mobile IPv6, by name and short name."""


class MessageTypes(NumberRange):
    """A type of message or ``FIRST:LAST``, by number or the beginning of a name; saved as numbers."""

    def __init__(self) -> None:
        super().__init__(0, 255)

    def end(self, text: str) -> int:
        name = text.lower()
        begun = next((number for known, number in TYPES.items() if known.startswith(name)), None)
        found = TYPES.get(name, begun)
        try:
            return super().end(text) if found is None else found
        except OptionError:
            raise OptionError(f"'{text}' is no message of Mobile IPv6 and not a number up to 255") from None


class Mh(RangeMatch, TransportMatch):
    """The type of a Mobile IPv6 message (RFC 6275): by them a host that moves keeps its home address.

    The rule must say ``-p mobility-header``, or ``-p mh``, with which iptables loads this match itself
    (net/ipv6/netfilter/ip6t_mh.c).
    """

    name = "mh"
    families = (6,)
    protocols = frozenset({"mobility-header"})
    whole = Range(0, 255)
    options = (Option("--mh-type", MessageTypes(), invert=True),)
    __slots__ = ()

    @property
    def messages(self) -> list[str]:
        """The names of the first and the last message, the number where one has no name."""
        names = {number: name for name, number in reversed(TYPES.items())}
        return [names.get(n, str(n)) for n in sorted(set(self.value("mh_type")))]
