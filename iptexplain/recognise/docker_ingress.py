"""Swarm's routing mesh: DOCKER-INGRESS, which takes ports of every node to the ingress network by docker_gwbridge."""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.recognise.docker_network import Network, house_of
from iptexplain.recognise.shape import Roles, Shape

GWBRIDGE = "docker_gwbridge"
"""The network by which a swarm's tasks reach the host and the outside: every node has it, under this name."""

SHAPES = (
    Shape("jump-ingress", "filter", "FORWARD -j DOCKER-INGRESS"),
    Shape("jump-ingress", "filter", "DOCKER-FORWARD -j DOCKER-INGRESS"),
    Shape("jump-ingress-nat", "nat", "PREROUTING -m addrtype --dst-type LOCAL -j DOCKER-INGRESS"),
    Shape("jump-ingress-nat", "nat", "OUTPUT -m addrtype --dst-type LOCAL -j DOCKER-INGRESS"),
    Shape("mesh-dnat", "nat", "DOCKER-INGRESS -p {proto} -m {proto} --dport {host_port} -j DNAT --to-destination {container}:{port}"),
    Shape("mesh-accept", "filter", "DOCKER-INGRESS -p {proto} -m {proto} --dport {port} -j ACCEPT"),
    Shape("mesh-answer-state", "filter", "DOCKER-INGRESS -p {proto} -m state --state RELATED,ESTABLISHED -m {proto} --sport {port} -j ACCEPT"),
    Shape("mesh-answer", "filter", "DOCKER-INGRESS -p {proto} -m {proto} --sport {port} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    Shape("ingress-end", "filter", "DOCKER-INGRESS -j RETURN"),
    Shape("ingress-end", "nat", "DOCKER-INGRESS -j RETURN"),
)  # fmt: skip


class MeshPort(NamedTuple):
    """A port of the routing mesh and the sandbox address that it goes to; ``bridge``: the network by which it gets there."""

    host_port: int
    proto: str
    address: str
    port: int
    bridge: str | None
    lines: list[int]


def recognise(roles: Roles, networks: list[Network]) -> list[MeshPort]:
    """The mesh's ports in the order of the dump."""
    found = []
    for f in roles.of("mesh-dnat"):
        proto, port = str(f.values["proto"]), str(f.values["port"])
        filters = roles.of("mesh-accept", "mesh-answer", "mesh-answer-state", proto=proto, port=port)
        lines = sorted([f.place.line, *(a.place.line for a in filters)])
        bridge = house_of(f.container, networks)
        found.append(MeshPort(int(str(f.values["host_port"])), proto, f.container, int(port), bridge, lines))
    return found
