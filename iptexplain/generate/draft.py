"""A ruleset in the making: chains of entries, each a rule with the reason why it is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from iptexplain.explain.rule import read_rule
from iptexplain.explain.situation import Situation
from iptexplain.generate.ext_bridges import ONE_EACH, members
from iptexplain.generate.reason import Reason, reason_of
from iptexplain.generate.wish import Wish
from iptexplain.recognise.docker_chains import is_dockers
from iptexplain.recognise.shape import Found
from iptexplain.rules.answer import Backend
from iptexplain.rules.model import BASE_CHAINS, Chain, Counters, Jump, Rule, Ruleset, Table
from iptexplain.rules.values import Family


class Entry(NamedTuple):
    """A rule and why it is there. ``own``: it does what Docker's rules did; else it is a rule of the source that is kept."""

    rule: Rule
    reason: Reason
    own: bool = True

    @property
    def bridge(self) -> str | None:
        """The one bridge that the rule is about."""
        return self.reason.values.get("bridge")

    @property
    def jumps_to(self) -> str | None:
        return self.rule.target.chain if isinstance(self.rule.target, Jump) else None


class DraftTable:
    """The chains of a table by name: base chains with their policies, and user chains; ``own``: those that are not kept ones."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.policies: dict[str, str] = {}
        self.chains: dict[str, list[Entry]] = {}
        self.own: set[str] = set()

    def reached(self, *more: str) -> set[str]:
        """The chains that packets can get to; with ``more``, from these chains as well."""
        found: set[str] = set()
        waiting = [*self.policies, *more]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [e.jumps_to for e in self.chains[name] if e.jumps_to]
        return found

    def callers(self, chain: str) -> list[tuple[str, int]]:
        """(chain, place from 0) of every rule that jumps to a chain."""
        return [(name, n) for name, some in self.chains.items() for n, e in enumerate(some) if e.jumps_to == chain]

    def free(self, wanted: str) -> str:
        """A chain's name that is not taken yet, of at most 28 characters."""
        names = (wanted[: 28 - len(end)] + end for end in ("", *(f"-{n}" for n in range(2, 100_000))))
        return next(name for name in names if name not in self.chains)

    def add_chain(self, wanted: str, entries: Iterable[Entry] = ()) -> str:
        """A new own chain with these entries; its name."""
        name = self.free(wanted)
        self.chains[name] = [e._replace(rule=e.rule._replace(chain=name)) for e in entries]
        self.own.add(name)
        return name


class Draft:
    """The rules of one family. ``file``: the source, in which the kept rules stand; ``backend``: as whose rules they are spelled."""

    def __init__(self, family: Family, backend: Backend, file: str) -> None:
        self.family, self.backend, self.file = family, backend, file
        self.tables: dict[str, DraftTable] = {}

    def table(self, name: str) -> DraftTable:
        """A table, with its base chains (policy ACCEPT) when it is new."""
        if name not in self.tables:
            new = self.tables[name] = DraftTable(name)
            new.policies = dict.fromkeys(BASE_CHAINS[name], "ACCEPT")
            new.chains = {chain: [] for chain in BASE_CHAINS[name]}
        return self.tables[name]

    def entry(self, table: str, text: str, name: str, **values: str | None) -> Entry:
        """A rule of our own: ``CHAIN options`` as iptables-save spells them, and why."""
        _, rule, _ = read_rule(f"-A {text}", table, self.family)
        return Entry(rule, Reason(name, values))

    def add_wish(self, wish: Wish) -> None:
        """Rules of the administrator's, as if their commands had been given."""
        if wish.chain:
            self.table("filter").chains[wish.chain] = []
        for line in wish.lines:
            entries = self.table(line.table).chains[line.chain]
            entry = self.entry(line.table, f"{line.chain} {line.options}", line.reason.name, **line.reason.values)
            entries.insert(len(entries) if line.at is None else line.at - 1, entry._replace(own=False))

    def entries(self) -> Iterator[tuple[DraftTable, str, Entry]]:
        for table in self.tables.values():
            for name, entries in table.chains.items():
                yield from ((table, name, entry) for entry in entries)

    def ruleset(self) -> Ruleset:
        """What was drafted, frozen; base chains in the order of the hooks, user chains by name, as iptables-save has them."""
        tables = {name: _frozen(self.tables[name]) for name in BASE_CHAINS if name in self.tables}
        return Ruleset(self.file, self.family, self.backend, True, tables)


def _frozen(table: DraftTable) -> Table:
    users = sorted((name for name in table.chains if name not in table.policies), key=str.encode)
    names = [*(n for n in BASE_CHAINS[table.name] if n in table.policies), *users]
    chains = {
        name: Chain(name, table.policies.get(name), Counters(), tuple(e.rule for e in table.chains[name]), 1)
        for name in names
    }
    return Table(table.name, chains, 1)


def draft_of(situation: Situation) -> Draft:
    """The source as a draft: Docker's rules with their roles for reasons, the others kept."""
    ruleset, roles = situation.ruleset, situation.docker.roles.by_place
    draft = Draft(situation.family, ruleset.backend, situation.dump.file)
    for table in ruleset.tables.values():
        new = draft.tables[table.name] = DraftTable(table.name)
        for chain in table.chains.values():
            if chain.policy is not None:
                new.policies[chain.name] = chain.policy
            elif is_dockers(chain.name):
                new.own.add(chain.name)
            new.chains[chain.name] = [
                entry
                for place, rule in chain.placed(table.name)
                for entry in _entries(draft, situation, rule, roles.get(place))
            ]
    return draft


def _entries(draft: Draft, situation: Situation, rule: Rule, found: Found | None) -> Iterator[Entry]:
    """A rule of the source; in place of one of Docker's that asks a set, one for each subnet in it."""
    rule = rule._replace(counters=None)
    if found and found.values["set"] in situation.topology.ipsets.sets:
        name, text = ONE_EACH[found.role]
        for subnet, bridge in members(situation, str(found.values["set"])):
            yield draft.entry("filter", text.format(subnet=subnet), name, subnet=subnet, bridge=bridge)
    elif found:
        yield Entry(rule, reason_of(found))
    else:
        yield Entry(rule, Reason("kept", {"line": rule.line, "file": situation.dump.file}), own=False)
