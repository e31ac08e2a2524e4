"""iptexplain save"""

from __future__ import annotations

import sys

import click

from iptexplain.commands._io import DUMP, dump_argument, read
from iptexplain.rules.save import save


@click.command("save", epilog=DUMP)
@dump_argument
@click.option(
    "--normal",
    is_flag=True,
    help="Write it anew from what was understood, as iptables-save would print it after a restore.",
)
def command(dump: str, normal: bool) -> None:
    """Print the dump back, byte for byte.

    With --normal it comes in the spelling of iptables-save, so that diff shows whether anything was misread.
    """
    for read_dump in read(dump).dumps:
        text = save(read_dump) if normal else read_dump.text
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
