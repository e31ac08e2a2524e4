"""A rule without which every packet would fare the same: later rules, or the policy, do the same with all that it is for.

That it counts is not looked at. But a rule that keeps packets from being logged, or from a condition that remembers them (`recent`,
`limit`), is not called redundant, nor is one that refuses them in another way than what follows. All the rules that
are found may be deleted together, or any one of them alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.lint.accepting_policy import whitelists
from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host, word
from iptexplain.lint.tables import Asked
from iptexplain.rules.model import Place
from iptexplain.sets.hits import Comers, Hits
from iptexplain.sets.space import NO, Diagram

LEVEL = "info"

FIRES = Example("""*filter
:FORWARD DROP [0:0]
-A FORWARD -s 192.0.2.7/32 -o eth0 -j ACCEPT
-A FORWARD -s 192.0.2.0/24 -j ACCEPT
COMMIT
""")

QUIET = Example("""*filter
:FORWARD DROP [0:0]
-A FORWARD -s 192.0.2.7/32 -o eth0 -j ACCEPT
-A FORWARD -s 192.0.2.0/24 -p tcp -j ACCEPT
COMMIT
""")


def find(host: Host) -> Iterator[Finding]:
    """The spare rules, without those of which a policy that accepts everything is the better thing to say, and without those of
    user chains that only what is behind the chain makes redundant: a chain that refuses what it is called for is in order."""
    told = {place for _, accepts in whitelists(host) for place in accepts}
    for asked in host.tables.values():
        for place in asked.spare:
            if place not in told and host.is_judged(place):
                instead, all_told = _instead(host, asked, place)
                if all_told or word(host.rule(place)) == "RETURN":
                    yield Finding(place, instead, {"all_told": all_told})


def _instead(host: Host, asked: Asked, place: Place) -> tuple[tuple[Place, ...], bool]:
    """Who decides about its packets without it: later rules of its chain, and the policy where they leave some; whether that is
    all of them. Of a rule that only marks packets: who marks them anew, too."""
    hits = next(h for h in asked.hits if place in h.of)
    decides = word(host.rule(place)) is not None
    comers: Comers = {(): hits.of[place]}
    found: list[Place] = []
    for part in hits.meeting(place.chain, hits.space.exists(hits.of[place], hits.changed)):
        if part.rule and int(part.rule[0].rule) > int(place.rule):
            past = {changes: who for changes, who in hits.past(part.piece, comers).items() if who != NO}
            if _all(hits, past) != _all(hits, comers) if decides else past != comers:
                found.append(part.rule[0])
            comers = past
    policy = host.policy(asked.table.name, place.chain)
    return (*found, policy) if policy and comers else tuple(found), not comers or policy is not None


def _all(hits: Hits, comers: Comers) -> Diagram:
    return hits.space.union(list(comers.values()))
