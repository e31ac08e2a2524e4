"""A rule of the nat table whose packets never come there.

The nat table is asked about the first packet of a connection alone, so a rule for established connections is for nothing; and what
the tables raw or mangle drop in `PREROUTING`, or exempt from connection tracking, never gets to a rule that rewrites its destination.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from iptexplain.explain.words import save_clause
from iptexplain.lint.arrivals import Arrivals
from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import REFUSES, Host, word
from iptexplain.rules.model import Place, Rule
from iptexplain.rules.nat import NatTarget
from iptexplain.sets.causes import Contradiction
from iptexplain.sets.space import NO

LEVEL = "warning"

FIRES = Example("""*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -i eth0 -p tcp -m tcp --dport 80 -m conntrack --ctstate ESTABLISHED -j DNAT --to-destination 192.0.2.80
COMMIT
""")

QUIET = Example("""*nat
:PREROUTING ACCEPT [0:0]
-A PREROUTING -i eth0 -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW -j DNAT --to-destination 192.0.2.80
COMMIT
""")


def find(host: Host) -> Iterator[Finding]:
    """Rules for no first packet, and rules for packets that are gone before."""
    asked = host.tables.get("nat")
    if asked is None:
        return
    for place, found in asked.impossible.items():
        if is_about_state(host.rule(place), found) and host.is_judged(place):
            yield Finding(place, (), {"clause": save_clause(found[0].conditions[0])})
    for place, takers in _never_come(host):
        if place not in asked.dead and host.is_judged(place):
            drops = [p for p in takers if p.rule == "policy" or word(host.rule(p)) in REFUSES]
            yield Finding(
                place, takers, {"clause": None, "drops": drops, "exempts": [p for p in takers if p not in drops]}
            )


def is_about_state(rule: Rule, found: Sequence[Contradiction]) -> bool:
    """Whether a rule of NAT is dead for the state alone that it asks for."""
    names = [[condition.name for condition in one.conditions] for one in found]
    return isinstance(rule.target, NatTarget) and all(some in (["conntrack"], ["state"]) for some in names)


def _never_come(host: Host) -> Iterator[tuple[Place, tuple[Place, ...]]]:
    """The rules of nat PREROUTING whose packets are all gone, or untracked, when the table is asked; with those that see to it."""
    before = [chain for table in ("raw", "mangle") if (chain := host.ruleset.chain(table, "PREROUTING"))]
    if any(chain.rules or chain.policy == "DROP" for chain in before) and host.ruleset.chain("nat", "PREROUTING"):
        arrivals = Arrivals(host.ruleset, host.topology)
        rewriting = (
            p for p, who in arrivals.nat.of.items() if isinstance(host.rule(p).target, NatTarget) and who != NO
        )
        yield from ((p, tuple(arrivals.takers(p))) for p in rewriting if arrivals.none_for(p))
