"""Docker's rules in a file that is restored when the host starts.

Docker writes its rules anew at every start, with the addresses that its containers have then. A file of iptables-persistent or
iptables-services that holds them brings back those of the day when it was saved: ports that lead to nobody, or past a later rule. The file
is known by its name (`/etc/iptables/rules.v4`, `/etc/sysconfig/iptables`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from iptexplain.lint.bridge_without_masquerade import DUMP as DOCKER
from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host

LEVEL = "warning"

DUMP = DOCKER.format("-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n")

FIRES = Example(DUMP, "/etc/iptables/rules.v4")

QUIET = Example(DUMP, "rules.v4")

SAVED = re.compile(
    r"(.*/)?etc/(iptables/(rules\.v[46]|ip6?tables(-save|\.rules))|sysconfig/ip6?tables|iptables\.(up\.)?rules)"
)
"""Where distributions keep the rules that they restore."""


def find(host: Host) -> Iterator[Finding]:
    """The first of Docker's rules, and how many there are."""
    places = sorted(host.docker.roles.by_place, key=lambda p: p.line)
    if places and SAVED.fullmatch(host.dump.file):
        values = {"file": host.dump.file, "rules": len(places), "ports": len(host.docker.ports)}
        yield Finding(places[0], (), values)
