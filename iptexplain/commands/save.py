"""iptexplain save"""

from __future__ import annotations

import sys

import click

from iptexplain.commands import describe
from iptexplain.commands._io import DUMP, dump_argument, read
from iptexplain.errors import DumpError, UsageError
from iptexplain.outputs.nft import nft
from iptexplain.rules.answer import Backend
from iptexplain.rules.save import save

BACKENDS = {"nft": Backend.NFT, "legacy": Backend.LEGACY}


@click.command("save", epilog=DUMP)
@dump_argument
@click.option(
    "--normal",
    is_flag=True,
    help="Write it anew from what was understood, as iptables-save would print it after a restore.",
)
@click.option(
    "--backend",
    type=click.Choice(["nft", "legacy"]),
    help="With --normal: the iptables whose spelling is wanted; else the one that wrote the dump, or nft.",
)
@click.option(
    "--format",
    "syntax",
    type=click.Choice(["iptables", "nft"]),
    default="iptables",
    show_default=True,
    help="The language in which to write; nft is that of nftables (nft -f FILE).",
)
def command(dump: str, normal: bool, backend: str | None, syntax: str) -> None:
    """Print the dump back, byte for byte.

    With --normal it comes in the spelling of iptables-save, so that diff shows whether anything was misread.
    With --format nft it is translated for nftables, into tables of their own. IP sets become sets of these tables, with what
    the snapshot lists in them; a bare dump does not tell it. A rule that nft has no form of is an error that names it;
    nothing is left out, and nothing printed then.
    """
    if syntax == "nft":
        if normal or backend:
            raise UsageError("--format nft writes the dump anew: --normal and --backend have nothing to say about it")
        _translated(dump)
        return
    if backend and not normal:
        raise UsageError("--backend says how to write the dump anew: it needs --normal")
    for read_dump in read(dump).dumps:
        text = save(read_dump, BACKENDS.get(backend or "")) if normal else read_dump.text
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))


def _translated(dump: str) -> None:
    given = read(dump)
    try:
        click.echo(nft(given.dumps, given.facts.get("ipsets", "")), nl=False)
    except DumpError as e:
        for error in e.errors:
            click.echo(describe(error), err=True)
        many = len(e.errors)
        click.echo(f"nft has no form of {many} rule{'s' * (many > 1)}: nothing was written.", err=True)
        raise click.exceptions.Exit(2) from None
