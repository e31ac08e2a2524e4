"""All that the recognisers say about Docker, in one record."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.host.topology import bridge_name
from iptexplain.recognise import (
    docker_chains,
    docker_ingress,
    docker_isolation,
    docker_leftover,
    docker_namespace,
    docker_network,
    docker_overlay,
    docker_port,
    docker_user,
)
from iptexplain.recognise.docker_chains import Layout
from iptexplain.recognise.docker_ingress import MeshPort
from iptexplain.recognise.docker_isolation import Barrier
from iptexplain.recognise.docker_leftover import Leftover
from iptexplain.recognise.docker_namespace import Namespace
from iptexplain.recognise.docker_network import Network
from iptexplain.recognise.docker_overlay import Encrypted
from iptexplain.recognise.docker_port import Link, Port
from iptexplain.recognise.docker_user import Foreign
from iptexplain.recognise.proof import confirmed
from iptexplain.recognise.shape import Found, Roles, roles_of
from iptexplain.rules.model import Ruleset


class Docker(NamedTuple):
    """What Docker wrote into one ruleset (``layout`` None: nothing for a host's networks)."""

    layout: Layout | None
    namespace: Namespace
    networks: list[Network]
    ports: list[Port]
    opened: list[Found]
    links: list[Link]
    barriers: list[Barrier]
    mesh: list[MeshPort]
    encrypted: list[Encrypted]
    user_rules: list[Foreign]
    stray: list[Foreign]
    leftovers: list[Leftover]
    roles: Roles

    def network(self, bridge: str | None) -> Network | None:
        return next((n for n in self.networks if n.bridge == bridge), None)


def recognise_docker(ruleset: Ruleset, facts: dict[str, Any]) -> Docker:
    """Ask every recogniser; ``facts`` are the snapshot's."""
    inspected = {
        bridge_name(n): n for n in (facts.get("docker") or {}).get("networks") or [] if n.get("Driver") == "bridge"
    }
    candidates = roles_of(ruleset)
    layout = docker_chains.recognise(ruleset, candidates)
    roles = confirmed(candidates, layout)
    layout = layout and docker_chains.narrowed(layout, ruleset, roles)
    current = roles.only(f for f in roles.found if docker_leftover.is_of_layout(f, layout))
    known = docker_network.recognise(ruleset, current, layout, inspected)
    networks = [n for n in known if not docker_leftover.is_gone(n, known, layout)]
    ports, links = docker_port.recognise(current, networks)
    own, stray = docker_user.recognise(ruleset, roles)
    return Docker(
        layout=layout,
        namespace=docker_namespace.recognise(roles, layout, facts),
        networks=networks,
        ports=ports,
        opened=docker_port.opened(current, networks),
        links=links,
        barriers=docker_isolation.recognise(current, networks),
        mesh=docker_ingress.recognise(roles, networks),
        encrypted=docker_overlay.recognise(roles),
        user_rules=own,
        stray=stray,
        leftovers=docker_leftover.recognise(ruleset, roles, layout, known, ports),
        roles=roles,
    )
