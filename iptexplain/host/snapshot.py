"""What was given: a dump alone, or a snapshot (JSON) with what else is known about the host."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from iptexplain.errors import UNREADABLE, DumpError, Location, OptionError, ParseError
from iptexplain.host.topology import from_facts
from iptexplain.rules.answer import Backend
from iptexplain.rules.model import Dump, Ruleset
from iptexplain.rules.parse import parse
from iptexplain.rules.values import Family

SCHEMA = 1
KEYS: dict[str, type] = {
    "schema": int, "iptables": str, "ip6tables": str, "addresses": list, "routes": list, "routes6": list, "rules": list,
    "sysctls": dict, "ipsets": str, "bridge_links": list, "endpoints": list, "listeners": list, "docker": dict,
    "namespaces": dict,
}  # fmt: skip
"""The keys of a snapshot and what each holds."""


WARNING = re.compile(r"^# Warning: ip(6?)tables-legacy tables present", re.MULTILINE)
"""What iptables-nft-save says where there is another half; newer ones say it on standard error."""

_JSON = {int: "a number", float: "a number", bool: "true or false", str: "a text", list: "a list", dict: "an object"}
FAMILIES: tuple[Family, ...] = (4, 6)


class Snapshot(NamedTuple):
    """The rules, and the host's facts by their key in the snapshot; a fact that nobody gave is missing."""

    dumps: tuple[Dump, ...]
    facts: dict[str, Any]
    assumed: Mapping[str, str] = MappingProxyType({})
    """What somebody assumed beside that (host/assume.py): sysctl, match or target → value."""

    def ruleset(self, family: Family) -> tuple[Dump, Ruleset] | None:
        """The ruleset of a family with the dump that it stands in; of two halves the first that can stop a packet."""
        return next(((d, r) for d, r in self.halves() if r.family == family), None)

    @property
    def families(self) -> tuple[Family, ...]:
        return tuple(f for f in FAMILIES if self.ruleset(f))

    def rulesets(self) -> list[tuple[Dump, Ruleset]]:
        """All rulesets: IPv4 before IPv6, of one family nf_tables before legacy."""
        found = [(d, r) for d in self.dumps for r in d.rulesets]
        return sorted(found, key=lambda dr: (dr[1].family, dr[1].backend is Backend.LEGACY))

    def halves(self) -> list[tuple[Dump, Ruleset]]:
        """The rulesets without those that let everything pass where their family has another: they are no half of a picture."""
        found = self.rulesets()
        telling = {r.family for _, r in found if not _lets_all_pass(r)}
        first = {r.family: r for _, r in reversed(found)}
        return [(d, r) for d, r in found if (not _lets_all_pass(r) if r.family in telling else r is first[r.family])]

    def others(self, ruleset: Ruleset) -> list[Ruleset]:
        """The other half: rulesets of the same family that another backend holds. The kernel asks them, too."""
        return [r for _, r in self.halves() if r.family == ruleset.family and r is not ruleset]

    def missing_half(self, family: Family) -> int | None:
        """The line in which iptables-nft-save says that there are legacy tables, when these were not given; None else."""
        if any(r.family == family and r.backend is Backend.LEGACY for _, r in self.rulesets()):
            return None
        warnings = ((d, w) for d in self.dumps for w in WARNING.finditer(d.text) if (w[1] == "6") is (family == 6))
        return next((d.text.count("\n", 0, w.start()) + 1 for d, w in warnings), None)


def _lets_all_pass(ruleset: Ruleset) -> bool:
    chains = (chain for table in ruleset.tables.values() for chain in table.chains.values())
    return all(not chain.rules and chain.policy in (None, "ACCEPT") for chain in chains)


def read_snapshot(text: str, file: str = "-") -> Snapshot:
    """A dump or a snapshot, told apart by its first character; raises DumpError."""
    if not text.lstrip("\ufeff \t\r\n").startswith("{"):
        return Snapshot((parse(text, file),), {})
    try:
        facts = json.loads(text)
    except json.JSONDecodeError as e:
        line = text.split("\n")[e.lineno - 1]
        raise DumpError([ParseError(f"not a snapshot: {e.msg}", Location(file, e.lineno, e.colno), line)]) from None
    except (ValueError, RecursionError):
        raise DumpError([ParseError(f"not a snapshot: {UNREADABLE}", Location(file, 1))]) from None
    problem = _problem(facts)
    if problem:
        raise DumpError([ParseError(problem, Location(file, 1), text.split("\n")[0][:200])])
    facts = {k: v for k, v in facts.items() if v is not None}
    texts = [(key, facts.pop(key)) for key in ("iptables", "ip6tables") if facts.get(key)]
    names = {"iptables": file, "ip6tables": f"{file}[ip6tables]"} if len(texts) > 1 else {key: file for key, _ in texts}
    return Snapshot(tuple(parse(dump, names[key]) for key, dump in texts), facts)


def _problem(facts: dict[str, Any]) -> str | None:
    if facts.get("schema", SCHEMA) != SCHEMA:
        return f"this snapshot has schema {facts['schema']}; this iptexplain reads schema {SCHEMA}"
    if not (facts.get("iptables") or facts.get("ip6tables")):
        return "a snapshot needs the key 'iptables' or 'ip6tables' with the text of iptables-save"
    wrong = sorted(set(facts) - set(KEYS))
    if wrong:
        return f"unknown key '{wrong[0]}' in the snapshot: there are {', '.join(sorted(KEYS))}"
    for key, value in facts.items():
        if value is not None and not isinstance(value, KEYS[key]):
            return f"the snapshot's key '{key}' holds {_JSON[type(value)]}; it must be {_JSON[KEYS[key]]}"
    try:
        for family in FAMILIES:
            from_facts({k: v for k, v in facts.items() if v is not None}, family)
    except (KeyError, TypeError, ValueError, AttributeError, OptionError) as e:
        return f"the snapshot's facts are not what ip -j and docker inspect print: {type(e).__name__}: {e}"
    return None
