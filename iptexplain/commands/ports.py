"""iptexplain ports"""

from __future__ import annotations

import click

from iptexplain.commands._io import dump_argument, output_options, read, show, show_json, situations
from iptexplain.explain.networks import merged
from iptexplain.explain.overview import overview
from iptexplain.explain.ports import ports_json


@click.command("ports")
@dump_argument
@output_options
def command(dump: str, output: str, color: str) -> None:
    """Published ports: how each gets to its container, who can reach it, and whom the program there sees."""
    found = situations(read(dump))
    if output == "json":
        show_json(merged([ports_json(s) for s in found], found))
    else:
        show("ports", {"families": [overview(s) for s in found]}, output, color)
