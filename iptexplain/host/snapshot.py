"""What was given: a dump alone, or a snapshot (JSON) with what else is known about the host."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from iptexplain.errors import DumpError, Location, ParseError
from iptexplain.rules.model import Dump, Ruleset
from iptexplain.rules.parse import parse
from iptexplain.rules.values import Family

SCHEMA = 1
KEYS = frozenset(
    [
        "schema",
        "iptables",
        "ip6tables",
        "addresses",
        "routes",
        "routes6",
        "rules",
        "sysctls",
        "ipsets",
        "bridge_links",
        "endpoints",
        "listeners",
        "docker",
        "namespaces",
    ]
)


class Snapshot(NamedTuple):
    """The rules, and the host's facts by their key in the snapshot; a fact that nobody gave is missing."""

    dumps: tuple[Dump, ...]
    facts: dict[str, Any]

    def ruleset(self, family: Family) -> tuple[Dump, Ruleset] | None:
        """The ruleset of a family with the dump that it stands in."""
        for dump in self.dumps:
            found = dump.family(family)
            if found:
                return dump, found
        return None

    @property
    def families(self) -> tuple[Family, ...]:
        both: tuple[Family, ...] = (4, 6)
        return tuple(f for f in both if self.ruleset(f))


def read_snapshot(text: str, file: str = "-") -> Snapshot:
    """A dump or a snapshot, told apart by its first character; raises DumpError."""
    if not text.lstrip("\ufeff \t\r\n").startswith("{"):
        return Snapshot((parse(text, file),), {})
    try:
        facts = json.loads(text)
    except json.JSONDecodeError as e:
        line = text.split("\n")[e.lineno - 1]
        raise DumpError([ParseError(f"not a snapshot: {e.msg}", Location(file, e.lineno, e.colno), line)]) from None
    problem = _problem(facts)
    if problem:
        raise DumpError([ParseError(problem, Location(file, 1), text.split("\n")[0][:200])])
    texts = [(key, facts.pop(key)) for key in ("iptables", "ip6tables") if facts.get(key)]
    names = {"iptables": file, "ip6tables": f"{file}[ip6tables]"} if len(texts) > 1 else {key: file for key, _ in texts}
    return Snapshot(tuple(parse(dump, names[key]) for key, dump in texts), facts)


def _problem(facts: dict[str, Any]) -> str | None:
    if facts.get("schema", SCHEMA) != SCHEMA:
        return f"this snapshot has schema {facts['schema']}; this iptexplain reads schema {SCHEMA}"
    if not (facts.get("iptables") or facts.get("ip6tables")):
        return "a snapshot needs the key 'iptables' or 'ip6tables' with the text of iptables-save"
    wrong = sorted(set(facts) - KEYS)
    return f"unknown key '{wrong[0]}' in the snapshot: there are {', '.join(sorted(KEYS))}" if wrong else None
