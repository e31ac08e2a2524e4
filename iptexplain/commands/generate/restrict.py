"""iptexplain generate restrict"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import click

from iptexplain.commands._docker import docker_option, read_named
from iptexplain.commands._io import DUMP
from iptexplain.commands.generate._wish import answer, families, wish_options
from iptexplain.errors import OptionError, UsageError
from iptexplain.explain.situation import Situation
from iptexplain.explain.words import said
from iptexplain.generate.restrict import Restriction, nothing_published, published, restrict
from iptexplain.rules.addresses import Network, to_network


@click.command("restrict", epilog=DUMP)
@click.argument("dump", metavar="DUMP")
@click.option(
    "--port", "ports", multiple=True, metavar="PORT[/PROTOCOL]", help="A published port, as clients ask for it. May be given several times."
)  # fmt: skip
@click.option(
    "--from", "clients", multiple=True, required=True, metavar="NETWORK",
    help="Who may use it: an address or a network such as 192.0.2.0/24. May be given several times.",
)  # fmt: skip
@click.option("--container", metavar="NAME", help="Only ports of this container; without --port, all of them.")
@click.option("--network", metavar="NAME", help="Only ports of this Docker network; without --port, all of them.")
@click.option(
    "--drop-rest", is_flag=True, help="Nothing else gets to the networks of these ports from outside of them, not by other ports nor directly."
)  # fmt: skip
@wish_options
@docker_option
@click.pass_context
def command(
    ctx: click.Context, dump: str, ports: tuple[str, ...], clients: tuple[str, ...], container: str | None, network: str | None,
    drop_rest: bool, syntax: str, proof: str | None, inspected: str | None,
) -> None:  # fmt: skip
    """Write rules for DOCKER-USER that leave published ports to some clients.

    The rules ask for the port that the client asked for, because Docker has rewritten it before. Connections that are open
    already go on. The host's own programs, and what docker-proxy carries from containers, do not pass DOCKER-USER. A family
    in which no client was named is closed for these ports, where Docker's rules publish them. The result is asked about all
    packets: whether any of others still gets in, and whether anything else changes. What came of it is said on standard
    error; the exit status is 1 when it is not so.
    """
    if not (ports or container or network):
        raise UsageError("say which ports: --port, --container or --network")
    found = families(read_named(dump, inspected))
    networks = [_network(text) for text in clients]
    chosen = [(s, published(s, ports, container, network)) for s in found]
    nothing = nothing_published(found, ports, container, network)
    if nothing:
        raise UsageError(nothing)
    made = [(s, partial(restrict, s, [Restriction(mine, _of(s, networks), drop_rest)])) for s, mine in chosen if mine]
    ctx.exit(answer(made, syntax, proof))


def _network(text: str) -> Network:
    try:
        return to_network(text)
    except OptionError as e:
        raise UsageError(f"--from {said(text)}: {e.message}") from None


def _of(situation: Situation, networks: Sequence[Network]) -> list[Network]:
    return [n for n in networks if n.family == situation.family]
