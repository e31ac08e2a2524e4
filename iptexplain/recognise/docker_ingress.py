"""Swarm's routing mesh: DOCKER-INGRESS, which takes ports of every node to the ingress network."""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.recognise.shape import Roles, Shape

SHAPES = (
    Shape("jump-ingress", "filter", "FORWARD -j DOCKER-INGRESS"),
    Shape("jump-ingress", "filter", "DOCKER-FORWARD -j DOCKER-INGRESS"),
    Shape("jump-ingress-nat", "nat", "PREROUTING -m addrtype --dst-type LOCAL -j DOCKER-INGRESS"),
    Shape("jump-ingress-nat", "nat", "OUTPUT -m addrtype --dst-type LOCAL -j DOCKER-INGRESS"),
    Shape("mesh-dnat", "nat", "DOCKER-INGRESS -p {proto} -m {proto} --dport {host_port} -j DNAT --to-destination {container}:{port}"),
    Shape("mesh-accept", "filter", "DOCKER-INGRESS -p {proto} -m {proto} --dport {port} -j ACCEPT"),
    Shape("mesh-answer", "filter", "DOCKER-INGRESS -p {proto} -m state --state RELATED,ESTABLISHED -m {proto} --sport {port} -j ACCEPT"),
    Shape("mesh-answer", "filter", "DOCKER-INGRESS -p {proto} -m conntrack --ctstate RELATED,ESTABLISHED -m {proto} --sport {port} -j ACCEPT"),
    Shape("mesh-answer", "filter", "DOCKER-INGRESS -p {proto} -m {proto} --sport {port} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    Shape("ingress-end", "filter", "DOCKER-INGRESS -j RETURN"),
    Shape("ingress-end", "nat", "DOCKER-INGRESS -j RETURN"),
)  # fmt: skip


class MeshPort(NamedTuple):
    """A port of the routing mesh and the sandbox address that it goes to."""

    host_port: int
    proto: str
    address: str
    port: int
    line: int


def recognise(roles: Roles) -> list[MeshPort]:
    """The mesh's ports in the order of the dump."""
    return [
        MeshPort(
            int(str(v["host_port"])),
            str(v["proto"]),
            str(v["container"]).strip("[]"),
            int(str(v["port"])),
            f.place.line,
        )
        for f in roles.of("mesh-dnat")
        for v in [f.values]
    ]
