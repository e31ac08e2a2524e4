"""iptexplain annotate"""

from __future__ import annotations

import re
import sys

import click

from iptexplain.commands._io import DUMP, output_options, passed_over, read, read_text, show, show_json
from iptexplain.errors import UsageError
from iptexplain.explain.annotate import annotation, annotation_json
from iptexplain.walk.kernel_log import read_log
from iptexplain.walk.recorded import recorded

NO_TRACE = (
    "{file}: there is no TRACE line in it, neither of xtables-monitor nor of the kernel log. To record one, add a rule "
    "for the packets in question (iptables -t raw -A PREROUTING -p tcp --dport 8080 -j TRACE; OUTPUT for those of the "
    "host itself), then run 'xtables-monitor --trace' (nf_tables) or read dmesg (iptables-legacy) while they are sent"
)
NFT_MONITOR = re.compile(r"^trace id [0-9a-f]+ ", re.MULTILINE)


@click.command("annotate", epilog=DUMP)
@click.argument("log", required=False, default="-", metavar="[LOG]")
@click.option(
    "--rules",
    "dump",
    default="-",
    metavar="DUMP",
    help="The rules that were in force when the log was recorded; standard input without it.",
)
@output_options
def command(log: str, dump: str, output: str, color: str) -> None:
    """Explain a log of the kernel's own TRACE lines, packet by packet.

    LOG is a file, or - for standard input, with what 'xtables-monitor --trace' prints (nf_tables) or with the kernel's log
    (iptables-legacy; from dmesg, journalctl or a file of syslog). A rule makes the kernel write such lines:
    iptables -t raw -A PREROUTING -p tcp --dport 8080 -j TRACE

    For each packet the answer says how it ended and by which rule, and then, step by step, which line of the DUMP
    each line of the log is about, and what that rule says. Where log and DUMP do not fit each other, it says so.
    """
    if log == dump == "-":
        raise UsageError(
            "LOG and --rules cannot both be standard input: name a file for one of them, as in "
            "'iptexplain annotate LOG --rules DUMP'"
        )
    if log == "-" and sys.stdin.isatty():
        raise UsageError("no LOG was named and standard input is a terminal: 'iptexplain annotate LOG --rules DUMP'")
    text = read_text(log)
    events, ignored = read_log(text)
    packets = recorded(events)
    if not packets:
        hint = " (this is what 'nft monitor trace' prints)" if NFT_MONITOR.search(text) else ""
        raise UsageError(NO_TRACE.format(file=log) + hint)
    if ignored:
        passed_over(log, "no TRACE line", ignored)
    found = annotation(packets, read(dump))
    if output == "json":
        show_json(annotation_json(found))
    else:
        show("annotate", found._asdict(), output, color)
