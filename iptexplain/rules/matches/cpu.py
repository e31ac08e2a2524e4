"""-m cpu"""

from __future__ import annotations

from iptexplain.rules.extension import Match, Option
from iptexplain.rules.values import Number


class Cpu(Match):
    """The processor that handles the packet, counted from 0. Since Linux 2.6.37 (net/netfilter/xt_cpu.c)."""

    name = "cpu"
    options = (Option("--cpu", Number(), "cpu", invert=True, required=True),)
    __slots__ = ()
