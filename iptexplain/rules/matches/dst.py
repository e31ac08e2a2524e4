"""-m dst"""

from __future__ import annotations

from iptexplain.rules.extension import Option
from iptexplain.rules.matches.hbh import HeaderOptions, OptionsMatch
from iptexplain.rules.values import Number


class Dst(OptionsMatch):
    """IPv6's destination options header: its length in bytes, and the options in it, in the order in which they stand.

    Only the destination looks at those options (net/ipv6/netfilter/ip6t_hbh.c, which is for both headers).
    """

    name = "dst"
    options = (
        Option("--dst-len", Number(), invert=True),
        Option("--dst-opts", HeaderOptions()),
    )
    __slots__ = ()
