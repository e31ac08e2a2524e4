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
from iptexplain.rules.addresses import Address, Network, to_network
from iptexplain.rules.nat import NatTarget

LEVEL = "warning"

DUMP = DOCKER.format("-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n{}")

FIRES = Example(DUMP.format("-A DOCKER -p tcp -m tcp --dport 9090 -j DNAT --to-destination 172.19.0.5:9090\n"))

QUIET = Example(DUMP.format("-A DOCKER -p tcp -m tcp --dport 9090 -j DNAT --to-destination 172.17.0.2:9090\n"))


def find(host: Host) -> Iterator[Finding]:
    """The rules whose address belongs to nobody."""
    subnets = [to_network(s) for n in host.docker.networks for s in n.subnets]
    complete = bool(subnets) and all(n.subnets for n in host.docker.networks)
    listed = _listed(host)
    running = {a for e in host.topology.endpoints for a in e.addresses if e.name != str(a)}
    for place, rule in host.places("nat"):
        target = rule.target
        to = target.value("to_destination") if isinstance(target, NatTarget) and target.name == "DNAT" else None
        address: Address | None = to.first if to and to.first == to.last else None
        if address is None or host.topology.is_local(address):
            continue
        nobody = address not in running and any(n.covers(address) for n in listed)
        outside = complete and place.chain == "DOCKER" and not any(n.covers(address) for n in subnets)
        if nobody or (outside and not _is_known(host, address)):
            yield Finding(place, (), {"address": address, "inside": nobody, "networks": subnets})


def _listed(host: Host) -> list[Network]:
    """The subnets of the networks of which the snapshot lists the running containers. (The sandbox in which a swarm receives the
    routing mesh's ports is on docker_gwbridge and is no container.)"""
    known = bool((host.snapshot.facts.get("docker") or {}).get("containers"))
    named = [n for n in host.docker.networks if n.name and n.bridge != GWBRIDGE] if known else []
    return [to_network(s) for n in named for s in n.subnets]


def _is_known(host: Host, address: Address) -> bool:
    """Whether a route of the snapshot other than the default one leads there."""
    known = bool(host.snapshot.facts.get("routes" if host.family == 4 else "routes6"))
    route = host.topology.route(address) if known else None
    return route is not None and bool(route.network.mask)
