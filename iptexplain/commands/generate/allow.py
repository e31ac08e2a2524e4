"""iptexplain generate allow"""

from __future__ import annotations

from functools import partial

import click

from iptexplain.commands._docker import docker_option, read_named
from iptexplain.commands._io import DUMP
from iptexplain.commands.generate._wish import answer, before_option, families, wish_options
from iptexplain.generate.between import allow, named, split_service


@click.command("allow", epilog=DUMP)
@click.argument("dump", metavar="DUMP")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B[:PORT[/PROTOCOL]]")
@before_option
@wish_options
@docker_option
@click.pass_context
def command(
    ctx: click.Context, dump: str, a: str, b: str, before: bool, syntax: str, proof: str | None, inspected: str | None
) -> None:
    """Write rules for DOCKER-USER by which A may open connections to B.

    A and B are Docker networks (name or bridge) or containers (name or address); with a PORT of B, to that port alone.
    The rules are asked after those that DOCKER-USER has, and before Docker's, which keep networks apart. The result is
    asked about all packets: whether those of A arrive, and their answers get back, and whether anything else changes. What
    came of it is said on standard error; the exit status is 1 when something stands in the way, or something else changes.
    """
    name, service = split_service(b)
    found = named(families(read_named(dump, inspected)), a, name)
    ctx.exit(answer([(s, partial(allow, s, one, other, service, before)) for s, one, other in found], syntax, proof))
