"""A plan as files for iptables-restore and ip6tables-restore."""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.explain.words import environment, remark
from iptexplain.generate.plan import FamilyPlan, Plan, Planned
from iptexplain.rules.extension import Setting
from iptexplain.rules.matches.comment import LIMIT, Comment
from iptexplain.rules.model import Rule
from iptexplain.rules.save import save_rule

FORMAT = "restore"
"""What ``--format`` calls it."""


class Output(NamedTuple):
    """One file: what is put after its name where a plan makes several, and its text."""

    suffix: str
    text: str


def render(plan: Plan, comments: bool) -> list[Output]:
    """One file for each family; ``comments``: each rule has its reason as ``-m comment`` as well."""
    return [Output(f".v{family.family}", restore_text(plan, family, comments)) for family in plan.families]


def beside(plan: Plan, comments: bool, syntax: str, suffix: str) -> list[Output]:
    """The file of a ``syntax`` that only says how rules are loaded, and beside it the files for iptables-restore that hold them."""
    families = [family.family for family in plan.families]
    text = environment().get_template(f"outputs/{syntax}.j2").render(header=header(plan), families=families)
    return [Output(suffix, text), *render(plan, comments)]


def restore_text(plan: Plan, family: FamilyPlan, comments: bool) -> str:
    """The rules of one family as a file for iptables-restore."""
    program = "ip6tables" if family.family == 6 else "iptables"
    body = restore_body(family, comments)
    return (
        environment()
        .get_template("outputs/iptables_restore.j2")
        .render(header=header(plan), program=program, body=body)
    )


def restore_body(family: FamilyPlan, comments: bool) -> str:
    """The tables of one family. Every line that is not blank begins with ``*``, ``:``, ``-``, ``#`` or is COMMIT."""
    tables = [
        {
            "name": table.name,
            "chains": [
                {
                    "name": chain.name,
                    "policy": chain.policy,
                    "rules": [{"reason": r.reason.text, "text": rule_text(r, family, comments)} for r in chain.rules],
                }
                for chain in table.chains
            ],
        }
        for table in family.tables
    ]
    return environment().get_template("outputs/restore_tables.j2").render(tables=tables)


def header(plan: Plan) -> str:
    """What the file says of itself, as comment lines."""
    text = environment().get_template("outputs/header.j2").render(plan=plan)
    return remark(text.strip("\n"))


def rule_text(planned: Planned, family: FamilyPlan, comments: bool) -> str:
    """One rule, in iptables-save's spelling."""
    return save_rule(commented(planned, comments), family.ruleset.backend)


def commented(planned: Planned, comments: bool) -> Rule:
    """A rule, with its reason as a comment where that is asked for."""
    rule = planned.rule
    if comments and planned.own and not any(isinstance(m, Comment) for m in rule.matches):
        rule = rule._replace(matches=(*rule.matches, _comment(planned.reason.text)))
    return rule


def _comment(text: str) -> Comment:
    """A remark of at most 255 bytes, cut between characters."""
    cut = text.encode(errors="replace")[:LIMIT].decode(errors="ignore")
    return Comment((Setting(Comment.option("comment"), cut),))
