"""-m connmark"""

from __future__ import annotations

from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option
from iptexplain.rules.matches.conntrack import NO_CONNECTION
from iptexplain.rules.values import Mark


class Connmark(Match):
    """The mark of the packet's connection, a 32-bit number that all of its packets share (set by CONNMARK).

    The bits of the mask are cut out of the mark and compared with the value. A packet without a connection (INVALID,
    UNTRACKED) never matches, inverted or not (net/netfilter/xt_connmark.c).
    """

    name = "connmark"
    options = (Option("--mark", Mark(), "connmark", invert=True, required=True, nft="ct mark"),)
    __slots__ = ()

    def answer(self, packet: Packet) -> Answer:
        return Answer.NO if packet.field("ctstate") in NO_CONNECTION else super().answer(packet)
