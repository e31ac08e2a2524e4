"""-m nfacct"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Match, Option
from iptexplain.rules.values import Family, Text


class ObjectName(Text):
    """The name of an accounting object; iptables-save prints a second space before it."""

    def parse(self, text: str, family: Family) -> str:
        if not text:
            raise OptionError("a name is missing")
        return super().parse(text, family)

    def save(self, value: str) -> str:
        return f" {super().save(value)}"


class Nfacct(Match):
    """Counts the packet in a named object that the ``nfacct`` program reads; the object must exist already.

    Every packet matches, except when the object has a quota: then only once that is used up. Whether it has one, no
    dump says. Since Linux 3.3, quotas since 3.16 (net/netfilter/xt_nfacct.c).
    """

    name = "nfacct"
    options = (Option("--nfacct-name", ObjectName(limit=31), required=True),)
    __slots__ = ()
