"""-m mark"""

from __future__ import annotations

from iptexplain.rules.extension import Match, Option
from iptexplain.rules.values import Mark as MarkKind


class Mark(Match):
    """The packet's mark: a 32-bit number that rules (MARK, CONNMARK) and sockets give it, and that stays in this host.

    The bits of the mask are cut out of the mark and compared with the value; a value with bits outside of its mask
    never matches (net/netfilter/xt_mark.c).
    """

    name = "mark"
    options = (Option("--mark", MarkKind(), "mark", invert=True, required=True, nft="meta mark"),)
    __slots__ = ()
