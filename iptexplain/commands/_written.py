"""Files that people write for a command: all errors in one go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import click

from iptexplain.commands import show_errors
from iptexplain.commands._io import read_text
from iptexplain.errors import DumpError, ParseError


def read_written(file: str, kind: str) -> str:
    """The text of a file; what cannot be text is refused. ``kind``: what messages call the file, such as FLOWS."""
    try:
        return read_text(file)
    except DumpError as e:
        refuse(e.errors, kind)


def refuse(errors: Sequence[ParseError], kind: str) -> NoReturn:
    """Say everything that is wrong with a file, each with its line, and exit with status 2."""
    show_errors(DumpError(errors), kind)
    raise click.exceptions.Exit(2)
