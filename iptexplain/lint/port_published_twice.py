"""A port of the host that an earlier rule sends elsewhere: what is published there gets nothing of it.

It happens when a container that is gone has left its rule, and when a rule written by hand rewrites the same port.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.lint.bridge_without_masquerade import DUMP as DOCKER
from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host
from iptexplain.rules.model import Place
from iptexplain.walk.outcome import Trace

LEVEL = "warning"

DUMP = DOCKER.format("-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n{}")

FIRES = Example(
    DUMP.format("-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.9:80\n")
)

QUIET = Example(
    DUMP.format("-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8081 -j DNAT --to-destination 172.17.0.9:80\n")
)


def find(host: Host) -> Iterator[Finding]:
    """The published ports to which another rule's packets go."""
    for port in host.docker.ports:
        if port.is_loopback:
            continue
        way = host.from_outside(port)
        taker = _rewriter(way)
        goes = (str(way.outcome.fields["dst"]), way.outcome.fields.get("dport"))
        if taker and taker != port.dnat.place and goes != (port.container_ip, port.container_port):
            values = {"port": port, "to": goes[0], "dport": goes[1]}
            yield Finding(port.dnat.place, (taker,), values)


def _rewriter(way: Trace) -> Place | None:
    """The rule that gave the packet another destination."""
    return next((s.place for s in way.steps if s.place.table == "nat" and "dst" in s.to), None)
