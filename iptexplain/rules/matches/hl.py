"""-m hl"""

from __future__ import annotations

from iptexplain.rules.extension import Match, Option
from iptexplain.rules.headers import Above, Below
from iptexplain.rules.values import Number


class Hl(Match):
    """The hop limit in the IPv6 header: how many more routers may pass the packet on, 0 to 255.

    What ``-m ttl`` is for IPv4; the packet's field is ``ttl`` for both (net/netfilter/xt_hl.c).
    """

    name = "hl"
    families = (6,)
    needs = ("hl",)
    options = (
        Option("--hl-eq", Number(0, 255), "ttl", invert=True, aliases=("--hl",), group="hl", nft="ip6 hoplimit"),
        Option("--hl-lt", Below(0, 255), "ttl", group="hl", nft="ip6 hoplimit"),
        Option("--hl-gt", Above(0, 255), "ttl", group="hl", nft="ip6 hoplimit"),
    )
    __slots__ = ()
