"""-m pkttype"""

from __future__ import annotations

from iptexplain.rules.extension import Match, Option
from iptexplain.rules.model import Rule
from iptexplain.rules.values import Choice, Family

TYPES = Choice(
    "unicast", "broadcast", "multicast", "otherhost", any_case=True,
    host="unicast", bcast="broadcast", mcast="multicast",
)  # fmt: skip


class Pkttype(Match):
    """To whom the frame was addressed on the link: to this host (unicast), to all, to a group, or to another machine.

    It is the kernel's note about the link-layer frame, not about the IP address; packets that this host makes count as
    unicast, and its own broadcasts and multicasts that loop back as what they are (net/netfilter/xt_pkttype.c).
    """

    name = "pkttype"
    options = (Option("--pkt-type", TYPES, "pkttype", invert=True, required=True, nft="meta pkttype"),)
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> list[str]:
        return [found.replace("otherhost", "other") for found in super().nft(rule, family)]
