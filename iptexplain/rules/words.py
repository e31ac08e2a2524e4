"""A line of a dump cut into words, as iptables-restore cuts it."""

from __future__ import annotations

from typing import NamedTuple


class Word(NamedTuple):
    """One word of a line: its text without quotes, its column (from 1), the text as written, its quotes."""

    text: str
    column: int
    raw: str
    quoted: bool = False
    closed: bool = True

    def is_option(self) -> bool:
        """Whether getopt would take it for an option and not for an argument."""
        return len(self.text) > 1 and self.text[0] == "-" and not self.quoted


class RuleError(Exception):
    """A rule is wrong at ``word`` (None: as a whole)."""

    def __init__(self, message: str, word: Word | None = None) -> None:
        super().__init__(message)
        self.message, self.word = message, word


def split_words(line: str, start: int = 0) -> list[Word]:
    """The words of ``line`` from the index ``start`` (add_param_to_argv in iptables 1.8.9's xshared.c).

    Double quotes hold a word together, and within them a backslash takes the next character as it is. A quote that is
    never closed reaches to the end of the line.
    """
    words: list[Word] = []
    i, end = start, len(line)
    while i < end:
        if line[i] in " \t":
            i += 1
            continue
        begin, text, quoted, closed = i, "", False, True
        while i < end and line[i] not in " \t":
            if line[i] != '"':
                text += line[i]
                i += 1
                continue
            quoted = True
            i += 1
            while i < end and line[i] != '"':
                i += line[i] == "\\" and i + 1 < end
                text += line[i]
                i += 1
            closed = i < end
            i += 1
            break
        words.append(Word(text, begin + 1, line[begin:i], quoted, closed))
    return words
