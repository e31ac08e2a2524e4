"""A rule in DOCKER-USER that names a published port as clients see it, where packets carry the container's port already.

DNAT rewrites the packet in nat `PREROUTING`, before any rule of `FORWARD` is asked. So `--dport 8080` in `DOCKER-USER` never fits the
packets that were sent to port 8080 of the host; the port that they were sent to is what connection tracking remembers:
`-m conntrack --ctorigdstport 8080 --ctdir ORIGINAL`.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host
from iptexplain.recognise.docker_port import Port
from iptexplain.rules.addresses import to_address
from iptexplain.rules.model import Place, Rule
from iptexplain.sets.kinds import Kinds
from iptexplain.sets.space import NO, Diagram

LEVEL = "error"

DUMP = """*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER-USER -i eth0 -p tcp {} -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
"""

FIRES = Example(DUMP.format("-m tcp --dport 8080"))

QUIET = Example(DUMP.format("-m conntrack --ctorigdstport 8080 --ctdir ORIGINAL"))


def find(host: Host) -> Iterator[Finding]:
    """Rules of the administrator's for a port of the host, and for no port of a container that is published."""
    if not host.docker.ports or "filter" not in host.tables or "DOCKER-USER" not in host.tables["filter"].table.chains:
        return
    chains = host.inside("filter", "DOCKER-USER")
    for place, rule in host.places():
        if place.chain in chains and host.is_own(place):
            port = _meant(host, place, rule)
            if port:
                yield Finding(place, (port.dnat.place,), {"port": port})


def _meant(host: Host, place: Place, rule: Rule) -> Port | None:
    """The published port that the rule is evidently about, and cannot be."""
    conditions = host.tables["filter"].hits[0].chains.conditions
    kinds, space = conditions.kinds, conditions.space
    fits = conditions.of(rule, place)
    if not space.depends(fits, [kinds.fields.level["dport"]]):
        return None
    without = space.exists(fits, [kinds.fields.level["dst"]])
    ports = [p for p in host.docker.ports if p.host_port != p.container_port]
    if any(space.both(_inside(kinds, p), fits) != NO for p in host.docker.ports):
        return None
    return next(
        (p for p in ports if space.both(at_host(kinds, p), without) != NO and _may_be_for(host, kinds, p, fits)), None
    )


def at_host(kinds: Kinds, port: Port) -> Diagram:
    """The packets to the host's port, before they are rewritten."""
    return kinds.space.both(kinds.value("proto", port.proto), kinds.value("dport", port.host_port))


def _inside(kinds: Kinds, port: Port) -> Diagram:
    """The packets to the container's port, as FORWARD sees them."""
    to = kinds.space.both(kinds.value("dst", to_address(port.container_ip)), kinds.value("dport", port.container_port))
    return kinds.space.both(kinds.value("proto", port.proto), to)


def _may_be_for(host: Host, kinds: Kinds, port: Port, fits: Diagram) -> bool:
    """Whether the rule's destinations are the container, or the host: else it is about somebody else behind this router."""
    found = [to_address(port.container_ip), *(a.address for a in host.topology.addresses)]
    return any(kinds.space.both(kinds.value("dst", a), fits) != NO for a in found)
