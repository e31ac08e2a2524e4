"""iptexplain generate replace"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import click

from iptexplain.commands import show_errors
from iptexplain.commands._compose import digest, env_file_option, surroundings
from iptexplain.commands._io import read_text
from iptexplain.errors import DumpError, UsageError
from iptexplain.explain.situation import Situation
from iptexplain.explain.words import environment, said
from iptexplain.generate.ext_bridges import with_sets
from iptexplain.generate.plan import STYLES, Plan, plan
from iptexplain.generate.prove import Step, is_proved, proof_json, prove
from iptexplain.generate.refuse import refuse
from iptexplain.generate.source import read_source
from iptexplain.host.scratch import loaders
from iptexplain.host.snapshot import SCHEMA, Snapshot
from iptexplain.outputs import formats
from iptexplain.outputs.iptables_restore import restore_text
from iptexplain.outputs.text import text
from iptexplain.rules.values import Family


@click.command("replace")
@click.argument("source", metavar="SOURCE")
@click.option(
    "--format", "syntax", type=click.Choice(sorted(formats())), default="restore", show_default=True,
    help="The syntax: restore is a file for iptables-restore, nft one for nft -f, script a shell script that takes the rules back unless "
    "they are confirmed. systemd is a unit that loads restore files before Docker starts, ansible tasks that copy and load them; with "
    "--output NAME, NAME.service or NAME.yml and the restore files NAME.v4 and NAME.v6.",
)  # fmt: skip
@click.option(
    "--style", type=click.Choice(list(STYLES)), default="docker", show_default=True,
    help="docker: Docker's structure in chains of our own; flat: as few rules as will do the same; strict: closed but for "
    "published ports, answers and what --egress names.",
)  # fmt: skip
@click.option(
    "--family", type=click.Choice(["4", "6", "both"]), default="both", show_default=True,
    help="The rules of this family alone.",
)  # fmt: skip
@click.option(
    "--egress", "egress", multiple=True, metavar="NETWORK",
    help="With --style strict: containers of this network (its name or its bridge) may open connections to outside. May be given "
    "several times.",
)  # fmt: skip
@click.option(
    "--keep-proxy", is_flag=True,
    help="The daemon goes on with docker-proxy (\"userland-proxy\": true), so the rules leave to it what Docker's left to it.",
)  # fmt: skip
@click.option("--comments", is_flag=True, help="Each rule says why it is there in the kernel, too (-m comment).")
@click.option(
    "-o",
    "--output",
    "file",
    metavar="FILE",
    help="Write the rules into FILE; if they make several files, into FILE.v4 and FILE.v6.",
)
@click.option(
    "--load-test", is_flag=True,
    help="Load the result in a network namespace that is thrown away at once, with both backends (into legacy with python-iptables, too, "
    "if it is installed), and say what this kernel refuses. It needs root.",
)  # fmt: skip
@click.option(
    "--prove/--no-prove",
    "wants_proof",
    default=True,
    show_default=True,
    help="Compare the result with the source for all packets.",
)
@click.option("--proof", metavar="FILE", help="Write what was proved into FILE, as JSON.")
@env_file_option
@click.pass_context
def command(
    ctx: click.Context, source: str, syntax: str, style: str, family: str, egress: tuple[str, ...], keep_proxy: bool, comments: bool,
    file: str | None, wants_proof: bool, proof: str | None,
    load_test: bool, env_files: tuple[str, ...],
) -> None:  # fmt: skip
    """Write the rules of a host whose Docker daemon has "iptables": false.

    SOURCE is what iptables-save prints on a host where Docker writes its rules itself, or a snapshot (JSON), which knows
    more. It can be what 'docker network inspect' and 'docker inspect' print, too, one after the other, or a compose file:
    then it is as if Docker 29 had written its rules for these networks and containers.

    Of a compose file all must be written down that Docker would choose when it starts: of each network the bridge's name
    (driver_opts: com.docker.network.bridge.name) and the subnet (ipam), of each published port the host's port, and the
    address of its container (ipv4_address, ipv6_address). What is missing is said all at once, each with its line and
    what to write. docker0 is taken to be as Docker makes it, and what the file says under x-iptexplain
    ('iptexplain generate policy --help' describes it) is worked into the rules. A network that is external can be
    described under its own x-iptexplain, in the words of a network: {driver_opts: ..., ipam: ...}. One file is read:
    'docker compose config' prints several, or one with extends or include, as one. Variables are set by --env-file.

    The result is the host's whole ruleset: rules that do what Docker's did, in chains of our own, and all other rules
    where they stood. Each rule says why it is there; what the daemon needs, and what differs from Docker on purpose,
    stands at the top.

    The result is read back and compared with SOURCE for all packets; what was proved is said on standard error. The exit
    status is 1 when something differs that is not meant to. Nothing is changed on this host.

    Docker 28.0.0 asks an IP set that it fills itself; in its place are rules for each subnet in it. A snapshot lists the set; a
    bare dump does not, and then the subnets of the networks that are not internal are taken for granted, if rules tell them.

    What such rules cannot stand in for (swarm's routing mesh, encrypted overlay networks, half a dump) is an error.
    """
    if proof and not wants_proof:
        raise UsageError("--proof needs the proof: leave out --no-prove")
    if file in (None, "-") and hasattr(formats()[syntax], "NEEDS_FILE"):
        raise UsageError(f"--format {syntax} makes several files: name them with --output NAME")
    given = read_text(source)
    around = surroundings(source, env_files)
    try:
        read = read_source(given, source, around.folder, around.variables)
    except DumpError as e:
        show_errors(e, "SOURCE")
        ctx.exit(3)
    families = _families(read.snapshot, family)
    snapshot, notes = with_sets(read.snapshot, families)
    read = read._replace(snapshot=snapshot, notes=(*read.notes, *notes))
    found = [Situation(snapshot, f) for f in families]
    refuse(found)
    bridges = _bridges(found, egress, style)
    plans = tuple(plan(s, style, keep_proxy, bridges, read.wishes.get(s.family)) for s in found)
    for note in read.notes:
        click.echo(f"note: {note}", err=True)
    inputs = ((source, digest(given)), *around.inputs)
    sets = snapshot.facts.get("ipsets", "")
    whole = Plan(inputs, version("iptexplain"), style, keep_proxy, plans, read.notes, read.engine, sets)
    missing = environment().get_template("documents/missing_half.j2")
    for half in (a for s in found for a in s.assumptions if a.name == "missing_half"):
        click.echo(f"note: {text(missing.render(a=half))}", err=True, nl=False)
    _write(formats()[syntax].render(whole, comments), file)
    if not wants_proof:
        click.echo("Not proved: --no-prove was given, so nobody has compared these rules with the source.", err=True)
    steps = [_prove(s, whole, n, comments, syntax) for n, s in enumerate(found) if wants_proof]
    if proof:
        answer = proof_json([step for some in steps for step in some])
        save(proof, json.dumps({"schema": SCHEMA, **answer}, indent=2) + "\n")
    loads = all([_loads(s, whole, n, comments) for n, s in enumerate(found)]) if load_test else True
    ctx.exit(0 if loads and all(map(is_proved, steps)) else 1)


def _families(snapshot: Snapshot, family: str) -> list[Family]:
    """The families that are asked for."""
    wanted: list[Family] = [f for f in snapshot.families if family in ("both", str(f))]
    if not wanted:
        raise UsageError(f"there are no IPv{family} rules in it")
    return wanted


def _bridges(situations: Sequence[Situation], egress: tuple[str, ...], style: str) -> frozenset[str]:
    """The bridges of the networks that --egress names."""
    if egress and style != "strict":
        raise UsageError("--egress opens what --style strict closes: give both, or neither")
    networks = [n for s in situations for n in s.docker.networks]
    bridges = {name: n.bridge for n in networks for name in (n.name, n.bridge) if name}
    unknown = [name for name in egress if name not in bridges]
    if unknown:
        raise UsageError(
            f"--egress {said(unknown[0])}: there is no such network; there are {', '.join(map(said, bridges))}"
        )
    return frozenset(bridges[name] for name in egress)


def _prove(situation: Situation, whole: Plan, number: int, comments: bool, syntax: str) -> list[Step]:
    """Compare one family, and say on standard error what was proved."""
    family = whole.families[number]
    steps = prove(situation, family, restore_text(whole, family, comments))
    template = environment().get_template("documents/theorem.j2")
    shown = [
        {
            "change": step.change, "differs": any(step.counts.values()), "meant": step.is_meant, "counts": step.counts,
            "groups": [group for one in step.compared for group in one.groups()],
        }
        for step in steps
    ]  # fmt: skip
    facts = {
        "family": family.family,
        "steps": shown,
        "proved": is_proved(steps),
        "decided": all(s.decided for s in steps),
        "syntax": syntax,
    }
    click.echo(text(template.render(**facts, loopback=family.loopback_bridges)), err=True, nl=False)
    for step in steps:
        if not step.is_meant:
            click.echo(f"\n{_told(step)}", err=True)
    return steps


def _loads(situation: Situation, whole: Plan, number: int, comments: bool) -> bool:
    """Load one family's rules with each program, and say on standard error what came of it."""
    family = whole.families[number]
    rules = restore_text(whole, family, comments)
    lines = ["", *rules.split("\n")]
    template = environment().get_template("documents/loaded.j2")
    tried = [
        (each, each.load(rules, situation.snapshot.facts.get("ipsets", "")) if each.is_there else None)
        for each in loaders(family.family)
    ]
    for loader, answer in tried:
        click.echo(template.render(loader=loader, tried=answer, lines=lines), err=True, nl=False)
    return not any(answer and answer.refusal for _, answer in tried)


def _told(step: Step) -> str:
    facts: dict[str, Any] = step.facts()
    return text(environment().get_template("documents/difference.j2").render(**facts)).rstrip("\n")


def _write(files: Sequence[Any], name: str | None) -> None:
    for output in files:
        if name is None or name == "-":
            sys.stdout.flush()
            sys.stdout.buffer.write(output.text.encode("utf-8", "surrogateescape"))
        else:
            save(name + (output.suffix if len(files) > 1 else ""), output.text)


def save(name: str, content: str) -> None:
    """Write a file that an option names; raises UsageError where it cannot be written."""
    try:
        with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), "wb") as opened:
            opened.write(content.encode("utf-8", "surrogateescape"))
    except OSError as e:
        raise UsageError(f"{name}: {e.strerror or e}") from None
