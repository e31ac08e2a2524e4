"""Style ``flat``: the fewest rules that do the same. Short chains are written out where they are called, ports are grouped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from iptexplain.explain.situation import Situation
from iptexplain.generate.draft import Draft, DraftTable, Entry
from iptexplain.generate.names import prune
from iptexplain.generate.ports import group_ports
from iptexplain.rules.extension import Setting
from iptexplain.rules.model import Jump, Rule, Verdict
from iptexplain.rules.parameters import Parameters

STAYING = ("DOCKER-USER",)
"""Chains that are somebody's own place."""


def flatten(draft: Draft, situation: Situation, egress: frozenset[str]) -> None:
    """Write the rules as few as will do."""
    prune(draft)
    for table in draft.tables.values():
        _drop_empty(table)
        if table.name == "filter":
            while any(_written_out(table, name) for name in sorted(table.own - set(STAYING))):
                pass
        for name, entries in table.chains.items():
            table.chains[name] = group_ports(list(_joined(entries)), draft.family)


def _drop_empty(table: DraftTable) -> None:
    """A jump to a chain of ours without rules does nothing."""
    while empty := next((n for n in sorted(table.own) if not table.chains[n] and _all_own(table, n)), None):
        for name, entries in table.chains.items():
            table.chains[name] = [e for e in entries if e.jumps_to != empty]
        del table.chains[empty]
        table.own.discard(empty)


def _all_own(table: DraftTable, name: str) -> bool:
    return all(table.chains[chain][n].own for chain, n in table.callers(name))


# -- chains written out where they are called


def _written_out(table: DraftTable, name: str) -> bool:
    """Write a chain's rules in place of each jump to it, if that makes no more rules; whether it was done."""
    inner, callers = table.chains[name], table.callers(name)
    simple = all(e.own and _stays(e.rule) for e in inner)
    if not (callers and simple and _all_own(table, name)):
        return False
    written: dict[tuple[str, int], list[Entry]] = {}
    for chain, n in callers:
        caller = table.chains[chain][n]
        found = _combined(caller, inner) if chain != name and not _is_goto(caller.rule) else None
        if found is None:
            return False
        written[chain, n] = found
    if sum(map(len, written.values())) > len(callers) + len(inner):
        return False
    for chain, entries in table.chains.items():
        table.chains[chain] = [x for n, e in enumerate(entries) for x in written.get((chain, n), [e])]
    del table.chains[name]
    table.own.discard(name)
    return True


def _stays(rule: Rule) -> bool:
    """Whether a rule means the same in the chain that calls its own: no RETURN, no goto."""
    return not (isinstance(rule.target, Verdict) and rule.target.word == "RETURN") and not _is_goto(rule)


def _is_goto(rule: Rule) -> bool:
    return isinstance(rule.target, Jump) and rule.target.goto


def _combined(caller: Entry, inner: Sequence[Entry]) -> list[Entry] | None:
    """The rules with the caller's conditions added; without those that then match nothing; None: it cannot be written so.

    A match is not asked twice where it was asked once: it may count, or answer differently.
    """
    if caller.rule.matches and len(inner) > 1:
        return None
    found = []
    for entry in inner:
        names = {m.name for m in caller.rule.matches} & {m.name for m in entry.rule.matches}
        settings = _both(caller.rule.parameters.settings, entry.rule.parameters.settings)
        if settings is None or names:
            return None
        if settings:
            parameters = Parameters(tuple(settings[0]))
            matches = (*caller.rule.matches, *entry.rule.matches)
            rule = entry.rule._replace(chain=caller.rule.chain, parameters=parameters, matches=matches)
            found.append(entry._replace(rule=rule))
    return found


def _both(first: Sequence[Setting], second: Sequence[Setting]) -> list[list[Setting]] | None:
    """Both conditions as one, in a list; an empty list where they exclude each other; None: one rule cannot say both."""
    settings: dict[str, Setting] = {s.option.key: s for s in first}
    for setting in second:
        known = settings.setdefault(setting.option.key, setting)
        if known == setting:
            continue
        if setting.option.key not in "io" or "+" in f"{known.value}{setting.value}":
            return None
        if known.value == setting.value or not (known.inverted or setting.inverted):
            return []
        if known.inverted and setting.inverted:
            return None
        settings[setting.option.key] = setting if known.inverted else known
    return [[settings[o.key] for o in Parameters.options if o.key in settings]]


# -- rules made one


def _joined(entries: Sequence[Entry]) -> Iterator[Entry]:
    """What a bridge's containers may send to their own bridge and what they may send elsewhere, as one rule."""
    for about, run in groupby(entries, lambda e: _about(e.rule) if e.own else None):
        some = list(run)
        ways = [e.rule.parameters.get("o") for e in some]
        if about is None or len(some) != 2 or None in ways or len({(s.value, s.inverted) for s in ways if s}) != 2:
            yield from some
            continue
        if len({s.value for s in ways if s}) != 1:
            yield from some
            continue
        rest = Parameters(tuple(s for s in some[0].rule.parameters.settings if s.option.key != "o"))
        values = {**some[0].reason.values, "other": None}
        yield some[0]._replace(
            rule=some[0].rule._replace(parameters=rest),
            reason=some[0].reason._replace(name="all-outgoing-icc", values=values, recogniser=None),
        )


def _about(rule: Rule) -> tuple[object, ...] | None:
    """A rule without the interface by which packets leave."""
    if not isinstance(rule.target, Verdict) or rule.matches:
        return None
    return (tuple(s for s in rule.parameters.settings if s.option.key != "o"), rule.target)
