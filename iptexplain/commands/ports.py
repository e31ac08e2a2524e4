"""iptexplain ports"""

from __future__ import annotations

import click

from iptexplain.commands._docker import docker_option, read_named
from iptexplain.commands._io import DUMP, assume_option, dump_argument, output_options, show, show_json
from iptexplain.explain.networks import merged
from iptexplain.explain.overview import ports_overview
from iptexplain.explain.port_runs import ports_json
from iptexplain.explain.situation import situations


@click.command("ports", epilog=DUMP)
@dump_argument
@docker_option
@assume_option
@output_options
def command(dump: str, inspected: str | None, assumed: tuple[str, ...], output: str, color: str) -> None:
    """Show published ports: where they lead, and for whom.

    For each port this tells which rules rewrite its packets and let them in, who can reach it, and which source
    address the program in the container sees. Ports that Docker did not publish, by rules written by hand or by
    another program, come after Docker's.
    """
    found = situations(read_named(dump, inspected, assumed))
    if output == "json":
        show_json(merged([ports_json(s) for s in found], found))
    else:
        show("ports", {"families": [ports_overview(s) for s in found]}, output, color)
