"""A plan as a systemd unit that loads its rules before Docker starts, and the files that the unit loads.

The rules stand beside the unit and not in it: what systemd makes of backslashes and percent signs does not matter then, and the files
are those that iptables-restore reads. The unit finds them by its own name (``%N``).
"""

from __future__ import annotations

from iptexplain.generate.plan import Plan
from iptexplain.outputs.iptables_restore import Output, beside

FORMAT = "systemd"
"""What ``--format`` calls it."""
NEEDS_FILE = True
"""Its files belong into different places, so they are never printed one after the other."""


def render(plan: Plan, comments: bool) -> list[Output]:
    """The unit, and a file for each family."""
    return beside(plan, comments, FORMAT, ".service")
