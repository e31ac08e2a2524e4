"""-j CONNSECMARK"""

from __future__ import annotations

from iptexplain.rules.extension import Option, Target


class Connsecmark(Target):
    """Copies the security mark between a packet and its connection, where the other one has none yet.

    Used with SECMARK: ``--save`` remembers the first packet's mark, ``--restore`` gives it to the others. The next
    rule is asked. Valid in the tables security and mangle (net/netfilter/xt_CONNSECMARK.c).
    """

    name = "CONNSECMARK"
    tables = frozenset({"mangle", "security"})
    needs = ("mode",)
    options = (
        Option("--save", group="mode"),
        Option("--restore", group="mode"),
    )
    __slots__ = ()
