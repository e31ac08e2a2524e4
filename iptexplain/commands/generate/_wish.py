"""What restrict, allow and isolate share: their options, and the answer."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from iptexplain.commands.generate.replace import save
from iptexplain.errors import UsageError
from iptexplain.explain.difference import counts, difference_json
from iptexplain.explain.situation import Situation, situation_of
from iptexplain.explain.words import environment
from iptexplain.generate.wish import SIDES, Proved, Wish, lacks_user_chain, prove, restored
from iptexplain.host.snapshot import SCHEMA, Snapshot
from iptexplain.outputs.text import text
from iptexplain.rules.answer import Backend

F = TypeVar("F", bound=Callable[..., Any])
SUFFIX = {Backend.NFT: "-nft", Backend.LEGACY: "-legacy"}


def wish_options(function: F) -> F:
    """``--format`` and ``--proof``."""
    function = click.option("--proof", metavar="FILE", help="Write what the rules change into FILE, as JSON.")(function)
    return click.option(
        "--format", "syntax", type=click.Choice(["commands", "restore"]), default="commands", show_default=True,
        help="commands for a shell, or text for iptables-restore --noflush.",
    )(function)  # fmt: skip


def families(snapshot: Snapshot) -> list[Situation]:
    return [situation_of(snapshot, family) for family in snapshot.families]


def answer(wanted: Sequence[tuple[Situation, Callable[[], Wish]]], syntax: str, proof: str | None) -> int:
    """Print the rules, and on standard error what they change; the exit status. A family that has no place for them is named,
    where another has one."""
    lacking = [message for situation, _ in wanted if (message := lacks_user_chain(situation))]
    if len(lacking) == len(wanted):
        raise UsageError(lacking[0])
    for message in lacking:
        click.echo(f"note: {message}. Nothing was written for this family: it stays as it is.", err=True)
    made = [(situation, make()) for situation, make in wanted if not lacks_user_chain(situation)]
    facts = [_facts(situation, wish) for situation, wish in made]
    click.echo(environment().get_template("outputs/wish.j2").render(families=facts, syntax=syntax), nl=False)
    proofs = [prove(situation, wish) for situation, wish in made]
    for (situation, wish), each in zip(made, proofs, strict=True):
        _tell(situation, wish, each)
    if proof:
        found = difference_json([one for each in proofs for one in each.compared])
        save(proof, json.dumps({"schema": SCHEMA, **found}, indent=2) + "\n")
    return 0 if all(each.holds for each in proofs) and not lacking else 1


def _facts(situation: Situation, wish: Wish) -> dict[str, Any]:
    """For templates/outputs/wish.j2. Where both backends hold rules, the program is named that changes Docker's."""
    program = ("ip6tables" if wish.family == 6 else "iptables") + (
        SUFFIX[situation.ruleset.backend] if situation.half else ""
    )
    rules = [
        {"table": each.table, "reason": each.reason.text, "line": each.command(), "words": _shell(each.command())}
        for each in wish.lines
    ]
    tables = [t for t in ("filter", "raw") if restored(wish, t)]
    return {"family": wish.family, "program": program, "chain": wish.chain, "rules": rules, "tables": tables}


def _shell(command: str) -> str:
    """The words of a command for a shell."""
    return " ".join(word if word == "!" else shlex.quote(word) for word in shlex.split(command))


def _tell(situation: Situation, wish: Wish, proof: Proved) -> None:
    found = counts(proof.compared)
    document = environment().get_template("documents/difference.j2")
    sides = dict(zip(("old", "new"), SIDES, strict=True))
    decided = all(one.decided for one in proof.compared)
    families = [one.facts() for one in proof.compared]
    verdict = environment().get_template("documents/wish.j2").render(
        family=situation.family, proof=proof, decided=decided, changes=bool(proof.flows),
        do=[{True: "open", False: "close"}[opens] for opens in sorted({line.opens for line in wish.lines}, reverse=True)],
    )  # fmt: skip
    click.echo(text(verdict), err=True, nl=False)
    click.echo(
        text(document.render(families=families, counts=found, decided=decided, sides=sides, whole="--proof FILE")),
        err=True,
        nl=False,
    )
