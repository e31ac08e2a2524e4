"""iptexplain generate: a group; each way of generating rules is a file of this folder, loaded when it is called."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import click


class Ways(click.Group):
    """A group that lists its folder."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if not m.name.startswith("_"))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"iptexplain.commands.generate.{name}").command
        return command


@click.group("generate", cls=Ways, subcommand_metavar="WAY [OPTIONS] ...")
def command() -> None:
    """Write rules by hand: each says why it is there, and what they do is proved.

    'iptexplain generate WAY --help' lists the options of a way.
    """
