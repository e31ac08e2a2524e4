"""Rules as a file for nft(8): every chain and rule in the language of nftables 1.0.6, or the error that says which has no form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import NamedTuple

from iptexplain.errors import DumpError, Location, OptionError, ParseError
from iptexplain.explain.words import environment, said
from iptexplain.rules.answer import Backend
from iptexplain.rules.model import BASE_CHAINS, Chain, Dump, Jump, Rule, Ruleset, Table
from iptexplain.rules.nft import EXPRESSION, no_form
from iptexplain.rules.save import save_rule
from iptexplain.rules.values import Family

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


def nft(dumps: Iterable[Dump]) -> str:
    """All rules of the dumps as a file for ``nft -f``; it makes tables of its own and replaces them when it is loaded again.

    Raises DumpError with every rule that nft has no form of.
    """
    errors: list[ParseError] = []
    dumps = list(dumps)
    several = len({(r.family, r.backend) for d in dumps for r in d.rulesets}) > len(
        {r.family for d in dumps for r in d.rulesets}
    )
    tables = [
        made
        for dump in dumps
        for ruleset in dump.rulesets
        for table in _in_order(ruleset)
        if (made := _Writer(dump, ruleset, table, several, errors).table()).chains
    ]
    if errors:
        raise DumpError(errors)
    files = [said(d.file) for d in dumps]
    return environment().get_template("outputs/nft.j2").render(tables=tables, files=files)


def _in_order(ruleset: Ruleset) -> Iterator[Table]:
    return (ruleset.tables[name] for name in BASE_CHAINS if name in ruleset.tables)


class _Writer:
    """Writes one table. ``several``: another backend has one of the same name."""

    def __init__(self, dump: Dump, ruleset: Ruleset, of: Table, several: bool, errors: list[ParseError]) -> None:
        self.dump, self.family, self.of, self.errors = dump, ruleset.family, of, errors
        legacy = "legacy-" if several and ruleset.backend is Backend.LEGACY else ""
        self.name = f"iptexplain-{legacy}{of.name}"
        self.names = _names(of)

    def table(self) -> NftTable:
        told = (c for c in self.of.chains.values() if c.policy is None or c.rules or c.policy != "ACCEPT")
        users_first = sorted(told, key=lambda c: c.policy is not None)
        return NftTable(EXPRESSION[self.family], self.name, [self._chain(c) for c in users_first])

    def _chain(self, chain: Chain) -> NftChain:
        name = self.names[chain.name]
        called = said(chain.name) if name != chain.name else None
        rules = [made for rule in chain.rules if (made := self._rule(rule))]
        return NftChain(name, called, self._base(chain), (chain.policy or "").lower(), rules)

    def _base(self, chain: Chain) -> str | None:
        """mangle OUTPUT routes a packet anew when its mark or TOS changes there, which takes a type of its own."""
        if chain.policy is None:
            return None
        table = self.of.name
        kind = "nat" if table == "nat" else "route" if (table, chain.name) == ("mangle", "OUTPUT") else "filter"
        priority = NAT_PRIORITY[chain.name] if table == "nat" else PRIORITY[table]
        return f"type {kind} hook {chain.name.lower()} priority {priority}"

    def _rule(self, rule: Rule) -> NftRule | None:
        try:
            return written(rule, self.family, self.names)
        except OptionError as e:
            text = self.dump.line(rule.line) or save_rule(rule)
            self.errors.append(
                ParseError(f"{self.of.name} {rule.chain}: {e.message}", Location(self.dump.file, rule.line), text)
            )
            return None


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


def _names(table: Table) -> dict[str, str]:
    """The chains' names in nft: their own where it takes them. A name in small letters could be one of nft's words, so it
    gets a ``_`` before it; what no name may hold becomes ``_`` and a number makes it unlike others."""
    names: dict[str, str] = {}
    for chain in table.chains:
        own = chain if _NAME.fullmatch(chain) else re.sub(r"[^A-Za-z0-9_-]", "_", f"_{chain}")
        own = own if _SAFE.search(own) else f"_{own}"
        taken = set(names.values())
        names[chain] = next(
            n for n in (own, *(f"{own}_{i}" for i in range(2, len(table.chains) + 2))) if n not in taken
        )
    return names
