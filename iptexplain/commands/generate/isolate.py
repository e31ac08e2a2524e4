"""iptexplain generate isolate"""

from __future__ import annotations

from functools import partial

import click

from iptexplain.commands._docker import docker_option, read_named
from iptexplain.commands._io import DUMP
from iptexplain.commands.generate._wish import answer, families, wish_options
from iptexplain.generate.between import isolate, named


@click.command("isolate", epilog=DUMP)
@click.argument("dump", metavar="DUMP")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@wish_options
@docker_option
@click.pass_context
def command(
    ctx: click.Context, dump: str, a: str, b: str, syntax: str, proof: str | None, inspected: str | None
) -> None:
    """Write rules for DOCKER-USER by which nothing passes between A and B.

    A and B are Docker networks (name or bridge) or containers (name or address). The rules do not see what docker-proxy
    carries, nor, where the kernel does not show bridged packets to iptables, what passes within one network. The result is
    asked about all packets: whether any that opens a connection still arrives, and whether anything else changes. What came
    of it is said on standard error; the exit status is 1 when it is not so.
    """
    found = named(families(read_named(dump, inspected)), a, b)
    ctx.exit(answer([(s, partial(isolate, s, one, other)) for s, one, other in found], syntax, proof))
