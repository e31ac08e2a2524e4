"""-m cgroup"""

from __future__ import annotations

from iptexplain.rules.extension import Match, Option
from iptexplain.rules.values import Number, Text


class Cgroup(Match):
    """The control group of the process whose socket sends the packet or receives it.

    ``--path`` names a group of cgroup v2, below its root, and means the groups within it too; the group must exist when
    the rule is loaded. ``--cgroup`` is a class of the net_cls controller (cgroup v1): 0xAAAABBBB for AAAA:BBBB. Packets
    that belong to no socket of this host match only the inverted condition; in INPUT it is mostly not known yet.
    Since Linux 3.14, paths since 4.5 (net/netfilter/xt_cgroup.c).
    """

    name = "cgroup"
    needs = ("group",)
    options = (
        Option("--path", Text(limit=511), invert=True, group="group"),
        Option("--cgroup", Number(), invert=True, group="group"),
    )
    __slots__ = ()
