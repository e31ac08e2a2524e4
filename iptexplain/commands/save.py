"""iptexplain save"""

from __future__ import annotations

import sys

import click

from iptexplain.commands._io import DUMP, dump_argument, read
from iptexplain.errors import UsageError
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
def command(dump: str, normal: bool, backend: str | None) -> None:
    """Print the dump back, byte for byte.

    With --normal it comes in the spelling of iptables-save, so that diff shows whether anything was misread.
    """
    if backend and not normal:
        raise UsageError("--backend says how to write the dump anew: it needs --normal")
    for read_dump in read(dump).dumps:
        text = save(read_dump, BACKENDS.get(backend or "")) if normal else read_dump.text
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
