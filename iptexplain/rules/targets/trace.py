"""-j TRACE"""

from __future__ import annotations

from iptexplain.rules.extension import Target
from iptexplain.rules.model import Rule
from iptexplain.rules.values import Family


class Trace(Target):
    """Has every rule that the packet meets from here on reported; the next rule is asked.

    Meant for the raw table, where the packet has met no other rule yet; iptables-legacy takes it only there. With
    nf_tables ``xtables-monitor --trace`` shows the report, with iptables-legacy the kernel log
    (net/netfilter/xt_TRACE.c).
    """

    name = "TRACE"
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> str:
        return "meta nftrace set 1"
