"""iptexplain man"""

from __future__ import annotations

import click

from iptexplain.commands import program
from iptexplain.outputs.man import docker_page, page


@click.command("man")
@click.argument("topic", required=False, type=click.Choice(["docker"]), metavar="[docker]")
def command(topic: str | None) -> None:
    """Print the manual page, or the one about Docker's networking.

    It is roff, as man reads it: iptexplain man | man -l -

    With the word docker it is iptexplain-docker(7): how Docker uses netfilter, with the rules that show it.
    """
    click.echo(docker_page("iptexplain") if topic else page(program, "iptexplain"), nl=False)
