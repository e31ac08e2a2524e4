"""Rules as a file for nft(8): every chain and rule in the language of nftables 1.0.6, or the error that says which has no form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

from iptexplain.errors import DumpError, Location, OptionError, ParseError, UsageError
from iptexplain.explain.words import environment, said
from iptexplain.generate.plan import Plan, PlannedChain
from iptexplain.host.ipsets import IpSets
from iptexplain.outputs.iptables_restore import Output, commented, header
from iptexplain.outputs.nft_sets import NamedSet, TableSets, mentioned
from iptexplain.rules.answer import Backend
from iptexplain.rules.model import BASE_CHAINS, Dump, Jump, Rule
from iptexplain.rules.nft import EXPRESSION, names_for, no_form
from iptexplain.rules.save import save_rule
from iptexplain.rules.targets.set import SetTarget
from iptexplain.rules.values import Family

FORMAT = "nft"
"""What ``--format`` calls it."""

PRIORITY = {"raw": -300, "mangle": -150, "filter": 0, "security": 50}
"""When the kernel asks each table of iptables at a hook (include/uapi/linux/netfilter_ipv4.h, netfilter_ipv6.h)."""
NAT_PRIORITY = {"PREROUTING": -100, "OUTPUT": -100, "INPUT": 100, "POSTROUTING": 100}
REMARK_LIMIT = 128
"""How long a remark of a rule may be, in bytes."""
_IMPLIED = re.compile(r"meta l4proto (\w+) (?=\1 (?!option))")
"""A protocol before a field of its header: to compare that, nft asks for the protocol itself (but not for a TCP option)."""


class NftRule(NamedTuple):
    """``texts``: the rules that it becomes, mostly one; ``remark``: what stands above it as a comment."""

    texts: list[str]
    remark: str | None


class NftChain(NamedTuple):
    """``base``: its ``type … hook …``, or None for a user chain; ``called``: its name in iptables, where it has another here."""

    name: str
    called: str | None
    base: str | None
    policy: str
    rules: list[NftRule]


class NftTable(NamedTuple):
    """``family``: ip or ip6."""

    family: str
    name: str
    sets: list[NamedSet]
    chains: list[NftChain]


class Told(NamedTuple):
    """A chain to be written: each of its rules with the reason that stands above it (None: none)."""

    name: str
    policy: str | None
    rules: Sequence[tuple[Rule, str | None]]


Refused = Callable[[Rule, str, str], None]
"""Takes a rule that nft has no form of, its table, and what it has no form of."""


class Whole(NamedTuple):
    """A table to be written: its family, its name in iptables, what stands before that in nft, its chains, and who is told of a
    rule that has no form."""

    family: Family
    name: str
    prefix: str
    chains: list[Told]
    refused: Refused

    def rules(self) -> Iterator[Rule]:
        return (rule for chain in self.chains for rule, _ in chain.rules)


def nft(dumps: Iterable[Dump], ipsets: str = "") -> str:
    """All rules of the dumps as a file for ``nft -f``; it makes tables of its own and replaces them when it is loaded again.

    ``ipsets``: the IP sets that rules ask, as ``ipset save`` prints them. Raises DumpError with every rule that nft has no form of.
    """
    errors: list[ParseError] = []
    found = [(dump, ruleset) for dump in dumps for ruleset in dump.rulesets]
    several = len({(r.family, r.backend) for _, r in found}) > len({r.family for _, r in found})
    tables: list[Whole] = []
    for dump, ruleset in found:

        def refused(rule: Rule, table: str, message: str, dump: Dump = dump) -> None:
            place = Location(dump.file, rule.line)
            errors.append(ParseError(f"{table} {rule.chain}: {message}", place, dump.line(rule.line)))

        legacy = "legacy-" if several and ruleset.backend is Backend.LEGACY else ""
        for table in (ruleset.tables[name] for name in BASE_CHAINS if name in ruleset.tables):
            chains = [Told(c.name, c.policy, [(rule, None) for rule in c.rules]) for c in table.chains.values()]
            tables.append(Whole(ruleset.family, table.name, legacy, chains, refused))
    made = _tables(tables, IpSets(ipsets))
    if errors:
        raise DumpError(errors)
    about = environment().get_template("outputs/nft_header.j2").render(files=[said(d.file) for d, _ in found])
    return _file(about, made)


def render(plan: Plan, comments: bool) -> list[Output]:
    """One file for both families, each rule with its reason; raises UsageError where a rule has no form in nft."""

    def refused(rule: Rule, table: str, message: str) -> None:
        raise UsageError(
            f"{message}, and so this rule of table {table} cannot be written for nft: {said(save_rule(rule))}"
        )

    def told(chain: PlannedChain) -> Told:
        rules = [(commented(r, comments), r.reason.text) for r in chain.rules]
        return Told(chain.name, chain.policy, rules)

    tables = [
        Whole(family.family, table.name, "", [told(chain) for chain in table.chains], refused)
        for family in plan.families
        for table in family.tables
    ]
    return [Output("", _file(header(plan), _tables(tables, IpSets(plan.ipsets))))]


def _file(about: str, tables: Iterable[NftTable]) -> str:
    return environment().get_template("outputs/nft.j2").render(header=about, tables=[t for t in tables if t.chains])


def _tables(tables: Sequence[Whole], sets: IpSets) -> list[NftTable]:
    """All tables; a set that rules fill can be in one of them alone."""
    named = [mentioned(table.rules(), sets) for table in tables]
    filled = {name for _, some in named for name in some}
    shared = frozenset(name for name in filled if sum(name in some for some, _ in named) > 1)
    return [_table(table, TableSets(sets, table.family, [*table.rules()], shared)) for table in tables]


def _table(table: Whole, sets: TableSets) -> NftTable:
    """One table; user chains come first, and base chains that say nothing are left out."""
    names = names_for([c.name for c in table.chains])
    telling = sorted((c for c in table.chains if c.policy != "ACCEPT" or c.rules), key=lambda c: c.policy is not None)
    made = [
        NftChain(
            names[chain.name],
            said(chain.name) if names[chain.name] != chain.name else None,
            _base(table.name, chain.name) if chain.policy else None,
            (chain.policy or "").lower(),
            [rule for one, reason in chain.rules if (rule := _rule(one, reason, table, names, sets))],
        )
        for chain in telling
    ]
    return NftTable(EXPRESSION[table.family], f"iptexplain-{table.prefix}{table.name}", sets.declared(), made)


def _base(table: str, chain: str) -> str:
    """mangle OUTPUT routes a packet anew when its mark or TOS changes there, which takes a type of its own."""
    kind = "nat" if table == "nat" else "route" if (table, chain) == ("mangle", "OUTPUT") else "filter"
    priority = NAT_PRIORITY[chain] if table == "nat" else PRIORITY[table]
    return f"type {kind} hook {chain.lower()} priority {priority}"


def _rule(rule: Rule, reason: str | None, table: Whole, names: Mapping[str, str], sets: TableSets) -> NftRule | None:
    try:
        made = written(rule, table.family, names, sets)
    except OptionError as e:
        table.refused(rule, table.name, e.message)
        return None
    return made._replace(remark=reason or made.remark)


def written(rule: Rule, family: Family, names: Mapping[str, str], sets: TableSets | None = None) -> NftRule:
    """One rule; ``names``: what its table's chains are called in nft; ``sets``: those that it may ask. Raises OptionError where it
    has no form there."""
    sets = sets or TableSets(IpSets(""), family, [rule], frozenset())
    conditions = [sets.asked(m, rule) if m.name == "set" else m.nft(rule, family) for m in rule.conditions()]
    alternatives = [_IMPLIED.sub("", " ".join(filter(None, each))) for each in product(*conditions)]
    if len(alternatives) > 1 and any(m.name == "limit" for m in rule.matches):
        raise no_form("a limit beside alternatives, each of which would have its own")
    if len(alternatives) > 1 and isinstance(rule.target, SetTarget):
        raise no_form("-j SET beside alternatives, of which the second would meet what the first has changed")
    remark = "; ".join(m.value("comment") for m in rule.matches if m.name == "comment")
    fits = remark.isprintable() and not set('"$\\') & set(remark) and len(remark.encode()) <= REMARK_LIMIT
    told = f'comment "{remark}"' if remark and fits else ""
    texts = [" ".join(filter(None, (each, _target(rule, family, names, sets), told))) for each in alternatives]
    return NftRule(texts, said(remark) if remark and not fits else None)


def _target(rule: Rule, family: Family, names: Mapping[str, str], sets: TableSets) -> str:
    target = rule.target
    if isinstance(target, Jump):
        return f"{'goto' if target.goto else 'jump'} {names[target.chain]}"
    if isinstance(target, SetTarget):
        return sets.changed(target, rule)
    return target.nft(rule, family) if target else "counter"
