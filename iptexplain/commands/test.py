"""iptexplain test"""

from __future__ import annotations

import sys

import click

from iptexplain.commands._docker import docker_option, read_named
from iptexplain.commands._io import DUMP, assume_option, dump_argument, output_options, show, show_json
from iptexplain.commands._written import read_written, refuse
from iptexplain.errors import UsageError
from iptexplain.explain.expectations import read_expectations
from iptexplain.explain.judge import judge_all, result_json
from iptexplain.explain.question import Asker
from iptexplain.outputs.junit import junit


@click.command("test", epilog=DUMP)
@click.argument("flows", metavar="FLOWS")
@dump_argument
@click.option("-v", "--verbose", is_flag=True, help="Show the expectations that hold, too.")
@click.option(
    "--junit", "report", metavar="FILE", help="Write the results into FILE, too, as JUnit XML for a CI server."
)
@docker_option
@assume_option
@output_options
@click.pass_context
def command(
    ctx: click.Context, flows: str, dump: str, verbose: bool, report: str | None, inspected: str | None,
    assumed: tuple[str, ...], output: str, color: str,
) -> None:  # fmt: skip
    """Hold expectations about flows against the rules.

    FLOWS is a YAML file with a list of expectations, such as - {from: internet, to: "host:22", expect: drop}. Lines of
    JSON, one expectation each, will do as well. One of FLOWS and DUMP may be -, for standard input. What the rules do
    not settle is never what was expected. The exit status is 1 when an expectation fails.

    Each has 'from' and 'to', the ends as trace --from and --to take them, and 'expect': accept (the packet arrives),
    drop or reject. A 'name', a sentence, may say what it is for.

    'by' says what is to decide: CHAIN, TABLE/CHAIN, TABLE/CHAIN/NUMBER (a rule), TABLE/CHAIN/policy, 'line NUMBER' of
    the dump, or kernel, where no rule drops the packet (there is no route, for example). Numbers change when rules are
    added: mostly the chain is enough.

    'answer' says what is to become of the first answer to a packet that is accepted: accept, drop or reject. Without
    it nothing is expected of the answer; one that does not get back is mentioned, but fails nothing.

    'ipv6: true' asks the IPv6 rules where the ends do not say it. All other keys are fields of the packet: proto,
    sport, dport, iif, src, dst, icmp_type, flags, ctstate, mark and whatever trace --set lists.

    A list under from, to, src, dst, proto, sport or dport stands for one expectation with each of its items.
    """
    if flows == dump == "-":
        raise UsageError("FLOWS and DUMP cannot both be standard input: name a file for one of them")
    if flows == "-" and sys.stdin.isatty():
        raise UsageError("FLOWS is -, but standard input is a terminal: name a file")
    if report == "-":
        raise UsageError("--junit -: name a file, for standard output has the answer")
    expectations, written = read_expectations(read_written(flows, "FLOWS"), flows)
    if not expectations:
        refuse(written.errors, "FLOWS")
    results = judge_all(Asker(read_named(dump, inspected, assumed)), expectations, written)
    if written.errors:
        refuse(written.errors, "FLOWS")
    if report:
        _write(report, junit(results, flows))
    failed = [r for r in results if r.problem]
    held = [r for r in results if not r.problem]
    if output == "json":
        answer = {"file": flows, "total": len(results), "hold": len(held), "expectations": [*map(result_json, results)]}
        show_json(answer)
    else:
        one_way = [r for r in held if r.is_one_way]
        facts = {"failed": failed, "held": held, "one_way": one_way, "total": len(results), "verbose": verbose}
        show("test", facts, output, color)
    if failed:
        ctx.exit(1)


def _write(file: str, data: bytes) -> None:
    try:
        with open(file, "wb") as opened:
            opened.write(data)
    except OSError as e:
        raise UsageError(f"--junit {file}: {e.strerror or e}") from None
