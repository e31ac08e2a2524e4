"""A rule of the nat table whose packets never come there.

The nat table is asked about the first packet of a connection alone, so a rule for established connections is for nothing; and what
the tables raw or mangle drop in `PREROUTING`, or exempt from connection tracking, never gets to a rule that rewrites its destination.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from iptexplain.explain.words import save_clause
from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host
from iptexplain.lint.tables import arrivals
from iptexplain.rules.extension import Match
from iptexplain.rules.model import Place, Rule
from iptexplain.rules.nat import NatTarget
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
    for place, conditions in asked.impossible.items():
        if is_about_state(asked.rule(place), conditions) and host.is_judged(place):
            yield Finding(place, (), {"clause": save_clause(conditions[0])})
    for place in _never_come(host):
        if place not in asked.dead and host.is_judged(place):
            yield Finding(place, _droppers(host), {"clause": None})


def is_about_state(rule: Rule, conditions: Sequence[Match]) -> bool:
    """Whether a rule of NAT is dead for the state alone that it asks for."""
    return isinstance(rule.target, NatTarget) and [c.name for c in conditions] in (["conntrack"], ["state"])


def _never_come(host: Host) -> Iterator[Place]:
    """The rules of nat PREROUTING whose packets are all gone, or untracked, when the table is asked."""
    found = arrivals(host.ruleset, host.topology)
    if found:
        hits, arriving = found
        rewriting = (p for p in hits.of if isinstance(host.rule(p).target, NatTarget) and hits.of[p] != NO)
        yield from (p for p in rewriting if hits.space.both(hits.of[p], arriving) == NO)


def _droppers(host: Host) -> tuple[Place, ...]:
    """The policies and rules of raw and mangle PREROUTING that can take packets away."""
    takers = ("DROP", "NOTRACK", "CT")
    places = [
        place
        for table in ("raw", "mangle")
        for place, rule in host.places(table)
        if rule.target is not None and (getattr(rule.target, "word", rule.target.name) in takers)
    ]
    return tuple(places)
