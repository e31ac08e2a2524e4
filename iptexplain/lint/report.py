"""All findings about a host, with their words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from iptexplain.errors import UsageError
from iptexplain.explain.words import environment, said
from iptexplain.lint.finding import LEVELS, Finding, Lint, lints
from iptexplain.lint.host import Host
from iptexplain.rules.model import Place, Rule
from iptexplain.rules.save import save_rule
from iptexplain.rules.words import split_words
from iptexplain.sets.space import TooLarge

LONGEST = ("accepting-policy", "redundant-rule")
"""The lints that take the longest are asked last: what they use up is missing to no other."""

BY_NUMBER = re.compile(r"^    .* -D \S+ \d+$", re.MULTILINE)
"""A command that deletes a rule, and not by its words."""

IGNORE = re.compile(r"iptexplain:\s*ignore\s+([a-z0-9, -]+)")
"""A comment in a rule that silences lints about it."""


class Told:
    """A finding about a host's rules, in words."""

    def __init__(self, finding: Finding, host: Host) -> None:
        self.finding, self.host = finding, host

    @property
    def level(self) -> str:
        return self.finding.level or lints()[self.finding.name].level

    @property
    def text(self) -> str:
        """The line of the dump that it is about; nothing where that is no rule."""
        place = self.finding.place
        return said(self.host.text(place)) if place and isinstance(place.rule, int) else ""

    @cached_property
    def message(self) -> str:
        """What is wrong, in one paragraph."""
        return " ".join(self._block("message").split())

    @cached_property
    def fix(self) -> str:
        """What to do about it: paragraphs, and commands as indented lines."""
        words = re.sub(r"\n{3,}", "\n\n", self._block("fix").strip("\n"))
        if not BY_NUMBER.search(words):
            return words
        return f"{words}\n\n{environment().get_template('documents/equal_rule_above.j2').render()}".rstrip("\n")

    def _block(self, name: str) -> str:
        template = environment().get_template(lints()[self.finding.name].template)
        program = "ip6tables" if self.host.family == 6 else "iptables"
        outside = next((r.interface for r in self.host.topology.routes if not r.network.mask), "eth0")
        reached = ("filter", "DOCKER-USER") in self.host.docker.roles.reached
        values: dict[str, Any] = {
            "place": self.finding.place, "because": self.finding.because, "iptables": program, "family": self.host.family,
            "outside": outside, "user": "DOCKER-USER" if reached else "FORWARD", "delete": self._delete, "again": self._again,
        }  # fmt: skip
        context = template.new_context(values | dict(self.finding.values))
        return "".join(template.blocks[name](context))

    def _delete(self, place: Place) -> str:
        """The command that deletes a rule. By its words iptables deletes the first that has them: behind an equal one it is called
        by its number."""
        saved = save_rule(self.host.rule(place))
        is_first = self.host.first_saved[place.table, saved] == place
        return self._command(place, ["-D", *(_words(saved) if is_first else (place.chain, str(place.rule)))])

    def _again(self, place: Place) -> str:
        """The command that puts a rule with the same words before all others of its chain."""
        return self._command(place, ["-I", *_words(save_rule(self.host.rule(place)))])

    def _command(self, place: Place, words: Sequence[str]) -> str:
        program = "ip6tables" if self.host.family == 6 else "iptables"
        table = [] if place.table == "filter" else ["-t", place.table]
        return " ".join(map(shlex.quote, [program, *table, *map(said, words)]))

    @property
    def kin(self) -> tuple[Any, ...]:
        """What findings have in common that are told as one."""
        f = self.finding
        where = (f.place.table, f.place.chain) if f.place else None
        return self.host, f.name, self.level, where, f.because, isinstance(f.rule, int)

    @property
    def is_like_others(self) -> bool:
        """Whether its words, but for the place, follow from its causes."""
        return self.finding.name in ("unreachable-rule", "redundant-rule")

    def json(self) -> dict[str, Any]:
        """The finding as ``lint -o json`` has it, its words without marks."""
        place = self.finding.place
        return {
            "name": self.finding.name,
            "level": self.level,
            "family": self.host.family,
            "table": place.table if place else None,
            "chain": (place.chain or None) if place else None,
            "rule": self.finding.rule,
            "line": self.finding.line,
            "message": unmarked(self.message),
            "because": [p._asdict() for p in self.finding.because],
            "fix": unmarked(self.fix),
        }


def unmarked(words: str) -> str:
    """Without the code marks; a command (an indented line) has none, and stays as it is."""
    return "\n".join(line if line.startswith("    ") else line.replace("`", "") for line in words.split("\n"))


class Report(NamedTuple):
    """``missed``: the lints that could not be looked for, because the rules are too many and too different."""

    told: list[Told]
    missed: list[str]

    def worst(self, level: str) -> bool:
        """Whether there is a finding of this level or above."""
        return any(LEVELS.index(t.level) <= LEVELS.index(level) for t in self.told)

    def groups(self) -> list[list[Told]]:
        """The findings, with those together that one sentence tells; the worst first."""
        groups: dict[Any, list[Told]] = {}
        for told in self.told:
            groups.setdefault(told.kin if told.is_like_others else told, []).append(told)
        return list(groups.values())


def look(hosts: Sequence[Host], chosen: Collection[str]) -> Report:
    """Ask the ``chosen`` lints about every ruleset. The worst findings come first, then in the order of the dump."""
    told: list[Told] = []
    missed: dict[str, None] = {}
    for host in hosts:
        for name in sorted((n for n in lints() if n in chosen), key=lambda n: n in LONGEST):
            try:
                told += [Told(f, host) for f in _found(lints()[name], host) if not is_silenced(f, host)]
            except TooLarge:
                missed[name] = None
            except UsageError:
                continue  # there is nobody outside, or no address of the host, to ask about
    told.sort(key=lambda t: (LEVELS.index(t.level), hosts.index(t.host), t.finding.line or 0))
    return Report(told, sorted(missed))


def _words(saved: str) -> list[str]:
    """The chain and what follows it in ``-A CHAIN …``."""
    return [w.text for w in split_words(saved)][1:]


def _found(lint: Lint, host: Host) -> list[Finding]:
    return [f._replace(name=lint.name) for f in lint.find(host)]


def is_silenced(finding: Finding, host: Host) -> bool:
    """Whether the rule's own comment says ``iptexplain: ignore NAME``; of a chain, that of any of its rules."""
    place = finding.place
    if place is None or not place.chain:
        return False
    rules = [host.rule(place)] if isinstance(place.rule, int) else [r for _, r in host.places(place.table, place.chain)]
    return any(finding.name in _silences(rule) for rule in rules)


def _silences(rule: Rule) -> list[str]:
    remarks = " ".join(str(m.value("comment")) for m in rule.matches if m.name == "comment")
    return [name for found in IGNORE.finditer(remarks) for name in re.split(r"[, ]+", found[1].strip())]
