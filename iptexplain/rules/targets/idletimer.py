"""-j IDLETIMER"""

from __future__ import annotations

from iptexplain.rules.extension import Option, Target
from iptexplain.rules.targets.log import Cut
from iptexplain.rules.values import Number


class Idletimer(Target):
    """Restarts a timer that tells programs when no such packet has come for a while; the next rule is asked.

    The timer is a file of /sys/class/xt_idletimer/timers; rules with the same label share it. ``--alarm`` wakes a
    sleeping machine, since Linux 5.7 (net/netfilter/xt_IDLETIMER.c).
    """

    name = "IDLETIMER"
    options = (
        Option("--timeout", Number(1, 2147482), required=True),
        Option("--label", Cut(27, quoted=False), required=True),
        Option("--alarm"),
    )
    __slots__ = ()
