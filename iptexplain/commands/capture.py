"""iptexplain capture"""

from __future__ import annotations

import json
import os
import stat
from typing import Any

import click

from iptexplain.errors import UsageError
from iptexplain.explain.words import environment
from iptexplain.host.capture import RULES, Capture

WIDTH = 150
AS_ROOT = "no rules were read: that needs root. Try 'sudo iptexplain capture'"
HERE = "no rules were read. Run this on the host itself, outside of containers, with iptables installed"


@click.command("capture")
@click.option("-o", "--output", "file", metavar="FILE", help="Write it into FILE, which only its owner may read.")
@click.option(
    "--no-namespaces",
    is_flag=True,
    help="Do not look into the containers' own networks: with hundreds it takes seconds.",
)
def command(file: str | None, no_namespaces: bool) -> None:
    """Take a snapshot of this host, as JSON.

    Run it as root on the host in question. The snapshot can be read anywhere, by every command, in place of a dump:
    then there are names for Docker's containers and networks, and nothing has to be inferred from the rules.

    It holds the rules of both backends of iptables, addresses, routes, bridge ports, sysctls, IP sets that rules ask,
    who listens on the host, and what Docker knows of its networks and running containers. What cannot be read is named
    on standard error, and all else is taken.

    Nothing is changed: no rule is written, no table made and no kernel module loaded. Of Docker's records, only what
    concerns the network is kept, never environment variables, labels, command lines or mounts. Names, addresses and
    the comments of rules are in the snapshot, so look at it before you give it away.
    """
    found = Capture(namespaces=not no_namespaces)
    has_rules = any(key in found.facts for key in RULES.values())
    notes = environment().get_template("documents/capture.j2")
    click.echo(notes.render(missing=found.missing, foreign=found.foreign, has_rules=has_rules), err=True, nl=False)
    if not has_rules:
        raise UsageError(AS_ROOT if os.geteuid() else HERE)
    text = laid_out(found.facts) + "\n"
    if file in (None, "-"):
        click.echo(text, nl=False)
    else:
        _write(str(file), text)


def laid_out(value: Any, indent: str = "") -> str:
    """JSON for people: what fits on a line stands on one."""
    short = json.dumps(value)
    if len(indent) + len(short) <= WIDTH or not isinstance(value, dict | list):
        return short
    deeper = indent + "  "
    if isinstance(value, dict):
        opening, closing = "{}"
        items = [f"{json.dumps(key)}: {laid_out(each, deeper)}" for key, each in value.items()]
    else:
        opening, closing = "[]"
        items = [laid_out(each, deeper) for each in value]
    return f"{opening}\n" + ",\n".join(deeper + item for item in items) + f"\n{indent}{closing}"


def _write(file: str, text: str) -> None:
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as opened:
            if stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                os.fchmod(opened.fileno(), 0o600)
            opened.write(text)
    except OSError as e:
        raise UsageError(f"{file}: {e.strerror or e}") from None
