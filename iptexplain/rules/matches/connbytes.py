"""-m connbytes"""

from __future__ import annotations

from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.values import Choice, Family, NumberRange, Range

MAX = 0xFFFFFFFFFFFFFFFF


class Amount(NumberRange):
    """``FROM[:TO]``, 64 bits; without TO there is no upper limit. A TO of 0 is not printed (libxt_connbytes.c)."""

    def __init__(self) -> None:
        super().__init__(0, MAX)

    def parse(self, text: str, family: Family) -> Range:
        return super().parse(text if ":" in text else f"{text}:", family)

    def save(self, value: Range) -> str:
        return f"{value.low}:{value.high}" if 0 < value.high < MAX else str(value.low)


class Connbytes(Match):
    """How many packets or bytes the packet's connection has carried so far, or how long its packets are on average.

    Counted for the direction of its first packet, for the replies, or for both. Only when the kernel keeps such
    counters (sysctl net.netfilter.nf_conntrack_acct, which loading this rule turns on); a connection without counters
    never matches (net/netfilter/xt_connbytes.c).
    """

    name = "connbytes"
    options = (
        Option("--connbytes", Amount(), invert=True, required=True),
        Option("--connbytes-mode", Choice("packets", "bytes", "avgpkt"), required=True),
        Option("--connbytes-dir", Choice("original", "reply", "both"), required=True),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """The kernel is told of a ``!`` by a range that is the wrong way round: for a single number it gets lost."""
        amount = given.get("connbytes")
        if amount and amount.value.low == amount.value.high:
            given["connbytes"] = amount._replace(inverted=False)

    @property
    def bounded(self) -> bool:
        """Whether there is an upper limit."""
        return bool(self.value("connbytes").high < MAX)
