"""What the commands share: reading a DUMP, and printing a document in the format that was asked for."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

import click

from iptexplain.errors import DumpError, Location, ParseError, UsageError
from iptexplain.explain.words import environment
from iptexplain.host.assume import assume
from iptexplain.host.snapshot import SCHEMA, Snapshot, read_snapshot
from iptexplain.outputs.json_text import json_text
from iptexplain.outputs.markdown import markdown
from iptexplain.outputs.text import in_ascii, text

F = TypeVar("F", bound=Callable[..., Any])

DUMP = (
    "DUMP is a file with what iptables-save, ip6tables-save or iptables -S prints, or a snapshot (JSON). "
    "Without it, or when it is -, standard input is read."
)
"""What the help of every command that reads a DUMP ends with."""


def dump_argument(function: F) -> F:
    """The argument DUMP, a file or ``-``."""
    return click.argument("dump", required=False, default="-", metavar="[DUMP]")(function)


def output_options(function: F) -> F:
    """``-o`` and ``--color``."""
    function = click.option(
        "-o", "--output", type=click.Choice(["text", "json", "markdown"]), default="text", show_default=True,
        help="Form of the answer.",
    )(function)  # fmt: skip
    return click.option(
        "--color", type=click.Choice(["auto", "always", "never"]), default="auto", show_default=True,
        help="Whether headings are bold; auto means on a terminal, unless NO_COLOR is set.",
    )(function)  # fmt: skip


def assume_option(function: F) -> F:
    """``--assume``."""
    return click.option(
        "--assume",
        "assumed",
        multiple=True,
        metavar="NAME=VALUE",
        help="Take for granted what no dump shows: limit=within or limit=beyond (its rate), time=yes or time=no (of any match: "
        "whether it holds), NFQUEUE=accept or NFQUEUE=drop, order=nft or order=legacy (which backend is asked first), "
        "a sysctl such as bridge-nf-call-iptables=0.",
    )(function)


def read_text(file: str) -> str:
    """The text of a file, or of standard input for ``-``; bytes that are no UTF-8 are kept (surrogateescape)."""
    if file == "-" and sys.stdin.isatty():
        raise UsageError(
            "no DUMP was named and standard input is a terminal: try 'iptables-save | iptexplain' or 'iptexplain FILE'"
        )
    try:
        if file == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(file, "rb") as opened:
                data = opened.read()
    except OSError as e:
        raise UsageError(f"{file}: {e.strerror or e}") from None
    if b"\0" in data:
        message = "this is not text (a file in UTF-16, as some Windows shells write it, must be converted to UTF-8)"
        raise DumpError([ParseError(message, Location(file, 1))])
    return data.decode("utf-8", "surrogateescape")


def read_lines(file: str) -> Iterator[str]:
    """The lines of a file, or of standard input for ``-``, as they come: an answer need not wait for the last one."""
    try:
        with nullcontext(sys.stdin.buffer) if file == "-" else open(file, "rb") as opened:
            for line in opened:
                yield line.decode("utf-8", "surrogateescape")
    except OSError as e:
        raise UsageError(f"{file}: {e.strerror or e}") from None


def read(file: str, assumed: tuple[str, ...] = ()) -> Snapshot:
    """The snapshot or dump in a file, with what is ``assumed``; lines that were passed over are named on standard error."""
    given = read_text(file)
    # What is read stays to the end: to look through it for garbage, again and again, would take longer than to read it.
    gc.disable()
    try:
        snapshot = read_snapshot(given, file)
    finally:
        gc.freeze()
        gc.enable()
    for dump in snapshot.dumps:
        if dump.ignored:
            passed_over(dump.file, "not iptables-save", dump.ignored)
    return assume(snapshot, assumed) if assumed else snapshot


def passed_over(file: str, what: str, lines: Sequence[int]) -> None:
    """Say which lines of a file were not read, and ``what`` they are."""
    numbers = ", ".join(map(str, lines[:10])) + (" …" if len(lines) > 10 else "")
    click.echo(f"note: {file}: {what}, passed over: line {numbers}", err=True)


def show_json(answer: dict[str, Any]) -> None:
    """One JSON object, with the schema's number first; text outside ASCII is escaped."""
    click.echo(json_text({"schema": SCHEMA, **answer}))


def show(template: str, facts: dict[str, Any], output: str, color: str) -> None:
    """A document from a template, as text for people or as Markdown."""
    document = environment().get_template(f"documents/{template}.j2").render(**facts)
    ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    if output == "markdown":
        shown = markdown(document)
        click.echo(in_ascii(shown) if ascii_only else shown, nl=False)
        return
    terminal = sys.stdout.isatty()
    width = min(shutil.get_terminal_size().columns, 110) if terminal else None
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    bold = color == "always" or (color == "auto" and terminal and not plain)
    click.echo(text(document, width, bold, ascii_only), nl=False, color=bold)
