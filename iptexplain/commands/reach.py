"""iptexplain reach"""

from __future__ import annotations

import click

from iptexplain.commands._docker import docker_option, read_named
from iptexplain.commands._io import DUMP, assume_option, dump_argument, output_options, show, show_json
from iptexplain.errors import OptionError, UsageError
from iptexplain.explain.question import family_of
from iptexplain.explain.reach import Asked
from iptexplain.explain.situation import Situation
from iptexplain.rules.parameters import Protocol


@click.command("reach", epilog=DUMP)
@dump_argument
@click.option(
    "--from",
    "source",
    metavar="END",
    help="Who sends: an address, a container, a network, an interface, or the word host or internet; anybody outside when it is left out.",
)
@click.option(
    "--to", "target", metavar="END[:PORT]",
    help="Where the packets arrive or, where they do not, were sent to; named in the same way.",
)  # fmt: skip
@click.option("-p", "proto", metavar="PROTOCOL", help="This protocol alone, by name or number.")
@click.option("-6", "--ipv6", is_flag=True, help="Ask the IPv6 rules, where the ends do not say it.")
@docker_option
@assume_option
@output_options
def command(
    dump: str, source: str | None, target: str | None, proto: str | None, ipv6: bool, inspected: str | None,
    assumed: tuple[str, ...], output: str, color: str,
) -> None:  # fmt: skip
    """Show which packets get through, and which do not.

    The answer holds for all packets at once: it names regions of addresses, ports and protocols, each with the rule
    that decides. The first packets of connections are meant. Without --to, everything that --from can reach is shown;
    --from internet shows what is open to the world.

    After 60 seconds, or with 5,000,000 nodes of decision diagrams in memory, the answer is that it could not be decided;
    the exit status is 0 then, too ("decided": false in JSON).
    """
    if not source and not target:
        raise UsageError("say who sends or who is to get it: --from END, --to END, or both")
    try:
        wanted = Protocol().parse(proto, 4) if proto else None
    except OptionError as e:
        raise UsageError(f"-p {proto}: {e.message}") from None
    snapshot = read_named(dump, inspected, assumed)
    situation = Situation(snapshot, family_of(snapshot, (source, target), ipv6))
    asked = Asked(situation, source, target, wanted)
    if output == "json":
        show_json(asked.json())
    else:
        show("reach", {"families": [asked.facts()]}, output, color)
