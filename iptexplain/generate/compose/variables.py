"""The variables of a compose file: ``${PORT:-8080}`` and the like, and the files that set them.

As the Compose Specification has it (interpolation), but for two things: the environment does not count, so that the same files always
make the same rules, and a variable that nobody set is an error, not an empty text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from iptexplain.errors import OptionError
from iptexplain.explain.words import said

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
VARIABLE = re.compile(rf"\$(?:(?P<dollar>\$)|(?P<named>{NAME})|\{{(?P<braced>{NAME})(?P<how>:?[-?+])?)")
ENTRY = re.compile(
    rf"^[ \t]*(?:export[ \t]+)?(?P<name>{NAME})[ \t]*=[ \t]*"
    r"(?:'(?P<single>[^']*)'|\"(?P<double>(?:[^\"\\]|\\.)*)\"|(?P<plain>[^\n'\"][^\n]*|))[ \t\r]*(?:#[^\n]*)?$",
    re.MULTILINE | re.DOTALL,
)
"""A line ``NAME=VALUE`` of an env file; a value in quotes may have several lines."""
ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


class Variables:
    """``given``: name → value. ``unset``: the names that have no value, each with what was taken instead."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self.given = dict(given)
        self.unset: dict[str, str] = {}

    def filled(self, text: str) -> str:
        """The text with values for variables. Raises OptionError for what is no variable, and for one that is needed and not set."""
        parts = []
        at = 0
        while (start := text.find("$", at)) >= 0:
            found = VARIABLE.match(text, start)
            end = found.end() if found else 0
            if found and found["braced"]:
                end = _closing(text, end) + 1
            if not found or not end or (found["braced"] and not found["how"] and end != found.end() + 1):
                raise OptionError(
                    f"'{said(text[start:])}' is no variable: write ${{NAME}}, or $$ where a dollar sign is meant"
                )
            parts += [text[at:start], self._value(found, text[found.end() : end - 1])]
            at = end
        return "".join(parts) + text[at:]

    def _value(self, found: re.Match[str], word: str) -> str:
        """``word``: what stands behind :-, :? or :+, which is looked at where it is needed."""
        if found["dollar"]:
            return "$"
        name, how = found["named"] or found["braced"], found["how"] or ""
        value = self.given.get(name)
        is_set = value is not None and (value != "" or not how.startswith(":"))
        if is_set and not how.endswith("+"):
            return value or ""
        if not is_set and not how.endswith(("-", "+")):
            told = f": {said(word)}" if word and how.endswith("?") else ""
            raise OptionError(f"the variable {name} is not set{told}: name a file with a line {name}=... by --env-file")
        taken = self.filled(word) if how.endswith("-") or is_set else ""
        if not is_set:
            self.unset[name] = taken
        return taken


def _closing(text: str, at: int) -> int:
    """Where the brace stands that closes the variable; -1 where there is none."""
    depth = 1
    while at < len(text):
        if text.startswith("${", at):
            depth += 1
        elif text[at] == "}":
            depth -= 1
            if not depth:
                return at
        at += 1
    return -1


def read_variables(text: str, given: Mapping[str, str]) -> dict[str, str]:
    """The variables of an env file beside those ``given``, on which its values may depend. What is no line NAME=VALUE sets nothing."""
    found = Variables(given)
    for entry in ENTRY.finditer(text):
        if entry["single"] is not None:
            found.given[entry["name"]] = entry["single"]
            continue
        value = entry["double"]
        if value is None:
            value = re.split(r"\s#", entry["plain"], maxsplit=1)[0].strip()
        try:
            value = found.filled(value.replace(r"\$", "$$"))
        except (OptionError, RecursionError):
            continue
        if entry["double"] is not None:
            value = re.sub(r"\\(.)", lambda m: ESCAPED.get(m[1], m[1]), value, flags=re.DOTALL)
        found.given[entry["name"]] = value
    return found.given
