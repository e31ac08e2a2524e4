"""iptexplain diff"""

from __future__ import annotations

import click

from iptexplain.commands._differing import answer, read_both, strict_option
from iptexplain.commands._io import DUMP, assume_option, output_options
from iptexplain.sets.difference import Scope


@click.command(
    "diff",
    epilog=DUMP.replace("DUMP is", "OLD and NEW are each").partition(" Without it")[0]
    + " One of them may be -, for standard input.",
)
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--deciders", is_flag=True, help="Tell, too, where another rule decides but nothing else is different.")
@strict_option
@assume_option
@output_options
@click.pass_context
def command(
    ctx: click.Context, old: str, new: str, deciders: bool, strict: bool, assumed: tuple[str, ...], output: str, color: str
) -> None:  # fmt: skip
    """Show which packets two rulesets treat differently.

    Packets are compared, not lines: what was dropped and is now accepted, the other way round, and what is rewritten
    otherwise, each with the rules that decide and an example. Renamed chains, independent rules in another order and ports that are
    grouped otherwise are no difference. Both are rules of one host. The exit status is 1 when there is a difference.

    A condition that no dump decides, such as a limit, is the same in both where the same rule stands in both. Marks count
    where rules read them.
    """
    names = ("OLD", "NEW")
    before, after = read_both(old, new, names, assumed)
    ctx.exit(answer(before, after, names, Scope(deciders=deciders), strict, output, color))
