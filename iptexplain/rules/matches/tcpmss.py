"""-m tcpmss"""

from __future__ import annotations

from iptexplain.rules.extension import Match, Option
from iptexplain.rules.values import NumberRange


class Tcpmss(Match):
    """The maximum segment size that a TCP SYN announces in its options: bytes of data that one segment may carry.

    A segment without that option matches only the inverted condition (net/netfilter/xt_tcpmss.c).
    """

    name = "tcpmss"
    protocols = frozenset({"tcp"})
    options = (Option("--mss", NumberRange(0, 65535), "tcpmss", invert=True, required=True),)
    __slots__ = ()
