"""The commands: each a file of this folder, loaded when it is called. Only here files are read and things printed."""

from __future__ import annotations

import difflib
import importlib
import os
import pkgutil
import sys
from pathlib import Path
from typing import Any

import click

from iptexplain.errors import DumpError, IptexplainError, ParseError
from iptexplain.explain.words import said

DEFAULT = "explain"


class Program(click.Group):
    """A group that lists its folder, and takes what is no command for the DUMP of ``explain``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if not m.name.startswith("_"))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"iptexplain.commands.{name}").command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {o for p in self.get_params(ctx) for o in p.opts}
        named = next((a for a in args if not a.startswith("-")), None)
        if args[:1] and args[0] in own:
            return super().parse_args(ctx, args)
        if named not in self.list_commands(ctx) or args[0] != named:
            self._check_spelling(ctx, args[:1])
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def _check_spelling(self, ctx: click.Context, words: list[str]) -> None:
        """A first word that is nearly a command and no file is a mistyped command."""
        near = difflib.get_close_matches(words[0], self.list_commands(ctx), 1) if words else []
        if near and not os.path.exists(words[0]):
            ctx.fail(f"there is no command and no file '{printable(words[0])}'. Did you mean '{near[0]}'?")

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except DumpError as e:
            show_errors(e, "the rule" if ctx.invoked_subcommand == "rule" else "the dump")
            ctx.exit(3)
        except IptexplainError as e:
            click.echo(f"iptexplain: {printable(e.message)}", err=True)
            ctx.exit(2)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(0)
        except OSError as e:
            click.echo(f"iptexplain: the answer cannot be written: {e.strerror or e}", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            ctx.exit(130)


def show_errors(found: DumpError, what: str) -> None:
    """All errors of a file, in the order of its lines, and that ``what`` was not read."""
    for error in found.errors:
        click.echo(describe(error), err=True)
    many = len(found.errors)
    click.echo(f"{many} {'error' if many == 1 else 'errors'}: {what} was not read.", err=True)


def describe(error: ParseError) -> str:
    """``file:line: message``, the line, and a caret under the word."""
    location = error.location
    assert location is not None
    shown = printable(error.text)
    column = len(printable(error.text[: location.column - 1])) if location.column else -1
    lines = [f"{printable(location.file)}:{location.line}: {printable(error.message)}"]
    if shown:
        lines.append(f"    {shown}")
    if shown and column >= 0:
        lines.append(f"    {' ' * column}^")
    return "\n".join(lines)


def printable(text: str) -> str:
    """Text from a dump for a terminal: tabs as spaces, other control characters as escapes."""
    return said(text.replace("\t", " "))


@click.group(
    cls=Program,
    invoke_without_command=False,
    no_args_is_help=False,
    options_metavar="",
    subcommand_metavar="[COMMAND] [OPTIONS] [DUMP]",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="iptexplain")
def program() -> None:
    """Explain iptables rules in plain language, Docker's rules first.

    Give it what iptables-save prints: iptables-save | iptexplain

    Without a COMMAND, the whole of DUMP is explained. 'iptexplain COMMAND --help' lists the options of a command.
    """
