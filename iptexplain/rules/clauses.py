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
new_rule = partial(tuple.__new__, Rule)
new_setting = partial(tuple.__new__, Setting)


class Clauses:
    """The clauses of one table. ``chains`` are the names that a rule may jump to."""

    def __init__(self, table: str, family: Family, chains: Container[str]) -> None:
        self.table, self.family, self.chains = table, family, chains
        self.heads: dict[str, Parameters] = {}
        self.matches: dict[str, Match] = {}
        self.targets: dict[str, Target] = {}
        self.free: dict[str, Match] = {}
        self.jumps: dict[str, Target] = {f" {v}": Verdict(v) for v in VERDICTS if (table, v) != ("nat", "DROP")}
        self.taken: set[tuple[str, str | None, str]] = set()

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
        matches = []
        for clause in clauses:
            match = self.free.get(clause) or self._match(clause, parameters, chain)
            if match is None:
                return None
            matches.append(match)
        target = None
        if jump:
            target = self.jumps.get(jump) or self._target(jump, parameters, chain)
            if target is None:
                return None
        rule: Rule = new_rule((number, chain, parameters, tuple(matches), target, counters))
        return rule

    def _taken(self, extension: E, text: str, parameters: Parameters, chain: str, free: dict[str, E]) -> E | None:
        """The extension, when iptables takes it in such a rule; what may stand in every rule is ``free``."""
        if not extension.checks_rule:
            free[text] = extension
            return extension
        context = (text, parameters.protocol if parameters.is_plain else "!", chain if chain in HOOKS else "")
        if context not in self.taken:
            if extension.refuse(Rule(0, chain, parameters, (), None), self.table, self.family) is not None:
                return None
            self.taken.add(context)
        return extension

    def _head(self, text: str) -> Parameters | None:
        """-s -d -i -o -p -f in iptables-save's order; None when they stand otherwise, or say nothing (``-p all``)."""
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
                if index <= last or value in ("all", "+", "!") or (option.field in ("src", "dst") and value.is_any):  # type: ignore[attr-defined]
                    return None
                last = index
                settings.append(new_setting((option, value, inverted)))
        except (OptionError, IndexError, KeyError):
            return None
        found = self.heads[text] = Parameters(tuple(settings))
        return found

    def _match(self, text: str, parameters: Parameters, chain: str) -> Match | None:
        found = self.matches.get(text)
        if found is None:
            words = plain_words(text)
            kind = find_match(words.pop(0)) if words else None
            found = self._read(kind, words) if kind and words is not None else None
            if found is None:
                return None
            if found.checks_rule:
                self.matches[text] = found
        return self._taken(found, text, parameters, chain, self.free)

    def _target(self, text: str, parameters: Parameters, chain: str) -> Target | None:
        found = self.targets.get(text)
        if found is None:
            name = text[1:]
            if name in self.chains:
                if name in BASE_CHAINS[self.table]:
                    return None
                found = Jump(name)
            else:
                words = plain_words(text)
                kind = find_target(words.pop(0)) if words else None
                found = self._read(kind, words) if kind and words is not None else None
            if found is None:
                return None
            if found.checks_rule:
                self.targets[text] = found
        return self._taken(found, text, parameters, chain, self.jumps)

    def _read(self, kind: type[E], words: list[str]) -> E | None:
        """An extension from words that are just its own options in full; None for anything else, errors included."""
        names, family = kind.names, self.family
        if len(words) == 2 and words[0] == kind.single and words[1] != "!":
            only = names[words[0]]
            try:
                return kind((new_setting((only, only.kind.parse(words[1], family), False)),))  # type: ignore[union-attr]
            except OptionError:
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
        except (OptionError, IndexError, ValueError, OverflowError):
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
