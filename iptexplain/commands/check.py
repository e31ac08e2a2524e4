"""iptexplain check"""

from __future__ import annotations

import click

from iptexplain.commands._differing import answer, read_both, strict_option
from iptexplain.commands._io import assume_option, output_options
from iptexplain.errors import UsageError
from iptexplain.host.snapshot import Snapshot
from iptexplain.rules.model import Dump
from iptexplain.rules.rename import renamed
from iptexplain.sets.difference import Scope

HOOKS = {"forward": "FORWARD", "input": "INPUT", "output": "OUTPUT"}


@click.command("check")
@click.argument("rules", metavar="RULES")
@click.option(
    "--against", metavar="DUMP", required=True, help="The rules that they are held against, such as those that run."
)
@click.option(
    "--only", multiple=True, type=click.Choice([*HOOKS, "nat"]),
    help="Compare only packets that are forwarded, that are for the host or that it sends, or (nat) only what packets are rewritten to. May be given "
    "several times.",
)  # fmt: skip
@click.option(
    "--ignore-interface",
    "ignored",
    multiple=True,
    metavar="NAME",
    help="Leave out packets that come or go by this interface.",
)
@click.option(
    "--map", "mapped", multiple=True, metavar="NAME=NAME",
    help="Read an interface's name in RULES as another one in DUMP, such as eth0=ens3.",
)  # fmt: skip
@strict_option
@assume_option
@output_options
@click.pass_context
def command(
    ctx: click.Context, rules: str, against: str, only: tuple[str, ...], ignored: tuple[str, ...], mapped: tuple[str, ...],
    strict: bool, assumed: tuple[str, ...], output: str, color: str,
) -> None:  # fmt: skip
    """Prove that two rulesets treat every packet alike, or show the packets for which they do not.

    RULES and DUMP are each a file with what iptables-save, ip6tables-save or iptables -S prints, or a snapshot (JSON); one of them may be -, for
    standard input. Both are taken for rules of one host. A table that is missing lets everything pass. The exit status is 1
    when there is a difference, each with an example and the rules that decide.
    """
    names = ("DUMP", "RULES")
    theirs, ours = read_both(against, rules, names, assumed)
    scope = Scope(frozenset(HOOKS[name] for name in only if name in HOOKS), "nat" in only, frozenset(ignored))
    ctx.exit(answer(theirs, _renamed(ours, mapped), names, scope, strict, output, color))


def _renamed(snapshot: Snapshot, mapped: tuple[str, ...]) -> Snapshot:
    names = {}
    for text in mapped:
        name, equals, other = text.partition("=")
        if not (name and equals and other):
            raise UsageError(f"--map {text}: write NAME=NAME, such as eth0=ens3")
        names[name] = other
    dumps = (Dump(d.file, d.text, tuple(renamed(r, names) for r in d.rulesets), d.ignored) for d in snapshot.dumps)
    # What RULES' snapshot says of the host has the old names; where some are mapped, the host is DUMP's.
    return snapshot._replace(dumps=tuple(dumps), facts={} if names else snapshot.facts)
