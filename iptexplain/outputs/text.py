"""Documents for a terminal. The templates write a small part of Markdown; here it becomes plain, aligned text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

import click

ASCII = {"→": "->", "—": "-", "–": "-", "…": "...", "’": "'", "“": '"', "”": '"', "×": "x", "·": "-", "✓": "yes"}
"""What typographic characters become where the terminal is not UTF-8."""


def text(document: str, width: int | None = None, color: bool = False, ascii_only: bool = False) -> str:
    """``document`` for a terminal: ``width`` in columns wraps paragraphs (None: not at all, for pipes)."""
    shown = "\n\n".join(_block(b, width, color) for b in _blocks(document)) + "\n"
    return in_ascii(shown) if ascii_only else shown


def in_ascii(shown: str) -> str:
    """``shown`` for a terminal that is not UTF-8."""
    for char, plain in ASCII.items():
        shown = shown.replace(char, plain)
    return shown.encode("ascii", "backslashreplace").decode()


def _blocks(document: str) -> Iterator[list[str]]:
    """Runs of lines between blank lines; a heading is a block of its own."""
    block: list[str] = []
    for line in [*document.splitlines(), ""]:
        if line.strip() and not line.startswith("#"):
            block.append(line.rstrip())
            continue
        if block:
            yield block
            block = []
        if line.startswith("#"):
            yield [line]


def _block(lines: list[str], width: int | None, color: bool) -> str:
    first = lines[0]
    if first.startswith("#"):
        title = _plain(first.lstrip("#").strip())
        # What stands in code marks is a name: it is shown as it is.
        shown = title.upper() if first.startswith("# ") and "`" not in first else title
        return click.style(shown, bold=True) if color else shown
    if first.startswith("|"):
        return _table(lines)
    if first.startswith("    "):
        return "\n".join(lines)
    if first.lstrip().startswith("- "):
        return "\n".join(_item(item, width) for item in _items(lines))
    return _wrap(_plain(" ".join(line.strip() for line in lines)), width, "", "")


def _plain(words: str) -> str:
    """Without the code marks. (The words of a dump are always in code marks, and have no marks of their own.)"""
    return words.replace("**", "").replace("`", "")


def _items(lines: list[str]) -> list[str]:
    items: list[str] = []
    for line in lines:
        if line.lstrip().startswith("- "):
            items.append(line)
        else:
            items[-1] += " " + line.strip()
    return items


def _item(item: str, width: int | None) -> str:
    indent = len(item) - len(item.lstrip())
    return _wrap(_plain(item.lstrip()[2:]), width, " " * indent + "  - ", " " * (indent + 4))


def _wrap(words: str, width: int | None, first: str, rest: str) -> str:
    if width is None:
        return first + words
    return textwrap.fill(
        words,
        max(width, 40),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _table(lines: list[str]) -> str:
    rows = [
        [_plain(c.strip().replace("\\|", "|")) for c in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        for line in lines
    ]
    rows = [r for r in rows if not all(set(c) <= set("-: ") for c in r)]
    columns = max(len(r) for r in rows)
    widths = [max(len(r[i]) if i < len(r) else 0 for r in rows) for i in range(columns)]
    return "\n".join("  " + "  ".join(c.ljust(w) for c, w in zip(r, widths, strict=False)).rstrip() for r in rows)
