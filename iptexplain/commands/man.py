"""iptexplain man"""

from __future__ import annotations

import click

from iptexplain.commands import program
from iptexplain.outputs.man import page


@click.command("man")
def command() -> None:
    """Print the manual page.

    It is roff, as man reads it: iptexplain man | man -l -
    """
    click.echo(page(program, "iptexplain"), nl=False)
