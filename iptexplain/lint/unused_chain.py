"""A chain with rules to which no rule jumps: nothing in it has any effect.

It is told once for the chain, not for each rule, and with it the chains that only it calls. Chains of known programs are left out,
for they make some in advance; so do others, and therefore it is no more than good to know.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.foreign_docker_chain import DOCKERS
from iptexplain.lint.host import Host, word
from iptexplain.rules.model import Chain

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
    """The chains that nothing calls; of those that only they call the names are told."""
    for table in host.ruleset.tables.values():
        for chain in table.chains.values():
            if (
                chain.policy is None
                and not host.callers.get((table.name, chain.name))
                and _counts(host, table.name, chain)
            ):
                within = host.inside(table.name, chain.name) - {chain.name}
                with_it = sorted(c for c in within if (table.name, c) not in host.docker.roles.reached)
                yield Finding(host.whole(table.name, chain), (), {"rules": len(chain.rules), "with_it": with_it})


def _counts(host: Host, table: str, chain: Chain) -> bool:
    theirs = chain.name in DOCKERS.get(table, ()) or any((table, chain.name) in p.chains for p in host.programs)
    does = any(any(r.conditions()) or word(r) != "RETURN" for r in chain.rules)
    return does and (host.all_rules or not theirs)
