"""iptexplain explain"""

from __future__ import annotations

import click

from iptexplain.commands._docker import docker_option, read_named
from iptexplain.commands._io import DUMP, dump_argument, output_options, show, show_json
from iptexplain.explain.chains import find_chains
from iptexplain.explain.networks import merged
from iptexplain.explain.overview import explain_json, overview
from iptexplain.explain.situation import situations


@click.command("explain", epilog=DUMP)
@dump_argument
@click.option(
    "--chain", metavar="NAME", help="Explain only this chain, rule by rule; TABLE/NAME for the one in that table."
)
@click.option("-v", "--verbose", is_flag=True, help="Explain every rule of every chain, too.")
@docker_option
@output_options
def command(dump: str, chain: str | None, verbose: bool, inspected: str | None, output: str, color: str) -> None:
    """Explain the whole ruleset, Docker's part first.

    Docker's networks and published ports are told as what they mean, all other rules chain by chain.
    """
    found = situations(read_named(dump, inspected))
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
