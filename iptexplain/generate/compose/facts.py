"""A compose file as Docker's inspect JSON, so that its rules come from the one place that knows what Docker writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from iptexplain.errors import Location, UsageError
from iptexplain.explain.words import listed
from iptexplain.generate.compose.apart import check_addresses, check_networks
from iptexplain.generate.compose.networks import ASSUMED, DOCKER0, Network, lacking, stand_in
from iptexplain.generate.compose.project import Project
from iptexplain.generate.compose.published import Bridges, attached, check_published, leads_by
from iptexplain.generate.compose.services import Service
from iptexplain.generate.wanted import ADDRESS, wanted
from iptexplain.host.inspected import docker_facts
from iptexplain.host.snapshot import FAMILIES

Facts = dict[str, Any]


def inspected(project: Project) -> Facts:
    """The networks and containers. What is missing, or cannot be, is told in ``project.written``, with its line, and what was taken
    for granted in ``project.notes``."""
    has_default = project.default_bridge in project.networks.values()
    networks = [*project.networks.values(), *(() if has_default else [project.default_bridge])]
    shown = [n.facts if _is_described(project, n) else stand_in(n, number) for number, n in enumerate(networks)]
    described = [facts for facts in shown if facts]
    check_networks(project, [n for n in networks if n.is_bridge])
    bridges = {family: {n.name: n for n in wanted(docker_facts(described, []), family).networks} for family in FAMILIES}
    check_addresses(project)
    check_published(project, bridges)
    containers = []
    for service in project.services.values():
        made = _containers(project, service, bridges)
        containers += made
        if made and not project.written.errors:
            _is_wanted(project, service.location, docker_facts(described, made[:1]))
    project.notes.extend(_assumed(project, bridges))
    return docker_facts(described, containers)


def _is_described(project: Project, network: Network) -> bool:
    missing = list(lacking(network))
    for message in missing:
        project.written.wrong(network.location, message)
    return not missing and _is_wanted(project, network.location, docker_facts([network.facts], []))


def _is_wanted(project: Project, location: Location, docker: Facts) -> bool:
    """Whether rules can stand for it."""
    try:
        for family in FAMILIES:
            wanted(docker, family)
    except UsageError as e:
        project.written.wrong(location, e.message)
        return False
    return True


def _containers(project: Project, service: Service, bridges: Bridges) -> list[Facts]:
    is_outside = any(leads_by(project, service, bridges, family) for family in FAMILIES)
    if service.bindings and service.containers and not is_outside and not service.mode:
        told = (
            f"service {service.name} is on no network with a way to the outside, so Docker publishes none of its ports"
        )
        project.notes.append(told)
    ports: dict[str, list[dict[str, str]]] = {}
    for binding in service.bindings if is_outside else ():
        host_port = str(binding.port if binding.chosen else binding.host_port)
        bound = {"HostIp": binding.host_ip, "HostPort": host_port}
        ports.setdefault(f"{binding.port}/{binding.proto}", []).append(bound)
    settings = {"Ports": ports, "Networks": attached(project, service)}
    return [{"Name": f"/{name}", "NetworkSettings": settings} for name in service.containers]


def _assumed(project: Project, bridges: Bridges) -> Iterator[str]:
    """What the file does not say, and was taken for granted."""
    if project.default_bridge.facts is DOCKER0:
        yield (
            f"the default bridge, docker0, has {ASSUMED}, as Docker makes it where daemon.json says nothing else; other networks of "
            "the host are not in this file"
        )
    unknown = list(dict.fromkeys(_unguarded(project, bridges)))
    if unknown:
        yield (
            f"an address of {'service' if len(unknown) == 1 else 'services'} {listed(unknown)} is known to Docker alone, so no rule of "
            "the table raw names it; what others send straight there, the table filter drops"
        )


def _unguarded(project: Project, bridges: Bridges) -> Iterator[str]:
    """The services with an address that a rule of Docker's in raw would name, and that is not known."""
    for service in project.services.values():
        places = attached(project, service) if service.containers else {}
        for family, some in bridges.items():
            guarded = [name for name in places if name in some and some[name].mode == "nat" and not some[name].internal]
            yield from (service.name for name in guarded if not places[name].get(ADDRESS[family]))
