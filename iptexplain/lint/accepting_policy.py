"""A list of what is accepted, in a chain whose policy accepts everything else as well.

Every rule of the administrator's in `INPUT` or `FORWARD` that accepts something could be deleted without any effect, so the list looks
like protection and is none. A chain that accepts a few and then drops more is not meant, nor is one that only drops.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host, word
from iptexplain.lint.tables import Asked
from iptexplain.rules.model import Place
from iptexplain.sets.space import NO

LEVEL = "info"

FIRES = Example("""*filter
:INPUT ACCEPT [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
COMMIT
""")

QUIET = Example("""*filter
:INPUT DROP [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT
COMMIT
""")


def find(host: Host) -> Iterator[Finding]:
    """The policies behind such lists."""
    for policy, accepts in whitelists(host):
        yield Finding(policy, tuple(accepts), {"accepts": accepts})


def whitelists(host: Host) -> Iterator[tuple[Place, list[Place]]]:
    """The policy, and the rules that accept what it would accept."""
    asked = host.tables.get("filter")
    for name in ("INPUT", "FORWARD"):
        chain = host.ruleset.chain("filter", name)
        if asked is None or chain is None or chain.policy != "ACCEPT" or not chain.declared:
            continue
        chains = host.inside("filter", name)
        rules = [p for p, r in host.places() if p.chain in chains and host.is_own(p) and word(r) == "ACCEPT"]
        dead = frozenset(asked.dead)
        accepts = [p for p in rules if p not in dead]
        if accepts and frozenset(asked.spare).issuperset(accepts) and any(_opens(asked, name, p) for p in accepts):
            yield Place("filter", name, "policy", chain.line), accepts


def _opens(asked: Asked, hook: str, place: Place) -> bool:
    """Whether a rule is for the first packets of connections from elsewhere, as an entry in a list of what is allowed is."""
    hits = next(h for h in asked.hits if h.hook == hook)
    kinds, space = hits.chains.conditions.kinds, hits.space
    opening = space.minus(kinds.value("ctstate", "NEW"), kinds.value("iif", "lo"))
    return space.both(opening, hits.of.get(place, NO)) != NO
