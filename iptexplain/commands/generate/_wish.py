"""What restrict, allow and isolate share: their options, and the answer."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click

from iptexplain.commands.generate.replace import save
from iptexplain.errors import UsageError
from iptexplain.explain.difference import counts, difference_json
from iptexplain.explain.situation import Situation, situation_of
from iptexplain.explain.values import fields_json, place_json
from iptexplain.explain.words import environment
from iptexplain.generate.fulfil import Missed
from iptexplain.generate.wish import SIDES, Proved, Wish, lacks_user_chain, prove, restored
from iptexplain.host.snapshot import SCHEMA, Snapshot
from iptexplain.outputs.text import text
from iptexplain.rules.answer import Backend
from iptexplain.rules.model import Place

F = TypeVar("F", bound=Callable[..., Any])
SUFFIX = {Backend.NFT: "-nft", Backend.LEGACY: "-legacy"}


def wish_options(function: F) -> F:
    """``--format`` and ``--proof``."""
    function = click.option("--proof", metavar="FILE", help="Write what the rules change into FILE, as JSON.")(function)
    return click.option(
        "--format", "syntax", type=click.Choice(["commands", "restore"]), default="commands", show_default=True,
        help="commands for a shell, or text for iptables-restore --noflush.",
    )(function)  # fmt: skip


before_option = click.option(
    "--before", is_flag=True,
    help="Have the rules that let something through asked before those that DOCKER-USER has, which then cannot stop it.",
)  # fmt: skip


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
    past = _past_ipv6([wish for _, wish in made])
    if past:
        click.echo(
            "\n" + text(environment().get_template("documents/past_ipv6.j2").render(ports=past)), err=True, nl=False
        )
    if proof:
        found = difference_json([one for each in proofs for one in each.compared])
        missed = [one for (s, _), each in zip(made, proofs, strict=True) for one in _missed_json(s, each)]
        fulfilled = not missed and all(p.fulfilment.decided and not p.fulfilment.hidden for p in proofs)
        save(proof, json.dumps({"schema": SCHEMA, "fulfilled": fulfilled, "missed": missed, **found}, indent=2) + "\n")
    return 0 if all(each.holds for each in proofs) and not lacking else 1


def _past_ipv6(wishes: Sequence[Wish]) -> list[str]:
    """The ports that IPv4's rules leave to some clients, at every address of the host, and that docker-proxy serves over IPv6 as well:
    Docker's IPv6 rules do not publish them."""
    by_proxy = {
        a.values["port"]
        for w in wishes
        if w.family == 4
        for a in w.asked
        if a.name == "restrict-proxy" and a.packets.to_host
    }
    published = {a.values["port"] for w in wishes if w.family == 6 for a in w.asked if a.name == "restrict"}
    return sorted(by_proxy - published)


def _facts(situation: Situation, wish: Wish) -> dict[str, Any]:
    """For templates/outputs/wish.j2. Where both backends hold rules, the program is named that changes Docker's."""
    program = _program(situation)
    rules = [
        {"table": each.table, "reason": each.reason.text, "line": each.command(), "words": _shell(each.command())}
        for each in wish.lines
    ]
    tables = [t for t in ("filter", "raw") if restored(wish, t)]
    return {"family": wish.family, "program": program, "chain": wish.chain, "rules": rules, "tables": tables}


def _program(situation: Situation) -> str:
    name = "ip6tables" if situation.family == 6 else "iptables"
    return name + (SUFFIX[situation.ruleset.backend] if situation.half else "")


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
        family=situation.family, proof=proof, changes=bool(proof.flows), missed=_told(situation, proof, proof.fulfilment.missed),
        noted=_told(situation, proof, proof.fulfilment.noted), asked=bool(wish.asked),
        do=[{True: "open", False: "close"}[opens] for opens in sorted({line.opens for line in wish.lines}, reverse=True)],
        program=_program(situation),
    )  # fmt: skip
    changes = document.render(families=families, counts=found, decided=decided, sides=sides, whole="--proof FILE")
    click.echo(text(f"{verdict}\n{changes}"), err=True, nl=False)


def _missed_json(situation: Situation, proof: Proved) -> Iterator[dict[str, Any]]:
    """What is not as was asked for, for JSON."""
    for one in proof.fulfilment.missed:
        side, place = proof.named(one.by)
        yield {
            "family": situation.family, "wish": one.asked.name, **one.asked.values, "must_arrive": one.asked.arrives, "fate": one.fate,
            "by": place_json(place), "by_is_new": side == SIDES[1], "unknown": [place_json(proof.named(p)[1]) for p in one.perhaps],
            "witness": fields_json(one.example), "confirmed": one.is_confirmed,
        }  # fmt: skip


def _told(situation: Situation, proof: Proved, found: Sequence[Missed]) -> list[dict[str, Any]]:
    """For templates/documents/wish.j2: each with the rule as the user knows it."""
    return [
        {"it": one, **_rule(situation, proof, one.by), "perhaps": [proof.named(p) for p in one.perhaps]}
        for one in found
    ]


def _rule(situation: Situation, proof: Proved, by: Place | str | None) -> dict[str, Any]:
    """The deciding rule by its place in DUMP, or in RESULT where it is new, and its line."""
    side, place = proof.named(by)
    line = place.line if isinstance(place, Place) and place.rule != "policy" else 0
    return {"by": place, "side": side, "text": situation.dump.line(line) if line and side == SIDES[0] else ""}
