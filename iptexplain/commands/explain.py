"""iptexplain explain"""

from __future__ import annotations

import click

from iptexplain.commands._io import dump_argument, output_options, read, show, show_json, situations
from iptexplain.explain.chains import find_chains
from iptexplain.explain.networks import merged
from iptexplain.explain.overview import explain_json, overview


@click.command("explain")
@dump_argument
@click.option(
    "--chain", metavar="NAME", help="Explain one chain rule by rule; TABLE/NAME where a name is in two tables."
)
@click.option("-v", "--verbose", is_flag=True, help="Every rule of every chain, too.")
@output_options
def command(dump: str, chain: str | None, verbose: bool, output: str, color: str) -> None:
    """The whole ruleset in plain language, Docker first.

    DUMP is a file with iptables-save text (or iptables -S, or a snapshot), or - for standard input.
    """
    found = situations(read(dump))
    if chain:
        views = [(s, v) for s in found for v in find_chains(s, chain)]
        if output == "json":
            show_json(
                {
                    "chains": [
                        {"family": s.family, **v._asdict(), "rows": [r._asdict() for r in v.rows]} for s, v in views
                    ]
                }
            )
        else:
            show("chain", {"views": views}, output, color)
    elif output == "json":
        show_json(merged([explain_json(s) for s in found], found))
    else:
        show("explain", {"families": [overview(s, verbose) for s in found]}, output, color)
