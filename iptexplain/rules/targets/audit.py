"""-j AUDIT"""

from __future__ import annotations

from iptexplain.rules.extension import Option, Target
from iptexplain.rules.values import Choice


class Audit(Target):
    """Writes a record about the packet for the audit system (auditd); the next rule is asked.

    ``--type`` says nothing any more since Linux 4.12 (net/netfilter/xt_AUDIT.c).
    """

    name = "AUDIT"
    options = (Option("--type", Choice("accept", "drop", "reject", any_case=True), required=True),)
    __slots__ = ()
