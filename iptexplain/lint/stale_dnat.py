"""A rule that sends a port to an address where nobody is: the container's network is gone, or no container has the address.

Where a snapshot lists the running containers, an address on one of their networks that none of them has counts. From the rules
alone only a rule in Docker's own chain is told, whose address lies in no network of Docker's.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.lint.bridge_without_masquerade import DUMP as DOCKER
from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host
from iptexplain.recognise.docker_ingress import GWBRIDGE
from iptexplain.rules.addresses import Address, to_network
from iptexplain.rules.nat import NatTarget

LEVEL = "warning"

DUMP = DOCKER.format("-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n{}")

FIRES = Example(DUMP.format("-A DOCKER -p tcp -m tcp --dport 9090 -j DNAT --to-destination 172.19.0.5:9090\n"))

QUIET = Example(DUMP.format("-A DOCKER -p tcp -m tcp --dport 9090 -j DNAT --to-destination 172.17.0.2:9090\n"))


def find(host: Host) -> Iterator[Finding]:
    """The rules whose address belongs to nobody."""
    # The sandbox in which a swarm receives the routing mesh's ports is on docker_gwbridge and is no container.
    networks = [to_network(s) for n in host.docker.networks for s in n.subnets if n.bridge != GWBRIDGE]
    complete = bool(networks) and all(n.subnets for n in host.docker.networks)
    running = {a for e in host.topology.endpoints for a in e.addresses} if _listed(host) else None
    for place, rule in host.places("nat"):
        target = rule.target
        address = target.value("to_destination") if isinstance(target, NatTarget) and target.name == "DNAT" else None
        if address is None or address.first is None or address.first != address.last:
            continue
        inside = any(n.covers(address.first) for n in networks)
        nobody = (
            running is not None
            and inside
            and address.first not in running
            and not host.topology.is_local(address.first)
        )
        if nobody or (complete and place.chain == "DOCKER" and not inside and not _is_known(host, address.first)):
            yield Finding(place, (), {"address": address.first, "inside": inside, "networks": networks})


def _listed(host: Host) -> bool:
    """Whether the snapshot lists the running containers."""
    return bool((host.snapshot.facts.get("docker") or {}).get("containers"))


def _is_known(host: Host, address: Address) -> bool:
    """Whether a route of the snapshot other than the default one leads there."""
    known = bool(host.snapshot.facts.get("routes" if host.family == 4 else "routes6"))
    route = host.topology.route(address) if known else None
    return route is not None and bool(route.network.mask)
