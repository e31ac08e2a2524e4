"""A plan as tasks for Ansible that put its rules on a host and load them when they changed, and the files that they put there.

The rules stand beside the tasks: Ansible copies a file byte by byte, while it would take ``{{ }}`` in a task for its own language.
"""

from __future__ import annotations

from iptexplain.generate.plan import Plan
from iptexplain.outputs.iptables_restore import Output, beside

FORMAT = "ansible"
"""What ``--format`` calls it."""
NEEDS_FILE = True
"""Its files belong into different places, so they are never printed one after the other."""


def render(plan: Plan, comments: bool) -> list[Output]:
    """The tasks, and a file for each family."""
    return beside(plan, comments, FORMAT, ".yml")
