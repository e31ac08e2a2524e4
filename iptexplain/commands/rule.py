"""iptexplain rule"""

from __future__ import annotations

import click

from iptexplain.commands._io import output_options, show, show_json
from iptexplain.explain.rule import rule_facts
from iptexplain.rules.model import BASE_CHAINS


@click.command("rule", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "-t", "--table", type=click.Choice(list(BASE_CHAINS)), help="The table that the rule is in (else: the likely one)."
)
@click.option("-6", "--ipv6", is_flag=True, help="A rule of ip6tables.")
@output_options
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="RULE")
def command(table: str | None, ipv6: bool, output: str, color: str, words: tuple[str, ...]) -> None:
    """One rule, option by option: iptexplain rule '-A FORWARD -i docker0 -j ACCEPT'"""
    facts = rule_facts(" ".join(words), table, 6 if ipv6 else None)
    if output == "json":
        show_json({**facts, "clauses": [{"text": a, "says": b} for a, b in facts["clauses"]]})
    else:
        show("rule", facts, output, color)
