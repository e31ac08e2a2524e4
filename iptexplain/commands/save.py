"""iptexplain save"""

from __future__ import annotations

import sys

import click

from iptexplain.commands._io import dump_argument, read
from iptexplain.rules.save import save


@click.command("save")
@dump_argument
@click.option("--normal", is_flag=True, help="Rendered from the model, as iptables-save prints it after a restore.")
def command(dump: str, normal: bool) -> None:
    """The dump printed back: byte for byte, or (--normal) in iptables-save's own spelling."""
    for read_dump in read(dump).dumps:
        text = save(read_dump) if normal else read_dump.text
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
