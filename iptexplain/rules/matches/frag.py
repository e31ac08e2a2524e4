"""-m frag"""

from __future__ import annotations

from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Option
from iptexplain.rules.headers import RangeMatch
from iptexplain.rules.matches.esp import SPIS
from iptexplain.rules.values import Number


class Frag(RangeMatch):
    """IPv6's fragment header: the identification, which piece it is, and whether the reserved fields are 0.

    Only fragments have that header, and connection tracking puts them together before rules see them. ``--fraglen`` is
    printed back, but the kernel does not look at it. IPv4 has ``-f`` (net/ipv6/netfilter/ip6t_frag.c).
    """

    name = "frag"
    families = (6,)
    options = (
        Option("--fragid", SPIS, invert=True),
        Option("--fraglen", Number(), invert=True),
        Option("--fragres"),
        Option("--fragfirst"),
        Option("--fragmore", group="more"),
        Option("--fraglast", group="more"),
    )
    __slots__ = ()

    def answer(self, packet: Packet) -> Answer:
        later = packet.field("fragment") is True and self.get("fragfirst")
        return Answer.NO if later else Answer.UNKNOWN
