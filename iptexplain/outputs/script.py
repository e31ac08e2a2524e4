"""A plan as a shell script that checks, applies, confirms and takes back its rules.

The rules stand in here documents with quoted ends, in which a shell changes nothing; each of their lines begins with a character that
the end's name does not begin with.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.explain.words import environment
from iptexplain.generate.plan import FamilyPlan, Plan
from iptexplain.outputs.iptables_restore import Output, header, restore_body
from iptexplain.rules.model import BASE_CHAINS

FORMAT = "script"
"""What ``--format`` calls it."""


def render(plan: Plan, comments: bool) -> list[Output]:
    """One script for all families."""
    families = [
        {"family": f.family, "rules": restore_body(f, comments), "empty": "\n".join(_empty(f)) + "\n"} for f in plan.families
    ]  # fmt: skip
    return [Output("", environment().get_template("outputs/script.j2").render(header=header(plan), families=families))]


def _empty(family: FamilyPlan) -> Iterator[str]:
    """The tables of a plan as they are when nobody has written a rule."""
    for table in family.tables:
        yield f"*{table.name}"
        yield from (f":{chain} ACCEPT [0:0]" for chain in BASE_CHAINS[table.name])
        yield "COMMIT"
