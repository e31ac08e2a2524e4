"""A compose file as Docker's inspect JSON, and what only a running engine could tell."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

from iptexplain.errors import Location, UsageError
from iptexplain.explain.words import listed, said
from iptexplain.generate.compose.networks import ASSUMED, DOCKER0, EXTENSION, Network, lacking
from iptexplain.generate.compose.ports import Binding
from iptexplain.generate.compose.project import Project
from iptexplain.generate.compose.services import ALONE, Service
from iptexplain.generate.wanted import ADDRESS, EVERYWHERE, to_outside, wanted
from iptexplain.generate.wanted import Network as Bridge
from iptexplain.host.inspected import BRIDGE, docker_facts
from iptexplain.host.snapshot import FAMILIES
from iptexplain.rules.addresses import Address
from iptexplain.rules.addresses import Network as Subnet
from iptexplain.rules.values import Family

Facts = dict[str, Any]


def inspected(project: Project) -> Facts:
    """The networks and containers. What is missing, or cannot be, is told in ``project.written``, with its line."""
    return _Facts(project).facts()


class _Facts:
    def __init__(self, project: Project) -> None:
        self.project, self.wrong = project, project.written.wrong
        self.bridges: dict[Family, dict[str, Bridge]] = {}

    def facts(self) -> Facts:
        project = self.project
        has_default = project.default_bridge in project.networks.values()
        networks = [*project.networks.values(), *(() if has_default else [project.default_bridge])]
        described = [n for n in networks if self._is_described(n)]
        self._check_apart([n for n in networks if n.is_bridge])
        facts = [n.facts for n in described if n.facts]
        for family in FAMILIES:
            self.bridges[family] = {n.name: n for n in wanted(docker_facts(facts, []), family).networks}
        self._check_addresses()
        self._check_published()
        containers = []
        for service in project.services.values():
            made = [self._container(service, name) for name in service.containers]
            containers += made
            if made and not project.written.errors:
                self._check_wanted(service.location, docker_facts(facts, made[:1]))
        self._assume()
        return docker_facts(facts, containers)

    def _is_described(self, network: Network) -> bool:
        missing = list(lacking(network))
        for message in missing:
            self.wrong(network.location, message)
        return not missing and self._check_wanted(network.location, docker_facts([network.facts], []))

    def _check_wanted(self, location: Location, docker: Facts) -> bool:
        try:
            for family in FAMILIES:
                wanted(docker, family)
        except UsageError as e:
            self.wrong(location, e.message)
            return False
        return True

    def _check_apart(self, bridges: list[Network]) -> None:
        """No two networks have a name, a bridge or an address in common: Docker would not make the second one."""
        for first, later in combinations(sorted(bridges, key=lambda n: (n.facts is not DOCKER0, n.location)), 2):
            names = [n.facts["Options"].get(f"{BRIDGE}name") for n in (first, later) if n.facts]
            same = names[0] if names[0] == names[1] else None
            if first.name == later.name or same:
                told = f"the bridge {said(same)}" if same else f"the name {first.name}"
                self.wrong(later.location, f"network {later.key}: network {first.key} has {told} already")
            for (at, subnet), (_, other) in product(later.subnets, first.subnets):
                if subnet.overlaps(other):
                    self.wrong(at, f"network {later.key}: {subnet} overlaps with {_of(first)}")

    def _check_addresses(self) -> None:
        taken: dict[tuple[str, Address], str] = {}
        for service in self.project.services.values():
            for key, attached in service.networks.items():
                network = self.project.networks.get(key)
                for at, address in attached.addresses:
                    if network and network.facts is DOCKER0:
                        self.wrong(
                            at, f"service {service.name}: on the default bridge Docker lets nobody choose an address"
                        )
                    elif network and network.is_bridge and (told := _misplaced(network, address)):
                        self.wrong(at, f"service {service.name}: {address} {told}")
                    other = taken.setdefault((key, address), service.name)
                    if other != service.name:
                        self.wrong(at, f"service {service.name}: service {other} has {address} already")
                    elif len(service.containers) > 1:
                        told = f"its {len(service.containers)} containers cannot all have {address}"
                        self.wrong(at, f"service {service.name}: {told}: make a service of each, or let it have one")

    def _check_published(self) -> None:
        taken: dict[tuple[str, int], list[tuple[Service, Binding]]] = {}
        for service in self.project.services.values():
            if service.bindings and service.mode in ALONE:
                self.project.notes.append(
                    f"service {service.name} has the network mode {service.mode}: Docker publishes none of its ports"
                )
                continue
            if (
                service.links
                and service.mode == "bridge"
                and not all(b["bridge"].icc for b in self.bridges.values() if "bridge" in b)
            ):
                told = "where icc is off, links are rules with addresses, which nobody can choose on the default bridge"
                self.wrong(service.location, f"service {service.name}: {told}: put it on a network of its own")
            if service.bindings and service.mode not in ("", "bridge"):
                told = f"service {service.name}: with the network mode {service.mode} the ports are published there: Docker refuses 'ports' here"
                self.wrong(service.bindings[0].location, told)
                continue
            if service.bindings and len(service.containers) > 1:
                told = f"its {len(service.containers)} containers cannot all be published by the same ports"
                self.wrong(
                    service.bindings[0].location,
                    f"service {service.name}: {told}: make a service of each, or let it have one",
                )
            for binding in service.bindings if service.containers else ():
                self._check_binding(service, binding)
                same = taken.setdefault((binding.proto, binding.host_port), [])
                other = next((s for s, b in same if _meet(b.host_ip, binding.host_ip)), None)
                if other and not binding.chosen:
                    told = f"service {other.name} publishes {binding.host_port}/{binding.proto} already"
                    self.wrong(binding.location, f"service {service.name}: {told}, at the same addresses of the host")
                same.append((service, binding))

    def _check_binding(self, service: Service, binding: Binding) -> None:
        """What the rules of a published port name: the host's port and the container's address."""
        attached = self._attached(service)
        for family in FAMILIES:
            outside = to_outside(attached, self.bridges[family])
            bridge = self.bridges[family][outside[0]] if outside else None
            host_ip = binding.host_ip or (bridge.host_ip if bridge else "")
            if bridge is None or (host_ip and (":" in host_ip) is not (family == 6)):
                continue
            if binding.chosen and bridge.mode != "routed":
                self.wrong(
                    binding.location,
                    f"service {service.name}: the port of the host that leads to {binding.port}/{binding.proto} is missing: Docker chooses "
                    f"one when the container starts, from {binding.chosen}: write 'HOST_PORT:{binding.port}'",
                )
            if not attached[bridge.name].get(ADDRESS[family]):
                self.wrong(*self._without_address(service, bridge, family))

    def _without_address(self, service: Service, bridge: Bridge, family: Family) -> tuple[Location, str]:
        missing = f"service {service.name}: its IPv{family} address on network {{}} is missing, which the rules of its published ports name"
        networks = (
            (key, n) for key, n in self.project.networks.items() if key in service.networks and n.name == bridge.name
        )
        key, subnets = next(((key, found) for key, n in networks if (found := n.subnets_of(family))), ("bridge", []))
        if bridge.name == "bridge" or not subnets:
            told = "on the default bridge Docker lets nobody choose one: put it on a network of its own"
            return service.location, f"{missing.format('bridge')}: {told}"
        told = f"write 'networks: {{{key}: {{ipv{family}_address: {_inside(subnets[0], 10)}}}}}'"
        return service.networks[key].location, f"{missing.format(key)}: {told}, or another of its subnet"

    def _attached(self, service: Service) -> Facts:
        """The networks of a container as its inspect JSON lists them."""
        found: Facts = {"bridge": {}} if service.mode == "bridge" else {}
        for key, attached in service.networks.items():
            network = self.project.networks.get(key)
            if network:
                addresses = {ADDRESS[a.family]: str(a) for _, a in attached.addresses}
                found[network.name] = {**addresses, "GwPriority": attached.gw_priority}
        return found

    def _container(self, service: Service, name: str) -> Facts:
        attached = self._attached(service)
        is_outside = any(to_outside(attached, self.bridges[family]) for family in FAMILIES)
        if service.bindings and not is_outside and not service.mode:
            self.project.notes.append(
                f"service {service.name} is on no network with a way to the outside: its ports are not published"
            )
        ports: dict[str, list[dict[str, str]]] = {}
        for binding in service.bindings if is_outside else ():
            host_port = str(binding.port if binding.chosen else binding.host_port)
            ports.setdefault(f"{binding.port}/{binding.proto}", []).append(
                {"HostIp": binding.host_ip, "HostPort": host_port}
            )
        return {"Name": f"/{name}", "NetworkSettings": {"Ports": ports, "Networks": attached}}

    def _assume(self) -> None:
        """What the file does not say, and was taken for granted."""
        notes = self.project.notes
        if self.project.default_bridge.facts is DOCKER0:
            notes.append(
                f"the default bridge, docker0, has {ASSUMED}, as Docker makes it where daemon.json says nothing else; other networks of "
                "the host are not in this file"
            )
        unknown = list(dict.fromkeys(self._unguarded()))
        if unknown:
            notes.append(
                f"an address of {'service' if len(unknown) == 1 else 'services'} {listed(unknown)} is known to Docker alone, so no rule of "
                "the table raw names it; what others send straight there, the table filter drops"
            )

    def _unguarded(self) -> Iterator[str]:
        """The services with an address that a rule of Docker's in raw would name, and that is not known."""
        for service in self.project.services.values():
            attached = self._attached(service) if service.containers else {}
            for family in FAMILIES:
                for name in attached.keys() & self.bridges[family].keys():
                    bridge = self.bridges[family][name]
                    if bridge.mode == "nat" and not bridge.internal and not attached[name].get(ADDRESS[family]):
                        yield service.name


def _of(network: Network) -> str:
    if network.facts is not DOCKER0:
        return f"that of network {network.key}"
    return (
        f"{ASSUMED}, which docker0 has where daemon.json says nothing else; if it says so, describe docker0 here: "
        f"'networks: {{bridge: {{external: true, name: bridge, {EXTENSION}: {{ipam: {{config: [{{subnet: SUBNET}}]}}}}}}}}'"
    )


def _misplaced(network: Network, address: Address) -> str | None:
    """Why a container cannot have an address."""
    subnet = next((s for s in network.subnets_of(address.family) if s.covers(address)), None)
    if subnet is None:
        return f"lies in no subnet of network {network.key}"
    configured = network.facts["IPAM"]["Config"] if network.facts else []
    gateways = {c["Subnet"]: c.get("Gateway") or c.get("IPRange") or str(_inside(subnet, 1)) for c in configured}
    if str(address) == gateways.get(str(subnet)):
        return f"is the address of the bridge of network {network.key} (its gateway)"
    return None


def _inside(subnet: Subnet, number: int) -> Address:
    """An address of a subnet, counted from its first one; the last one where it has less."""
    first, last = subnet.interval or (subnet.number, subnet.number)
    return Address(subnet.family, min(first + number, last))


def _meet(one: str, other: str) -> bool:
    """Whether a port at these addresses of the host ("": all) can be published once only."""
    if "" in (one, other) or one == other:
        return True
    return (":" in one) is (":" in other) and (one in EVERYWHERE or other in EVERYWHERE)
