"""A rule that no packet can meet, because its own conditions contradict each other or do not go with the chain.

A packet in `INPUT` has no interface that it leaves by, one in `OUTPUT` none that it came in by; iptables refuses such rules in the
base chains, but not in a chain that is called from there.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.explain.words import save_clause
from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host
from iptexplain.lint.nat_never_applies import is_about_state

LEVEL = "warning"

FIRES = Example("""*filter
:INPUT ACCEPT [0:0]
:LAN - [0:0]
-A INPUT -s 192.0.2.0/24 -j LAN
-A LAN -o eth1 -p tcp -m tcp --dport 22 -j DROP
COMMIT
""")

QUIET = Example("""*filter
:INPUT ACCEPT [0:0]
:LAN - [0:0]
-A INPUT -s 192.0.2.0/24 -j LAN
-A LAN -i eth1 -p tcp -m tcp --dport 22 -j DROP
COMMIT
""")


def find(host: Host) -> Iterator[Finding]:
    """The rules that nothing can meet, wherever they stood in their chains."""
    for asked in host.tables.values():
        for place, found in asked.impossible.items():
            if host.is_judged(place) and not is_about_state(host.rule(place), found):
                reasons = [(one.hooks, [save_clause(condition) for condition in one.conditions]) for one in found]
                yield Finding(place, (), {"reasons": reasons})
