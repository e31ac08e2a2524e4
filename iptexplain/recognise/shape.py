"""The shape of a rule that a program wrote: a pattern in iptables-save's spelling, held against the rule as the model saves it."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from iptexplain.rules.answer import Backend
from iptexplain.rules.model import Jump, Place, Rule, Ruleset
from iptexplain.rules.save import save_rule

PLACEHOLDERS = {
    "bridge": r"[^\s+]+",
    "subnet": r"[0-9a-f:.]+/\d+",
    "ip": r"[0-9a-f:.]+",
    "peer": r"[0-9a-f:.]+",
    "host_ip": r"[0-9a-f:.]+",
    "container": r"\[[0-9a-f:.]+\]|[0-9.]+",
    "proto": r"tcp|udp|sctp",
    "port": r"\d+",
    "host_port": r"\d+",
    "host": r"/32|/128",
    "loopback": r"127\.0\.0\.0/8|::1/128",
}


class Shape(NamedTuple):
    """``role``: what the rule is for; ``pattern``: ``CHAIN options`` with {placeholders} and [optional parts]."""

    role: str
    table: str
    pattern: str

    @property
    def chain(self) -> str:
        return re.split(r"[ \[]", self.pattern, maxsplit=1)[0]

    def regex(self) -> re.Pattern[str]:
        return _regex(self.pattern)


@cache
def _regex(pattern: str) -> re.Pattern[str]:
    """A placeholder that comes a second time must hold the same text."""
    seen: set[str] = set()

    def group(match: re.Match[str]) -> str:
        name = match.group(1)
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>{PLACEHOLDERS[name]})"

    text = re.escape(pattern).replace(r"\[", "(?:").replace(r"\]", ")?")
    return re.compile("-A " + re.sub(r"\\\{(\w+)\\\}", group, text) + r"\Z")


class Found(NamedTuple):
    """A rule with its role: which recogniser says so, and what the placeholders hold (None: the optional part is missing)."""

    recogniser: str
    role: str
    place: Place
    rule: Rule
    values: dict[str, str | None]


def reached_chains(ruleset: Ruleset) -> set[tuple[str, str]]:
    """(table, chain) of every chain that packets can get to: the base chains, and what is jumped to from there."""
    found: set[tuple[str, str]] = set()
    for table in ruleset.tables.values():
        waiting = [c.name for c in table.chains.values() if c.policy is not None]
        while waiting:
            name = waiting.pop()
            if (table.name, name) not in found and name in table.chains:
                found.add((table.name, name))
                waiting += [r.target.chain for r in table.chains[name].rules if isinstance(r.target, Jump)]
    return found


class Roles:
    """Every rule of a ruleset that has a role; of equal shapes the first recogniser (by name) counts."""

    def __init__(self, found: Iterable[Found], reached: set[tuple[str, str]]) -> None:
        self.found = tuple(found)
        self.reached = reached
        self.by_place = {f.place: f for f in self.found}

    def of(self, *roles: str, **values: str) -> list[Found]:
        """The rules with one of these roles whose placeholders hold these values."""
        return [f for f in self.found if f.role in roles and all(f.values.get(k) == v for k, v in values.items())]

    def lines(self, *roles: str, **values: str) -> list[int]:
        """The lines of rules with one of these roles, in chains that packets can get to."""
        return [f.place.line for f in self.of(*roles, **values) if self.is_reached(f.place)]

    def is_reached(self, place: Place) -> bool:
        return (place.table, place.chain) in self.reached


def recognisers() -> list[str]:
    """The names of the modules in this folder that list SHAPES."""
    return sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if m.name != "shape")


def _shapes() -> dict[tuple[str, str], list[tuple[str, Shape]]]:
    """All shapes by table and chain."""
    by_chain: dict[tuple[str, str], list[tuple[str, Shape]]] = {}
    for name in recognisers():
        module = importlib.import_module(f"iptexplain.recognise.{name}")
        for shape in getattr(module, "SHAPES", ()):
            by_chain.setdefault((shape.table, shape.chain), []).append((name, shape))
    return by_chain


def roles_of(ruleset: Ruleset) -> Roles:
    """Hold every rule against every shape of its chain."""
    return Roles(_found(ruleset), reached_chains(ruleset))


def _found(ruleset: Ruleset) -> Iterator[Found]:
    shapes = _shapes()
    for table in ruleset.tables.values():
        for chain in table.chains.values():
            candidates = shapes.get((table.name, chain.name), [])
            for number, rule in enumerate(chain.rules if candidates else (), 1):
                text = save_rule(rule, Backend.NFT)
                for recogniser, shape in candidates:
                    match = shape.regex().match(text)
                    if match:
                        place = Place(table.name, chain.name, number, rule.line)
                        yield Found(recogniser, shape.role, place, rule, match.groupdict())
                        break
