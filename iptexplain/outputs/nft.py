"""Rules as a file for nft(8): every chain and rule in the language of nftables 1.0.6, or the error that says which has no form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain as chain_of
from itertools import count, product
from typing import NamedTuple

from iptexplain.errors import DumpError, Location, OptionError, ParseError, UsageError
from iptexplain.explain.words import environment, said
from iptexplain.generate.plan import Plan, PlannedChain
from iptexplain.outputs.iptables_restore import Output, commented, header
from iptexplain.rules.answer import Backend
from iptexplain.rules.model import BASE_CHAINS, Dump, Jump, Rule
from iptexplain.rules.nft import EXPRESSION, no_form
from iptexplain.rules.save import save_rule
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
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SAFE = re.compile(r"[A-Z]|_")


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
    chains: list[NftChain]


class Told(NamedTuple):
    """A chain to be written: each of its rules with the reason that stands above it (None: none)."""

    name: str
    policy: str | None
    rules: Sequence[tuple[Rule, str | None]]


Refused = Callable[[Rule, str, str], None]
"""Takes a rule that nft has no form of, its table, and what it has no form of."""


def nft(dumps: Iterable[Dump]) -> str:
    """All rules of the dumps as a file for ``nft -f``; it makes tables of its own and replaces them when it is loaded again.

    Raises DumpError with every rule that nft has no form of.
    """
    errors: list[ParseError] = []
    found = [(dump, ruleset) for dump in dumps for ruleset in dump.rulesets]
    several = len({(r.family, r.backend) for _, r in found}) > len({r.family for _, r in found})
    tables: list[NftTable] = []
    for dump, ruleset in found:

        def refused(rule: Rule, table: str, message: str, dump: Dump = dump) -> None:
            place = Location(dump.file, rule.line)
            errors.append(ParseError(f"{table} {rule.chain}: {message}", place, dump.line(rule.line)))

        legacy = "legacy-" if several and ruleset.backend is Backend.LEGACY else ""
        for table in (ruleset.tables[name] for name in BASE_CHAINS if name in ruleset.tables):
            chains = [Told(c.name, c.policy, [(rule, None) for rule in c.rules]) for c in table.chains.values()]
            tables.append(_table(ruleset.family, table.name, legacy, chains, refused))
    if errors:
        raise DumpError(errors)
    about = environment().get_template("outputs/nft_header.j2").render(files=[said(d.file) for d, _ in found])
    return _file(about, tables)


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
        _table(family.family, table.name, "", [told(chain) for chain in table.chains], refused)
        for family in plan.families
        for table in family.tables
    ]
    return [Output("", _file(header(plan), tables))]


def _file(about: str, tables: Iterable[NftTable]) -> str:
    return environment().get_template("outputs/nft.j2").render(header=about, tables=[t for t in tables if t.chains])


def _table(family: Family, table: str, prefix: str, chains: list[Told], refused: Refused) -> NftTable:
    """One table; user chains come first, and base chains that say nothing are left out."""
    names = _names([c.name for c in chains])
    telling = sorted((c for c in chains if c.policy != "ACCEPT" or c.rules), key=lambda c: c.policy is not None)
    made = [
        NftChain(
            names[chain.name],
            said(chain.name) if names[chain.name] != chain.name else None,
            _base(table, chain.name) if chain.policy else None,
            (chain.policy or "").lower(),
            [rule for one, reason in chain.rules if (rule := _rule(one, reason, family, table, names, refused))],
        )
        for chain in telling
    ]
    return NftTable(EXPRESSION[family], f"iptexplain-{prefix}{table}", made)


def _base(table: str, chain: str) -> str:
    """mangle OUTPUT routes a packet anew when its mark or TOS changes there, which takes a type of its own."""
    kind = "nat" if table == "nat" else "route" if (table, chain) == ("mangle", "OUTPUT") else "filter"
    priority = NAT_PRIORITY[chain] if table == "nat" else PRIORITY[table]
    return f"type {kind} hook {chain.lower()} priority {priority}"


def _rule(
    rule: Rule, reason: str | None, family: Family, table: str, names: Mapping[str, str], refused: Refused
) -> NftRule | None:
    try:
        made = written(rule, family, names)
    except OptionError as e:
        refused(rule, table, e.message)
        return None
    return made._replace(remark=reason or made.remark)


def written(rule: Rule, family: Family, names: Mapping[str, str]) -> NftRule:
    """One rule; ``names``: what its table's chains are called in nft. Raises OptionError where it has no form there."""
    conditions = [match.nft(rule, family) for match in rule.conditions()]
    alternatives = [_IMPLIED.sub("", " ".join(filter(None, each))) for each in product(*conditions)]
    if len(alternatives) > 1 and any(m.name == "limit" for m in rule.matches):
        raise no_form("a limit beside alternatives, each of which would have its own")
    remark = "; ".join(m.value("comment") for m in rule.matches if m.name == "comment")
    fits = remark.isprintable() and not set('"$\\') & set(remark) and len(remark.encode()) <= REMARK_LIMIT
    told = f'comment "{remark}"' if remark and fits else ""
    texts = [" ".join(filter(None, (each, _target(rule, family, names), told))) for each in alternatives]
    return NftRule(texts, said(remark) if remark and not fits else None)


def _target(rule: Rule, family: Family, names: Mapping[str, str]) -> str:
    target = rule.target
    if isinstance(target, Jump):
        return f"{'goto' if target.goto else 'jump'} {names[target.chain]}"
    return target.nft(rule, family) if target else "counter"


def _names(chains: Iterable[str]) -> dict[str, str]:
    """The chains' names in nft: their own where it takes them. A name in small letters could be one of nft's words, so it
    gets a ``_`` before it; what no name may hold becomes ``_`` and a number makes it unlike others."""
    names: dict[str, str] = {}
    for chain in chains:
        own = chain if _NAME.fullmatch(chain) else re.sub(r"[^A-Za-z0-9_-]", "_", f"_{chain}")
        own = own if _SAFE.search(own) else f"_{own}"
        taken = set(names.values())
        names[chain] = next(n for n in chain_of((own,), (f"{own}_{i}" for i in count(2))) if n not in taken)
    return names
