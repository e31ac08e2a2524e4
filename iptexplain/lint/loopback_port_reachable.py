"""A port that is published on 127.0.0.1 alone, and that machines on the same link reach all the same.

Up to 28.0 Docker only rewrites what is sent to 127.0.0.1: a neighbour who routes that address to this host sends such a packet,
it is rewritten before the kernel looks at the address, and it gets to the container. Since 28.0 Docker drops it in raw `PREROUTING`.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.explain.situation import decider
from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host
from iptexplain.lint.host_port_in_docker_user import DUMP

LEVEL = "warning"

LOOPBACK = DUMP.replace("-A DOCKER ! -i", "-A DOCKER -d 127.0.0.1/32 ! -i").replace(
    "-A DOCKER-USER -i eth0 -p tcp {} -j DROP\n", ""
)
RAW = (
    "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 127.0.0.1/32 ! -i lo -p tcp -m tcp --dport 8080 -j DROP\nCOMMIT\n"
)

FIRES = Example(LOOPBACK)

QUIET = Example(RAW + LOOPBACK)


def find(host: Host) -> Iterator[Finding]:
    """The ports on loopback that a packet from outside gets to."""
    for port in host.docker.ports:
        if port.is_loopback and host.is_open(port):
            by = decider(host.from_outside(port))
            values = {"port": port, "by": by, "interface": host.end("internet").interface}
            yield Finding(port.dnat.place, (by,) if by else (), values)
