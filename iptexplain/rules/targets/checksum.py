"""-j CHECKSUM"""

from __future__ import annotations

from iptexplain.rules.extension import Option, Target


class Checksum(Target):
    """Computes the checksum of a packet that has none yet; the next rule is asked.

    Packets between virtual machines often have none, as no network card has filled it in: old DHCP clients drop them.
    Valid in the mangle table only (net/netfilter/xt_CHECKSUM.c).
    """

    name = "CHECKSUM"
    tables = frozenset({"mangle"})
    options = (Option("--checksum-fill", required=True),)
    __slots__ = ()
