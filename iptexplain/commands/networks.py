"""iptexplain networks"""

from __future__ import annotations

import click

from iptexplain.commands._docker import docker_option, read_named
from iptexplain.commands._io import DUMP, assume_option, dump_argument, output_options, show, show_json
from iptexplain.explain.networks import merged, networks_json
from iptexplain.explain.overview import networks_overview
from iptexplain.explain.situation import situations


@click.command("networks", epilog=DUMP)
@dump_argument
@docker_option
@assume_option
@output_options
def command(dump: str, inspected: str | None, assumed: tuple[str, ...], output: str, color: str) -> None:
    """Show Docker's networks and who can reach whom.

    Each "no" names the rule that is to blame. The answers are those of one packet, and are held against all: which
    protocols, ports and addresses fare otherwise is said below the matrix.
    """
    found = situations(read_named(dump, inspected, assumed))
    if output == "json":
        show_json(merged([networks_json(s) for s in found], found))
    else:
        show("networks", {"families": [networks_overview(s) for s in found]}, output, color)
