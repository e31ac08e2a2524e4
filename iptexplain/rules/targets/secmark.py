"""-j SECMARK"""

from __future__ import annotations

from iptexplain.rules.extension import Option, Target
from iptexplain.rules.targets.log import Cut


class Secmark(Target):
    """Labels the packet with a security context, for SELinux's own rules; the next rule is asked.

    The loaded SELinux policy must know the context. Valid in the tables security and mangle
    (net/netfilter/xt_SECMARK.c).
    """

    name = "SECMARK"
    tables = frozenset({"mangle", "security"})
    options = (Option("--selctx", Cut(255, quoted=False), required=True),)
    __slots__ = ()
