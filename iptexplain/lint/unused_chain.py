"""A chain with rules to which nothing leads from any hook: nothing in it has any effect.

It is told once for the chain, not for each rule, and with it the chains that it calls and nothing else asks. Chains of known programs are left out,
for they make some in advance; so do others, and therefore it is no more than good to know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.foreign_docker_chain import DOCKERS
from iptexplain.lint.host import Host, word
from iptexplain.rules.model import Chain, Table

LEVEL = "info"

FIRES = Example("""*filter
:INPUT ACCEPT [0:0]
:BLOCKED - [0:0]
-A BLOCKED -s 203.0.113.0/24 -j DROP
COMMIT
""")

QUIET = Example("""*filter
:INPUT ACCEPT [0:0]
:BLOCKED - [0:0]
-A INPUT -j BLOCKED
-A BLOCKED -s 203.0.113.0/24 -j DROP
COMMIT
""")


def find(host: Host) -> Iterator[Finding]:
    """The chains that nothing calls, and of chains that only call each other one; with the names of those that they lead to."""
    for table in host.ruleset.tables.values():
        unasked = _unasked(host, table)
        for name, within in _tops(host, table, unasked):
            chain = table.chains[name]
            if _counts(host, table.name, chain):
                values = {"rules": len(chain.rules), "with_it": sorted(within & unasked.keys() - {name})}
                yield Finding(host.whole(table.name, chain), (), {**values, "callers": _callers(host, table, name)})


def _unasked(host: Host, table: Table) -> dict[str, Chain]:
    asked = set[str]().union(*(host.inside(table.name, c.name) for c in table.chains.values() if c.policy is not None))
    return {name: chain for name, chain in table.chains.items() if name not in asked}


def _tops(host: Host, table: Table, unasked: Collection[str]) -> Iterator[tuple[str, set[str]]]:
    """The chains to which no other one leads, but for those that they lead to themselves; and all that they lead to."""
    seen: set[str] = set()
    for name in sorted(unasked, key=lambda n: bool(_callers(host, table, n))):
        if name not in seen:
            within = host.inside(table.name, name)
            while above := next((c for c in _callers(host, table, name) if c not in within), None):
                name, within = above, host.inside(table.name, above)
            seen |= within
            yield name, within


def _callers(host: Host, table: Table, name: str) -> list[str]:
    """The chains with a rule that leads to a chain."""
    return list(dict.fromkeys(place.chain for place in host.callers.get((table.name, name), ())))


def _counts(host: Host, table: str, chain: Chain) -> bool:
    theirs = chain.name in DOCKERS.get(table, ()) or any((table, chain.name) in p.chains for p in host.programs)
    does = any(any(r.conditions()) or word(r) != "RETURN" for r in chain.rules)
    return does and (host.all_rules or not theirs)
