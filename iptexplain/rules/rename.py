"""A ruleset with other names for interfaces: the same rules, written on another host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from iptexplain.rules.extension import Match
from iptexplain.rules.model import Rule, Ruleset, Table
from iptexplain.rules.values import InterfaceName

M = TypeVar("M", bound=Match)


def renamed(ruleset: Ruleset, names: Mapping[str, str]) -> Ruleset:
    """The ruleset in which every interface that ``names`` knows is called as it says; the lines are those that were read."""
    return ruleset._replace(tables={name: _table(table, names) for name, table in ruleset.tables.items()})


def _table(table: Table, names: Mapping[str, str]) -> Table:
    chains = {
        name: chain._replace(rules=tuple(_rule(rule, names) for rule in chain.rules))
        for name, chain in table.chains.items()
    }
    return table._replace(chains=chains)


def _rule(rule: Rule, names: Mapping[str, str]) -> Rule:
    matches = tuple(_match(match, names) for match in rule.matches)
    return rule._replace(parameters=_match(rule.parameters, names), matches=matches)


def _match(match: M, names: Mapping[str, str]) -> M:
    if not any(isinstance(s.option.kind, InterfaceName) and s.value in names for s in match.settings):
        return match
    return type(match)(tuple(
        s._replace(value=names.get(s.value, s.value)) if isinstance(s.option.kind, InterfaceName) else s
        for s in match.settings
    ))  # fmt: skip
