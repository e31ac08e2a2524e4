"""Clauses of rules as iptables-save spells them (``-m tcp --dport 80``), read once and shared by all rules that have them.

This is the fast way: a clause is looked up as text. Whatever is not just a known extension with its own options, written in
full and valid, is left to parse_rule.py, which knows every spelling and says what is wrong.
"""

from __future__ import annotations

from collections.abc import Container
from functools import partial
from typing import TypeVar

from iptexplain.errors import OptionError
from iptexplain.rules.extension import HOOKS, Extension, Match, Setting, Target
from iptexplain.rules.find import find_match, find_target
from iptexplain.rules.model import BASE_CHAINS, VERDICTS, Counters, Jump, Rule, Verdict
from iptexplain.rules.parameters import Parameters
from iptexplain.rules.values import Family

E = TypeVar("E", bound=Extension)
PARAMETERS = {name: (i, o) for i, o in enumerate(Parameters.options) for name in (o.name, *o.aliases)}
SAYS_NOTHING = frozenset({"all", "+", "!"})
"""An interface or a protocol that excludes no packet, or is none."""

new_rule = partial(tuple.__new__, Rule)
new_setting = partial(tuple.__new__, Setting)

UNREADABLE = (OptionError, LookupError, ValueError, OverflowError)
"""What reading a wrong clause may raise; parse_rule.py then says what is wrong."""


class Clauses:
    """The clauses of one table. ``chains`` are the names that a rule may jump to."""

    def __init__(self, table: str, family: Family, chains: Container[str]) -> None:
        self.table, self.family, self.chains = table, family, chains
        self.heads: dict[str, Parameters] = {}
        self.matches: dict[str, Match] = {}
        self.targets: dict[str, Target] = {f" {v}": Verdict(v) for v in VERDICTS if (table, v) != ("nat", "DROP")}
        self.checked_matches: dict[tuple[str, str | None, str], Match] = {}
        self.checked_targets: dict[tuple[str, str | None, str], Target] = {}
        """What may not stand in every rule, by its text, the rule's protocol and its base chain ("" for a user chain)."""

    def rule(self, number: int, chain: str, spec: str, counters: Counters | None) -> Rule | None:
        """The rule ``-A chain`` + ``spec`` (which begins with a space, or is empty); None: anything unusual."""
        spec, found, jump = spec.rpartition(" -j")
        if not found:
            spec, jump = jump, ""
        elif not jump:
            return None
        head, *clauses = spec.split(" -m ")
        parameters = self.heads.get(head) or self._head(head)
        if parameters is None:
            return None
        protocol, base = parameters.protocol, chain if chain in HOOKS else ""
        matches = []
        for clause in clauses:
            match = self.matches.get(clause)
            if match is None:
                match = self.checked_matches.get((clause, protocol, base)) or self._match(clause, parameters, chain)
                if match is None:
                    return None
            if match.protocols and protocol not in match.protocols:
                return None
            matches.append(match)
        target = None
        if jump:
            target = self.targets.get(jump) or self.checked_targets.get((jump, protocol, base))
            if target is None:
                target = self._target(jump, parameters, chain)
                if target is None:
                    return None
        rule: Rule = new_rule((number, chain, parameters, tuple(matches), target, counters))
        return rule

    def _takes(self, extension: Extension, parameters: Parameters, chain: str) -> bool:
        """Whether iptables takes the extension in such a rule."""
        return extension.refuse(Rule(0, chain, parameters, (), None), self.table, self.family) is None

    def _head(self, text: str) -> Parameters | None:
        """-s -d -i -o -p -f in iptables-save's order; None when they stand otherwise, say nothing (``-p all``), or ``! -p``."""
        words, family = text.split(), self.family
        settings = []
        i, last, end = 0, -1, len(words)
        try:
            while i < end:
                inverted = words[i] == "!"
                i += inverted
                index, option = PARAMETERS[words[i]]
                value: object = True
                if option.kind is not None:
                    i += 1
                    value = option.kind.parse(words[i], family)
                i += 1
                if index <= last or (value in SAYS_NOTHING if index > 1 else value.mask == 0):  # type: ignore[attr-defined]
                    return None
                last = index
                settings.append(new_setting((option, value, inverted)))
        except UNREADABLE:
            return None
        found = Parameters(tuple(settings))
        if not found.is_plain:
            return None
        self.heads[text] = found
        return found

    def _match(self, text: str, parameters: Parameters, chain: str) -> Match | None:
        words = plain_words(text)
        kind = find_match(words.pop(0)) if words else None
        found = self._read(kind, words) if kind and words is not None else None
        if found is None:
            return None
        if not found.checks_rule or found.checks_protocol_only:
            self.matches[text] = found
        elif self._takes(found, parameters, chain):
            self.checked_matches[text, parameters.protocol, chain if chain in HOOKS else ""] = found
        else:
            return None
        return found

    def _target(self, text: str, parameters: Parameters, chain: str) -> Target | None:
        name = text[1:]
        if name in self.chains:
            if name in BASE_CHAINS[self.table]:
                return None
            jump = self.targets[text] = Jump(name)
            return jump
        words = plain_words(text)
        kind = find_target(words.pop(0)) if words else None
        found = self._read(kind, words) if kind and words is not None else None
        if found is None:
            return None
        if not found.checks_rule:
            self.targets[text] = found
        elif self._takes(found, parameters, chain):
            self.checked_targets[text, parameters.protocol, chain if chain in HOOKS else ""] = found
        else:
            return None
        return found

    def _read(self, kind: type[E], words: list[str]) -> E | None:
        """An extension from words that are just its own options in full; None for anything else, errors included."""
        names, family = kind.names, self.family
        if len(words) == 2 and words[0] == kind.single and words[1] != "!":
            only = names[words[0]]
            try:
                return kind((new_setting((only, only.kind.parse(words[1], family), False)),))  # type: ignore[union-attr]
            except UNREADABLE:
                return None
        given: dict[str, Setting] = {}
        i, end = 0, len(words)
        try:
            while i < end:
                word = words[i]
                i += 1
                inverted = word == "!"
                if inverted:
                    word = words[i]
                    i += 1
                option = names.get(word)
                if option is None or (inverted and not option.invert):
                    return None
                reader = option.kind
                value: object = True
                if reader is not None:
                    count = reader.words
                    text = words[i] if count == 1 else " ".join(words[i : i + count])
                    i += count
                    if i > end or text == "!":
                        return None
                    value = reader.parse(text, family)
                setting = new_setting((option, value, inverted))
                if kind.takes_oddly or option.key in given:
                    kind.take(given, setting)
                else:
                    given[option.key] = setting
            return kind.build(given, family)
        except UNREADABLE:
            return None


def plain_words(text: str) -> list[str] | None:
    """The words of a clause without backslashes; None when a quote is not closed or stands within a word."""
    pieces = text.split('"')
    if len(pieces) == 1:
        return text.split()
    if len(pieces) == 3 and pieces[0][-1:] == " " and not pieces[2]:
        return [*pieces[0].split(), pieces[1]]
    if not len(pieces) % 2:
        return None
    words: list[str] = []
    for i, piece in enumerate(pieces):
        if i % 2:
            words.append(piece)
        elif (i and piece[:1] not in ("", " ")) or (i + 1 < len(pieces) and piece[-1:] not in ("", " ")):
            return None
        else:
            words += piece.split()
    return words
