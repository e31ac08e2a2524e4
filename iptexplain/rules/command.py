"""The command of a line within a table: iptables-save writes ``-A`` only, iptables-restore takes iptables' others too.

Files written by hand use them: ``-I`` at the top of a chain, ``-F`` before the rules of a chain that is not to be doubled.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from iptexplain.rules.words import RuleError, Word

COMMANDS = {
    "-A": "--append", "-I": "--insert", "-D": "--delete", "-R": "--replace", "-F": "--flush", "-Z": "--zero",
    "-N": "--new-chain", "-X": "--delete-chain", "-P": "--policy", "-E": "--rename-chain", "-L": "--list",
    "-S": "--list-rules", "-C": "--check",
}  # fmt: skip
_RULE_NUMBER = re.compile("[0-9]{1,9}").fullmatch
_OF_NO_USE = "ELSC"


class Command(NamedTuple):
    """``letter`` is ``A`` for ``--append``; ``chain`` and ``number`` as given; ``rest`` the other words of the line."""

    letter: str
    word: Word
    chain: Word | None
    number: Word | None
    rest: list[Word]


def read_command(words: Sequence[Word]) -> Command:
    """The command among the words of a line: nearly always the first; raises RuleError."""
    for i, word in enumerate(words):
        name, attached = _command(word)
        if name:
            break
        if i == 0 and not word.is_option() and word.text != "!":
            if word.text.endswith("tables"):
                raise RuleError(f"a line of a dump begins with -A CHAIN: leave out '{word.text}'", word)
            raise RuleError(f"not a line of a dump: '{word.text}' stands where -A CHAIN is expected", word)
    else:
        hint = ": is it the rest of the line before?" if words[0].text.startswith("--") else ""
        raise RuleError(f"not a line of a dump: -A CHAIN is missing{hint}", words[0])
    if name in _OF_NO_USE:
        raise RuleError(f"{word.text} is no command of a dump: lines declare chains (:NAME) and add rules (-A)", word)
    after = list(words[i + 1 :])
    if attached:
        after.insert(0, word._replace(text=attached, column=word.column + 2))
    chain = after.pop(0) if after and not _ends(after[0]) else None
    if chain is None and name not in "FXZ":
        raise RuleError(f"{word.text} needs the name of a chain", word)
    takes_number = name in "IDR" and after and _RULE_NUMBER(after[0].text)
    number = after.pop(0) if takes_number else None
    return Command(name, word, chain, number, [*words[:i], *after])


def _command(word: Word) -> tuple[str, str]:
    """The letter of the command that ``word`` is, and what is attached to it (``-AINPUT``); empty when it is none."""
    if not word.is_option():
        return "", ""
    if word.text[:2] in COMMANDS:
        return word.text[1], word.text[2:]
    long = [c for c, name in COMMANDS.items() if word.text == name]
    begun = long or [c for c, name in COMMANDS.items() if len(word.text) > 4 and name.startswith(word.text)]
    return (begun[0][1], "") if len(begun) == 1 else ("", "")


def _ends(word: Word) -> bool:
    return word.is_option() or (word.text == "!" and not word.quoted)
