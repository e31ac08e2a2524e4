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
from iptexplain.explain.words import listed, said
from iptexplain.generate.between import sides
from iptexplain.generate.restrict import restrict
from iptexplain.recognise.docker_port import Port
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
    already go on. The host's own programs, and what docker-proxy carries, do not pass DOCKER-USER. A family in which no
    client was named is closed for these ports. What the rules change is compared for all packets and said on standard
    error; the exit status is 1 when something else changes as well.
    """
    if not (ports or container or network):
        raise UsageError("say which ports: --port, --container or --network")
    found = families(read_named(dump, inspected))
    networks = [_network(text) for text in clients]
    chosen = [(s, _ports(s, ports, container, network)) for s in found]
    if not any(mine for _, mine in chosen):
        published = sorted({f"{p.host_port}/{p.proto}" for s in found for p in s.docker.ports})
        raise UsageError(
            f"no published port is meant by that: there {'are ' + listed(published) if published else 'is none'}"
        )
    made = [(s, partial(restrict, s, mine, _of(s, networks), drop_rest)) for s, mine in chosen if mine]
    ctx.exit(answer(made, False, syntax, proof))


def _network(text: str) -> Network:
    try:
        return to_network(text)
    except OptionError as e:
        raise UsageError(f"--from {said(text)}: {e.message}") from None


def _of(situation: Situation, networks: Sequence[Network]) -> list[Network]:
    return [n for n in networks if n.family == situation.family]


def _ports(situation: Situation, wanted: Sequence[str], container: str | None, network: str | None) -> list[Port]:
    """The published ports that all of the options mean."""
    found = situation.docker.ports
    if wanted:
        found = [p for p in found if {str(p.host_port), f"{p.host_port}/{p.proto}"} & set(wanted)]
    if network:
        bridges = {side.bridge for side in sides(situation, network) if side.address is None}
        found = [p for p in found if p.bridge in bridges]
    if container:
        addresses = {str(side.address).partition("/")[0] for side in sides(situation, container) if side.address}
        found = [p for p in found if p.container_ip in addresses]
    return found
