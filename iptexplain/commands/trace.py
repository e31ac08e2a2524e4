"""iptexplain trace"""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from click.core import ParameterSource

from iptexplain.commands._docker import docker_option, read_named
from iptexplain.commands._io import DUMP, assume_option, dump_argument, output_options, read_lines, show
from iptexplain.errors import OptionError, UsageError
from iptexplain.explain.question import Asker, no_port_named
from iptexplain.explain.situation import ARRIVED, Situation, situation_of
from iptexplain.explain.way import trace_facts, trace_json
from iptexplain.explain.words import listed
from iptexplain.host.snapshot import Snapshot
from iptexplain.rules.matches.conntrack import STATES
from iptexplain.rules.values import Family
from iptexplain.walk.flows import Flows, earlier

FIELDS = {
    "iif": ("-i", "INTERFACE", "Interface that it comes in by, if not the one that leads to its source."),
    "src": ("-s", "ADDRESS", "Source address, instead of --from or to replace the address that --from stands for."),
    "dst": ("-d", "ADDRESS", "Destination address, in the same way beside --to."),
    "proto": ("-p", "PROTOCOL", "Protocol, by name or number; tcp when none is named."),
    "sport": ("--sport", "PORT", "Source port."),
    "dport": ("--dport", "PORT", "Destination port."),
    "icmp_type": ("--icmp-type", "NUMBER", "ICMP type; an echo request when none is named."),
    "flags": ("--tcp-flags", "FLAGS", "TCP flags that are set, such as SYN,ACK; SYN when none are named."),
    "ctstate": (
        "--ctstate",
        "STATE",
        f"State of its connection, if not the one that the kernel would see: {', '.join(STATES)}.",
    ),
    "mark": ("--mark", "NUMBER", "Mark that it carries when it comes in."),
    "length": ("--length", "BYTES", "Length of the IP packet."),
    "ttl": ("--ttl", "NUMBER", "Time to live when it comes in; 64 when none is named."),
}
"""Packet field → its option, what stands for the value, and the help."""


def _field_options(function: Any) -> Any:
    for name, (option, value, words) in reversed(FIELDS.items()):
        kind = click.Choice(STATES, case_sensitive=False) if name == "ctstate" else None
        function = click.option(option, name, metavar=value, type=kind, help=words)(function)
    return function


@click.command("trace", epilog=DUMP)
@dump_argument
@click.option(
    "--from",
    "source",
    metavar="END[:PORT]",
    help="Who sends: an address, a container, a network, an interface, or the word host or internet.",
)
@click.option("--to", "target", metavar="END[:PORT]", help="Who is to get the packet, named in the same way.")
@_field_options
@click.option(
    "--set",
    "others",
    multiple=True,
    metavar="FIELD=VALUE",
    help="Another field of the packet; a wrong FIELD lists all of them.",
)
@click.option(
    "--packets",
    metavar="FILE",
    help="Trace the packets in FILE instead (JSON, one a line, - for standard input); each answer is a line of JSON. A packet "
    'has src, dst and proto, and the fields that --set lists, such as {"iif": "eth0", "src": "192.0.2.50", "dst": "192.0.2.10", '
    '"proto": "tcp", "dport": 22}; one without iif is sent by the host itself.',
)
@click.option("-6", "--ipv6", is_flag=True, help="Ask the IPv6 rules, where the ends do not say it.")
@click.option(
    "--exit-code", is_flag=True, help="Exit with status 1 when the packet does not arrive, or nobody can tell."
)
@click.option(
    "--strict", is_flag=True, help="Exit with status 4 when the rules and what is known do not settle the answer."
)
@docker_option
@assume_option
@output_options
@click.pass_context
def command(
    ctx: click.Context, /, dump: str, source: str | None, target: str | None, others: tuple[str, ...],
    packets: str | None, inspected: str | None, assumed: tuple[str, ...], ipv6: bool, exit_code: bool, strict: bool,
    output: str, color: str, **fields: str | None,
) -> None:  # fmt: skip
    """Follow one packet, rule by rule, to the rule that decides.

    The answer comes first: whether the packet arrives, and why. Then come the rules that it meets, and what would
    change the answer. A first packet of a connection is meant, unless options say otherwise.
    """
    if packets:
        _check_beside(ctx, dump, packets, output)
    snapshot = read_named(dump, inspected, assumed)
    given = {k: v for k, v in fields.items() if v is not None}
    for other in others:
        name, equals, value = other.partition("=")
        if not equals:
            raise UsageError(f"--set {other}: write FIELD=VALUE")
        given[name] = value
    if packets:
        kinds = _stream(snapshot, packets)
    else:
        situation, way, notes = Asker(snapshot).ask(source, target, given, ipv6)
        kinds = {way.outcome.kind}
        if output == "json":
            click.echo(json.dumps(trace_json(situation, way, notes), indent=2))
        else:
            show("trace", trace_facts(situation, way, notes), output, color)
    if strict and "unknown" in kinds:
        ctx.exit(4)
    if exit_code and not kinds <= set(ARRIVED):
        ctx.exit(1)


def _check_beside(ctx: click.Context, dump: str, packets: str, output: str) -> None:
    """What cannot be said beside --packets, for it would be passed over."""

    def said(*names: str) -> list[str]:
        options = [p for p in ctx.command.params if p.name in names]
        return [p.opts[0] for p in options if ctx.get_parameter_source(p.name or "") is ParameterSource.COMMANDLINE]

    if beside := said("source", "target", "others", "ipv6", *FIELDS):
        raise UsageError(f"--packets reads whole packets: leave out {listed(beside)} and say it in each line of FILE")
    if output != "json" and said("output"):
        raise UsageError(f"--packets answers with a line of JSON for each packet: leave out -o {output}")
    if packets == dump == "-":
        raise UsageError("DUMP and --packets cannot both be standard input: name a file for one of them")
    if packets == "-" and sys.stdin.isatty():
        raise UsageError("--packets is -, but standard input is a terminal: name a file")


def _stream(snapshot: Snapshot, file: str) -> set[str]:
    """Print one JSON object for each packet of ``file``, in order; the kinds of outcome that there were."""
    kinds: set[str] = set()
    flows: dict[Family, tuple[Situation, Flows]] = {}
    order: list[tuple[Family, int]] = []
    for number, line in enumerate(read_lines(file), 1):
        if not line.strip():
            continue
        try:
            packet = _loaded(line.strip())
            family: Family = 6 if isinstance(packet, dict) and ":" in str(packet.get("src", "")) else 4
            if family not in flows:
                situation = situation_of(snapshot, family)
                flows[family] = (situation, Flows(situation.ruleset, situation.topology, situation.beside))
            situation, walker = flows[family]
            if isinstance(packet, dict) and packet.get("after") is not None:
                packet["after"] = _number(packet["after"], order, family)
            order.append((family, len(walker.sent)))
            way = walker.trace(packet)
            kinds.add(way.outcome.kind)
            notes = no_port_named(way) if {packet.get("dport"), packet.get("after")} == {None} else ()
            click.echo(json.dumps(trace_json(situation, way, notes)))
        except (OptionError, UsageError) as e:
            raise UsageError(f"{file}:{number}: {e.message}") from None
    if not order:
        raise UsageError(f"{file}: there is no packet in it: write each as a line of JSON")
    return kinds


def _loaded(line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as e:
        raise OptionError(f"this is not JSON ({e.msg}, column {e.colno}): write each packet as one line") from None
    except (ValueError, RecursionError):
        raise OptionError("this is no packet: a number is too long, or lists lie in lists without end") from None


def _number(after: object, order: list[tuple[Family, int]], family: Family) -> int:
    """The number of an earlier packet among those of its own family."""
    of, number = earlier(after, order)
    if of != family:
        raise OptionError(f"after: packet {after} is one of IPv{of}, this one of IPv{family}")
    return number
