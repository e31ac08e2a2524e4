"""-m ipcomp"""

from __future__ import annotations

from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Option
from iptexplain.rules.headers import RangeMatch, TransportMatch
from iptexplain.rules.matches.esp import SPIS
from iptexplain.rules.values import Range


class Ipcomp(RangeMatch, TransportMatch):
    """The compression parameter index (CPI) of a packet that IPsec compressed: the number of an agreement on how.

    Without ``--ipcompspi`` only CPI 0 matches. ``--compres`` is printed back, but the kernel does not look at it.
    Since Linux 3.14 (net/netfilter/xt_ipcomp.c).
    """

    name = "ipcomp"
    protocols = frozenset({"ipcomp"})
    options = (
        Option("--ipcompspi", SPIS, "spi", invert=True, default=Range(0, 0)),
        Option("--compres"),
    )
    __slots__ = ()

    def answer(self, packet: Packet) -> Answer:
        settings = tuple(s for s in self.settings if s.option.key == "ipcompspi")
        return super(Ipcomp, Ipcomp(settings)).answer(packet)
