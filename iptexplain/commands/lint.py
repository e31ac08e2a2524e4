"""iptexplain lint"""

from __future__ import annotations

import json

import click

from iptexplain.commands._docker import docker_option, read_named
from iptexplain.commands._io import DUMP, assume_option, dump_argument, show, show_json
from iptexplain.commands._lint_settings import FILES, NEVER, SECTION, known, settings
from iptexplain.explain.networks import assumption_text
from iptexplain.lint.examples import example_facts
from iptexplain.lint.finding import LEVELS, lints
from iptexplain.lint.host import hosts
from iptexplain.lint.report import look
from iptexplain.outputs.sarif import sarif


@click.command("lint", epilog=DUMP)
@dump_argument
@click.option(
    "--fail-on", type=click.Choice([*LEVELS, NEVER]), metavar="LEVEL",
    help="The exit status is 1 when there is a finding of this level or a worse one: error, warning (when nothing is said), info; or never.",
)  # fmt: skip
@click.option(
    "--select", multiple=True, metavar="NAME", help="Look for this alone; several with commas, or by saying it again."
)
@click.option(
    "--ignore", multiple=True, metavar="NAME", help="Do not look for this; several with commas, or by saying it again."
)
@click.option(
    "--all", "everything", is_flag=True, help="Judge the rules that Docker and other known programs wrote, too."
)
@click.option(
    "--config", metavar="FILE",
    help=f"Read select, ignore and fail-on from the section [{SECTION}] of FILE; without it, of {' or '.join(FILES)} in the "
    "current directory.",
)  # fmt: skip
@click.option(
    "--explain", metavar="NAME", help="Say what the lint NAME looks for, with a dump that has it and one that has not."
)
@docker_option
@assume_option
@click.option(
    "-o", "--output", type=click.Choice(["text", "json", "markdown", "sarif"]), default="text", show_default=True,
    help="Form of the answer; sarif is what code hosts read (SARIF 2.1.0).",
)  # fmt: skip
@click.option(
    "--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True,
    help="Whether headings are bold; auto means on a terminal, unless NO_COLOR is set.",
)  # fmt: skip
@click.pass_context
def command(
    ctx: click.Context, dump: str, fail_on: str | None, select: tuple[str, ...], ignore: tuple[str, ...], everything: bool,
    config: str | None, explain: str | None, inspected: str | None, assumed: tuple[str, ...], output: str, color: str,
) -> None:  # fmt: skip
    """Look for mistakes: rules that do nothing, and rules that do not do what they are for.

    Each finding has a level: error (the rules do not do what they are evidently for), warning (likely a mistake) or info (good to
    know); it names the rule, the rules that cause it, and what to do. What is said of dead and redundant rules holds for all
    packets and is proved, not guessed.

    Rules that Docker or another known program wrote are not judged, unless --all is given. A rule with the comment
    "iptexplain: ignore NAME" (-m comment --comment) is not judged by the lint NAME.
    """
    if explain is not None:
        known([explain], "--explain ")
        show("lint_explain", example_facts(lints()[explain]), "markdown" if output == "markdown" else "text", color)
        return
    chosen = settings(config, select, ignore, fail_on)
    snapshot = read_named(dump, inspected, assumed)
    found = hosts(snapshot, everything)
    report = look(found, chosen.chosen)
    assumptions = list(dict.fromkeys(assumption_text(a) for h in found for a in h.assumptions if a.name == "assumed"))
    if output == "json":
        findings = [told.json() for told in report.told]
        show_json({"findings": findings, "not_looked_for": report.missed, "assumptions": assumptions})
    elif output == "sarif":
        click.echo(json.dumps(sarif(report, assumptions), indent=2))
    else:
        facts = {"report": report, "groups": report.groups(), "assumptions": assumptions, "families": snapshot.families}
        show("lint", facts, output, color)
    if chosen.fail_on != NEVER and report.worst(chosen.fail_on):
        ctx.exit(1)
