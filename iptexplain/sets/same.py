"""Which rules of two rulesets are the same: what nobody can decide at one is then decided alike at the other."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping

from iptexplain.rules.model import Jump, Place, Rule, Ruleset, Table
from iptexplain.sets.chains import places

SILENT = frozenset({"comment"})
"""Matches that say nothing about packets."""


def _conditions(rule: Rule) -> Hashable:
    return tuple(match for match in rule.conditions() if match.name not in SILENT)


def _words(rule: Rule) -> Hashable:
    """All that a rule says, but for the name of the chain that it calls."""
    target = rule.target
    return _conditions(rule), target.goto if isinstance(target, Jump) else target


ALIKE: tuple[Callable[[Place, Rule], Hashable], ...] = (
    lambda place, rule: (place.chain, _words(rule)),
    lambda place, rule: _words(rule),
    lambda place, rule: (place.chain, _conditions(rule)),
    lambda place, rule: _conditions(rule),
)
"""What two rules of one table have in common that are the same one, the closest likeness first: a rule may have moved, its chain
may have another name, and it may do something else under the same conditions."""


def same_places(old: Ruleset, new: Ruleset) -> Mapping[Place, Hashable]:
    """Each place in ``new`` → the place of the same rule or policy in ``old``; of a rule that is new, something that is no
    place there. Of several that are alike, the first is the first, and so on."""
    found: dict[Place, Hashable] = {}
    for name, table in new.tables.items():
        before = old.tables.get(name)
        ours = dict(_in_order(table))
        theirs = dict(_in_order(before)) if before else {}
        for alike in ALIKE:
            waiting: dict[Hashable, list[Place]] = {}
            for place, rule in theirs.items():
                waiting.setdefault(alike(place, rule), []).append(place)
            for place, rule in list(ours.items()):
                same = waiting.get(alike(place, rule))
                if same:
                    found[place] = it = same.pop(0)
                    del ours[place], theirs[it]
        found.update((place, ("new", place)) for place in ours)
        for chain in table.chains.values():
            was = before.chains.get(chain.name) if before else None
            policy = Place(name, chain.name, "policy", chain.line)
            found[policy] = policy._replace(line=was.line) if was else ("new", policy)
    return found


def _in_order(table: Table) -> Iterator[tuple[Place, Rule]]:
    """All rules, the chains in the order in which they are called: their names do not matter."""
    base_first = sorted(table.chains, key=lambda name: table.chains[name].policy is None)
    waiting = base_first[::-1]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            yield from places(table, table.chains[name])
            called = [rule.target.chain for rule in table.chains[name].rules if isinstance(rule.target, Jump)]
            waiting += reversed(called)
