"""The errors that iptexplain raises: each says what is wrong, where, and how to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

UNREADABLE = "it is nested too deeply, or a number in it has thousands of digits"
"""What is wrong with JSON that Python's reader gives up."""


class Location(NamedTuple):
    """A place in a dump: the file's name as the user gave it (``-`` for standard input), line and column from 1."""

    file: str
    line: int
    column: int = 0


class IptexplainError(Exception):
    """Something that the user can mend; ``location`` is the place in the dump, or None when there is none."""

    def __init__(self, message: str, location: Location | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.location = location


class UsageError(IptexplainError):
    """The command was called with options or endpoints that do not fit together (exit status 2)."""


class OptionError(IptexplainError):
    """One option of a rule is wrong; the parser knows where it stands."""


class ParseError(IptexplainError):
    """One line of a dump cannot be read; ``text`` is that line."""

    def __init__(self, message: str, location: Location, text: str = "") -> None:
        super().__init__(message, location)
        self.text = text


class DumpError(IptexplainError):
    """A dump with errors: all of them, in the order of the lines (exit status 3)."""

    def __init__(self, errors: Sequence[ParseError]) -> None:
        super().__init__("\n".join(e.message for e in errors))
        self.errors = tuple(sorted(errors, key=lambda e: e.location or Location("", 0)))
