"""-m tcpmss"""

from __future__ import annotations

from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.values import NumberRange

MSS = 2
"""The number of the option (RFC 9293)."""


class Tcpmss(Match):
    """The maximum segment size that a TCP SYN announces in its options: bytes of data that one segment may carry.

    A segment without that option matches only the inverted condition (net/netfilter/xt_tcpmss.c).
    """

    name = "tcpmss"
    protocols = frozenset({"tcp"})
    options = (Option("--mss", NumberRange(0, 65535), "tcpmss", invert=True, required=True),)
    __slots__ = ()

    def holds(self, setting: Setting, packet: Packet) -> Answer:
        """The field ``tcp_options`` lists the packet's options, where it is known."""
        listed = packet.field("tcp_options")
        if listed is not Answer.UNKNOWN and MSS not in listed:
            return Answer.of(setting.inverted)
        return super().holds(setting, packet)
