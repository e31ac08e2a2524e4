"""-j ULOG"""

from __future__ import annotations

from iptexplain.rules.extension import Option, Target
from iptexplain.rules.targets.log import Cut
from iptexplain.rules.values import Number


class Ulog(Target):
    """Hands a copy of the packet to a logging program; the next rule is asked.

    ``--ulog-cprange`` is how many bytes are copied (0: all), ``--ulog-qthreshold`` how many packets the kernel collects
    before it sends them. Removed in Linux 3.17: NFLOG replaces it (libipt_ULOG.c).
    """

    name = "ULOG"
    families = (4,)
    options = (
        Option("--ulog-prefix", Cut(31)),
        Option("--ulog-nlgroup", Number(1, 32), default=1, hide_default=True),
        Option("--ulog-cprange", Number(), default=0, hide_default=True),
        Option("--ulog-qthreshold", Number(1, 50), default=1, hide_default=True),
    )
    __slots__ = ()
