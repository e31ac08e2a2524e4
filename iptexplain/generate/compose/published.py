"""The published ports of a compose file: what their rules must name and only Docker knows, and what Docker refuses."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from iptexplain.errors import Location
from iptexplain.generate.compose.apart import counted
from iptexplain.generate.compose.networks import EXAMPLE
from iptexplain.generate.compose.ports import Binding
from iptexplain.generate.compose.project import Project
from iptexplain.generate.compose.reader import subnet
from iptexplain.generate.compose.services import ALONE, Service
from iptexplain.generate.wanted import ADDRESS, EVERYWHERE, Network, to_outside
from iptexplain.rules.values import Family

Bridges = Mapping[Family, Mapping[str, Network]]
"""Family → name → the bridge network that has addresses of it."""
Taken = dict[tuple[Family, str, int], list[tuple[str, str]]]
"""Family, protocol and port of the host → the addresses at which it is published, and the service that does."""


def attached(project: Project, service: Service) -> dict[str, Any]:
    """The networks of a service's container, as its inspect JSON lists them."""
    found: dict[str, Any] = {"bridge": {}} if service.mode == "bridge" else {}
    for key, place in service.networks.items():
        if network := project.networks.get(key):
            addresses = {ADDRESS[a.family]: str(a) for _, a in place.addresses}
            found[network.name] = {**addresses, "GwPriority": place.gw_priority}
    return found


def leads_by(project: Project, service: Service, bridges: Bridges, family: Family) -> Network | None:
    """The network by which a service's ports are published in a family."""
    outside = to_outside(attached(project, service), dict(bridges[family]))
    return bridges[family][outside[0]] if outside else None


def check_published(project: Project, bridges: Bridges) -> None:
    taken: Taken = {}
    for service in project.services.values():
        default = [some["bridge"] for some in bridges.values() if "bridge" in some]
        if service.links and service.mode == "bridge" and not all(bridge.icc for bridge in default):
            told = "where icc is off, links are rules with addresses, which nobody can choose on the default bridge"
            project.written.wrong(service.location, f"service {service.name}: {told}: put it on a network of its own")
        if not service.bindings or not service.containers:
            continue
        if service.mode in ALONE:
            told = f"service {service.name} has the network mode {service.mode}: Docker publishes none of its ports"
            project.notes.append(told)
        elif refused := _refused(service):
            project.written.wrong(service.bindings[0].location, f"service {service.name}: {refused}")
        else:
            ways = {family: found for family in bridges if (found := leads_by(project, service, bridges, family))}
            for binding, (family, bridge) in product(service.bindings, ways.items()):
                _check(project, service, binding, bridge, family, taken)


def _refused(service: Service) -> str | None:
    """Why Docker publishes nothing of a service, whatever its ports are."""
    if service.mode not in ("", "bridge"):
        return f"with the network mode {service.mode} the ports are published there: Docker refuses 'ports' here"
    if len(service.containers) > 1:
        told = f"its {len(service.containers)} containers cannot all be published by the same ports"
        return f"{told}: make a service of each, or let it have one"
    return None


def _check(project: Project, service: Service, binding: Binding, bridge: Network, family: Family, taken: Taken) -> None:
    """The rules name the host's port and the container's address; in the gateway mode routed there is no port of the host."""
    host_ip = binding.host_ip or bridge.host_ip
    if host_ip and (":" in host_ip) is not (family == 6):
        return
    wrong, what = project.written.wrong, f"service {service.name}: "
    if not attached(project, service)[bridge.name].get(ADDRESS[family]):
        at, told = _without_address(project, service, bridge, family)
        wrong(at, what + told)
    if bridge.mode == "routed":
        return
    if binding.chosen:
        told = (
            f"the port of the host that leads to {binding.port}/{binding.proto} is missing: Docker chooses one when the container starts, "
            f"from {binding.chosen}: write 'HOST_PORT:{binding.port}'"
        )
        wrong(binding.location, what + told)
        return
    same = taken.setdefault((family, binding.proto, binding.host_port), [])
    other = next((name for ip, name in same if ip == host_ip or ip in EVERYWHERE or host_ip in EVERYWHERE), None)
    if other:
        told = (
            f"service {other} publishes {binding.host_port}/{binding.proto} already, at the same addresses of the host"
        )
        wrong(binding.location, what + told)
    same.append((host_ip, service.name))


def _without_address(project: Project, service: Service, bridge: Network, family: Family) -> tuple[Location, str]:
    """Where the address of a container is missing, and what to write."""
    told = f"its IPv{family} address on network {{}} is missing, which the rules of its published ports name: "
    mine = (n for key, n in project.networks.items() if key in service.networks and n.name == bridge.name)
    network = next(mine, None)
    if network is None or network.name == "bridge":
        told += "on the default bridge Docker lets nobody choose one: put it on a network of its own"
        return service.location, told.format("bridge")
    example = counted((network.subnets_of(family) or [subnet(EXAMPLE[family])])[0], 10)
    told += f"write 'networks: {{{{{network.key}: {{{{ipv{family}_address: {example}}}}}}}}}', or another of its subnet"
    return service.networks[network.key].location, told.format(network.key)
