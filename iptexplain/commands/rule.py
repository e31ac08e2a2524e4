"""iptexplain rule"""

from __future__ import annotations

import click

from iptexplain.commands._io import output_options, show, show_json
from iptexplain.explain.rule import rule_facts
from iptexplain.rules.model import BASE_CHAINS


class RuleCommand(click.Command):
    """A command whose argument looks like options: what begins with a word that is no option of ours is the rule."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        takes_value = {
            o: not getattr(p, "is_flag", True) for p in self.get_params(ctx) for o in p.opts if o.startswith("-")
        }
        i = 0
        while i < len(args) and args[i].partition("=")[0] in takes_value:
            i += 1 + (takes_value[args[i].partition("=")[0]] and "=" not in args[i])
        return super().parse_args(ctx, args if "--" in args else [*args[:i], "--", *args[i:]])


@click.command("rule", cls=RuleCommand)
@click.option(
    "-t",
    "--table",
    type=click.Choice(sorted(BASE_CHAINS)),
    help="The rule's table; when none is named, the likely one.",
)
@click.option("-6", "--ipv6", is_flag=True, help="Read it as a rule of ip6tables.")
@output_options
@click.argument("words", nargs=-1, required=True, metavar="RULE")
def command(table: str | None, ipv6: bool, output: str, color: str, words: tuple[str, ...]) -> None:
    """Explain one rule, option by option.

    RULE is a line of iptables-save (-A CHAIN ...) or a command that adds one (iptables -A CHAIN ...), best in quotes:
    iptexplain rule '-A FORWARD -i docker0 -j ACCEPT'
    """
    facts = rule_facts(" ".join(words), table, 6 if ipv6 else None)
    if output == "json":
        show_json({**facts, "clauses": [{"text": a, "says": b} for a, b in facts["clauses"]]})
    else:
        show("rule", facts, output, color)
