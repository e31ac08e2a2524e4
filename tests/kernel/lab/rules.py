"""The rules of a dump by their numbers, so that what the kernel's trace names can be told as iptables counts."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from typing import NamedTuple

from tests.kernel.lab import LabError

COUNTERS = re.compile(r"^\[\d+:\d+\]\s*")


class Chain(NamedTuple):
    """A chain's policy (None: a user chain has none) and its rules, each from -A on."""

    policy: str | None
    rules: list[str]


Tables = dict[str, dict[str, Chain]]


def read_dump(dump: str) -> Tables:
    """The chains of each table; raises LabError for a rule without a chain."""
    tables: Tables = {}
    chains: dict[str, Chain] = {}
    for line in map(str.strip, dump.splitlines()):
        if line.startswith("*"):
            chains = tables.setdefault(line[1:], {})
        elif line.startswith(":"):
            name, policy = line[1:].split()[:2]
            chains[name] = Chain(None if policy == "-" else policy, [])
        elif "-A " in line and not line.startswith("#"):
            rule = COUNTERS.sub("", line)
            if rule.split()[1] not in chains:
                raise LabError(f"there is no chain for '{rule}'")
            chains[rule.split()[1]].rules.append(rule)
    return tables


def action(tables: Tables, table: str, chain: str, number: int) -> str:
    """What a rule does: its target, ``jump:CHAIN``, ``goto:CHAIN``, or ``none``."""
    words = shlex.split(tables[table][chain].rules[number - 1])
    for option, word in pairwise(words):
        if option in ("-g", "--goto"):
            return f"goto:{word}"
        if option in ("-j", "--jump"):
            return f"jump:{word}" if word in tables[table] else word
    return "none"
