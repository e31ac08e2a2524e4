"""-m ttl"""

from __future__ import annotations

from iptexplain.rules.extension import Match, Option
from iptexplain.rules.headers import Above, Below
from iptexplain.rules.values import Number


class Ttl(Match):
    """The time to live in the IPv4 header: how many more routers may pass the packet on, 0 to 255.

    PREROUTING and INPUT see it as it arrived; a host that forwards takes one off before FORWARD. IPv6 calls it hop
    limit: ``-m hl`` (net/netfilter/xt_hl.c).
    """

    name = "ttl"
    families = (4,)
    needs = ("ttl",)
    options = (
        Option("--ttl-eq", Number(0, 255), "ttl", invert=True, aliases=("--ttl",), group="ttl", nft="ip ttl"),
        Option("--ttl-lt", Below(0, 255), "ttl", group="ttl", nft="ip ttl"),
        Option("--ttl-gt", Above(0, 255), "ttl", group="ttl", nft="ip ttl"),
    )
    __slots__ = ()
