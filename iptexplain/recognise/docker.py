"""All that the recognisers say about Docker, in one record."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.host.topology import bridge_name
from iptexplain.recognise import (
    docker_chains,
    docker_ingress,
    docker_isolation,
    docker_network,
    docker_port,
    docker_user,
)
from iptexplain.recognise.docker_chains import Layout
from iptexplain.recognise.docker_ingress import MeshPort
from iptexplain.recognise.docker_isolation import Barrier
from iptexplain.recognise.docker_network import Network
from iptexplain.recognise.docker_port import Link, Port
from iptexplain.recognise.docker_user import Foreign
from iptexplain.recognise.shape import Roles, roles_of
from iptexplain.rules.model import Ruleset


class Docker(NamedTuple):
    """What Docker wrote into one ruleset (``layout`` None: nothing)."""

    layout: Layout | None
    networks: list[Network]
    ports: list[Port]
    links: list[Link]
    barriers: list[Barrier]
    mesh: list[MeshPort]
    user_rules: list[Foreign]
    stray: list[Foreign]
    roles: Roles

    def network(self, bridge: str | None) -> Network | None:
        return next((n for n in self.networks if n.bridge == bridge), None)


def recognise_docker(ruleset: Ruleset, facts: dict[str, Any]) -> Docker:
    """Ask every recogniser; ``facts`` are the snapshot's."""
    inspected = {
        bridge_name(n): n for n in (facts.get("docker") or {}).get("networks") or [] if n.get("Driver") == "bridge"
    }
    roles = roles_of(ruleset)
    networks = docker_network.recognise(ruleset, roles, inspected)
    ports, links = docker_port.recognise(roles, {n.bridge: n.subnets for n in networks})
    own, stray = docker_user.recognise(ruleset, roles)
    return Docker(
        layout=docker_chains.recognise(ruleset, roles),
        networks=networks,
        ports=ports,
        links=links,
        barriers=docker_isolation.recognise(roles),
        mesh=docker_ingress.recognise(roles),
        user_rules=own,
        stray=stray,
        roles=roles,
    )
