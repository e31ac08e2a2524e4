"""A rule to which no packet comes that it is for, because earlier rules take all of them.

The earlier rules are taken together, across jumps, with the marks that they set; those that are named are few, and enough.
What a dump cannot decide (limit, an IP set, the host's own addresses where no snapshot lists them) never counts as taken. Such a
rule does nothing: mostly it stands too low.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host
from iptexplain.rules.model import Jump, Place

LEVEL = "warning"

FIRES = Example("""*filter
:INPUT DROP [0:0]
-A INPUT -s 10.0.0.0/9 -j DROP
-A INPUT -s 10.128.0.0/9 -j DROP
-A INPUT -s 10.9.0.0/16 -p tcp -m tcp --dport 22 -j ACCEPT
COMMIT
""")

QUIET = Example("""*filter
:INPUT DROP [0:0]
-A INPUT -s 10.9.0.0/16 -p tcp -m tcp --dport 22 -j ACCEPT
-A INPUT -s 10.0.0.0/9 -j REJECT
COMMIT
""")


MOST = 4
"""How many rules of the chains that earlier rules jump to are named."""


def find(host: Host) -> Iterator[Finding]:
    """All dead rules but those that contradict themselves."""
    for asked in host.tables.values():
        for place in asked.dead:
            if place not in asked.impossible and host.is_judged(place):
                causes = asked.causes(place) or ()
                # A jump on the way to the rule limits what comes there; any other one takes packets away in its chain.
                jumps = [p for p in causes if _leads_to(host, p, place)]
                inside = asked.deciders(place, tuple(p for p in causes if p not in jumps))
                named = inside if len(inside) <= MOST else []
                values = {"jumps": jumps, "takers": [p for p in causes if p not in jumps], "inside": named}
                yield Finding(place, (*causes, *(p for p in named if p not in causes)), values)


def _leads_to(host: Host, cause: Place, place: Place) -> bool:
    target = host.rule(cause).target
    return isinstance(target, Jump) and place.chain in host.inside(cause.table, target.chain)
