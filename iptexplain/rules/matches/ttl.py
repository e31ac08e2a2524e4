"""-m ttl"""

from __future__ import annotations

from iptexplain.rules.extension import Match, Option
from iptexplain.rules.headers import Above, Below
from iptexplain.rules.values import Number


class Ttl(Match):
    """The time to live in the IPv4 header: how many more routers may pass the packet on, 0 to 255.

    PREROUTING, INPUT and the first look of FORWARD see it as it arrived; this host takes one off after PREROUTING when
    it forwards. A fragment has one like any packet (net/netfilter/xt_hl.c). IPv6 calls it hop limit: ``-m hl``.
    """

    name = "ttl"
    families = (4,)
    needs = ("ttl",)
    options = (
        Option("--ttl-eq", Number(0, 255), "ttl", invert=True, aliases=("--ttl",), group="ttl"),
        Option("--ttl-lt", Below(0, 255), "ttl", group="ttl"),
        Option("--ttl-gt", Above(0, 255), "ttl", group="ttl"),
    )
    __slots__ = ()
