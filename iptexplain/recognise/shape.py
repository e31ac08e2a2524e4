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
from iptexplain.rules.model import Jump, Place, Rule, Ruleset, Verdict
from iptexplain.rules.save import save_rule

ADDRESS, NETWORK, INTERFACE = r"[0-9a-f:.]+", r"[0-9a-f:.]+/\d+", r"[!-*,-~]+"
PLACEHOLDERS = {
    "bridge": INTERFACE,
    "other": INTERFACE,
    "interface": INTERFACE,
    "subnet": NETWORK,
    "other_subnet": NETWORK,
    "ip": ADDRESS,
    "peer": ADDRESS,
    "host_ip": ADDRESS,
    "container": r"\[[0-9a-f:.]+\]|[0-9.]+",
    "proto": r"tcp|udp|sctp",
    "icmp": r"icmp|ipv6-icmp",
    "port": r"\d+",
    "host_port": r"\d+",
    "host": r"/32|/128",
    "loopback": r"127\.0\.0\.0/8|::1/128",
    "mark": r"0x[0-9a-f]+(?:/0x[0-9a-f]+)?",
    "netid": r"[0-9a-f]{12}",
    "set": r"docker-ext-bridges-v[46]",
    "vni": r"0x[0-9a-f]+",
    "program": r"\"[0-9 ,]+\"",
    "neighbours": r"13[56]",
}
"""What may stand in a pattern's {braces}."""

NOTHING: dict[str, str | None] = dict.fromkeys(PLACEHOLDERS)


class Shape(NamedTuple):
    """``role``: what the rule is for; ``pattern``: ``CHAIN options`` with {placeholders} and [optional parts].

    ``needs``: what must hold beside that, where others may write such a rule as well (recognise/proof.py).
    """

    role: str
    table: str
    pattern: str
    needs: str = ""

    @property
    def chain(self) -> str:
        return re.split(r"[ \[]", self.pattern, maxsplit=1)[0]

    @property
    def target(self) -> str:
        return self.pattern.rpartition("-j ")[2].split()[0]

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
    """A rule with its role: which recogniser says so, and what the placeholders hold (None: this rule has no such part)."""

    recogniser: str
    role: str
    place: Place
    rule: Rule
    values: dict[str, str | None]
    needs: str = ""

    @property
    def container(self) -> str:
        """The container's address in a rule that rewrites to it."""
        return (self.values["container"] or "").strip("[]")


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
        self._by_role: dict[str, list[Found]] = {}
        for f in self.found:
            self._by_role.setdefault(f.role, []).append(f)

    def of(self, *roles: str, **values: str) -> list[Found]:
        """The rules with one of these roles whose placeholders hold these values."""
        found = self._by_role.get(roles[0], []) if len(roles) == 1 else [f for f in self.found if f.role in roles]
        return [f for f in found if all(f.values[k] == v for k, v in values.items())] if values else list(found)

    def lines(self, *roles: str, **values: str) -> list[int]:
        """The lines of rules with one of these roles, in chains that packets can get to."""
        return [f.place.line for f in self.of(*roles, **values) if self.is_reached(f.place)]

    def is_reached(self, place: Place) -> bool:
        return (place.table, place.chain) in self.reached

    def only(self, kept: Iterable[Found]) -> Roles:
        """The same with these rules alone."""
        return Roles(kept, self.reached)


def recognisers() -> list[str]:
    """The names of the modules in this folder that list SHAPES."""
    return sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if m.name != "shape")


@cache
def _shapes() -> dict[tuple[str, str, str], list[tuple[str, Shape]]]:
    """All shapes by table, chain and target."""
    found: dict[tuple[str, str, str], list[tuple[str, Shape]]] = {}
    for name in recognisers():
        module = importlib.import_module(f"iptexplain.recognise.{name}")
        for shape in getattr(module, "SHAPES", ()):
            found.setdefault((shape.table, shape.chain, shape.target), []).append((name, shape))
    return found


def has_shapes(table: str, chain: str) -> bool:
    """Whether one of the shapes stands in this chain."""
    return any(key[:2] == (table, chain) for key in _shapes())


def roles_of(ruleset: Ruleset) -> Roles:
    """Hold every rule against every shape of its chain; whether Docker wrote the rule, proof.py says."""
    return Roles(_found(ruleset), reached_chains(ruleset))


def _found(ruleset: Ruleset) -> Iterator[Found]:
    shapes = _shapes()
    for table in ruleset.tables.values():
        for chain in table.chains.values():
            name = "{netid}" if re.fullmatch(PLACEHOLDERS["netid"], chain.name) else chain.name
            for number, rule in enumerate(chain.rules, 1):
                candidates = shapes.get((table.name, name, _target(rule)), [])
                text = save_rule(rule, Backend.NFT) if candidates else ""
                for recogniser, shape in candidates:
                    match = shape.regex().match(text)
                    if match:
                        place = Place(table.name, chain.name, number, rule.line)
                        values = NOTHING | match.groupdict()
                        yield Found(recogniser, shape.role, place, rule, values, shape.needs)
                        break


def _target(rule: Rule) -> str:
    target = rule.target
    if isinstance(target, Verdict):
        return target.word
    if isinstance(target, Jump):
        return "{netid}" if re.fullmatch(PLACEHOLDERS["netid"], target.chain) else target.chain
    return target.called if target else ""
