"""What Docker refuses of a compose file's networks and addresses, because another has it already."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

from iptexplain.explain.words import said
from iptexplain.generate.compose.networks import ASSUMED, DOCKER0, EXTENSION, Network
from iptexplain.generate.compose.project import Project
from iptexplain.host.inspected import BRIDGE
from iptexplain.rules.addresses import Address
from iptexplain.rules.addresses import Network as Subnet


def check_networks(project: Project, bridges: Sequence[Network]) -> None:
    """No two networks have a name, a bridge or an address in common."""
    for first, later in combinations(sorted(bridges, key=lambda n: (n.facts is not DOCKER0, n.location)), 2):
        names = [n.facts["Options"].get(f"{BRIDGE}name") for n in (first, later) if n.facts]
        same = names[0] if names[0] == names[1] else None
        if first.name == later.name or same:
            told = f"the bridge {said(same)}" if same else f"the name {first.name}"
            project.written.wrong(later.location, f"network {later.key}: network {first.key} has {told} already")
        for (at, subnet), (_, other) in product(later.subnets, first.subnets):
            if subnet.overlaps(other):
                project.written.wrong(at, f"network {later.key}: {subnet} overlaps with {_of(first)}")


def _of(network: Network) -> str:
    if network.facts is not DOCKER0:
        return f"that of network {network.key}"
    return (
        f"{ASSUMED}, which docker0 has where daemon.json says nothing else; where it does, describe docker0 here: "
        f"'networks: {{bridge: {{external: true, name: bridge, {EXTENSION}: {{ipam: {{config: [{{subnet: SUBNET}}]}}}}}}}}'"
    )


def check_addresses(project: Project) -> None:
    """Each static address lies in its network, and one container has it."""
    taken: dict[tuple[str, Address], str] = {}
    for service in project.services.values():
        for key, attached in service.networks.items():
            for at, address in attached.addresses:
                first = taken.setdefault((key, address), service.name)
                told = _misplaced(project.networks.get(key), address)
                if first != service.name:
                    told = f"service {first} has {address} already"
                elif len(service.containers) > 1:
                    told = f"its {len(service.containers)} containers cannot all have {address}: make a service of each, or let it have one"
                if told:
                    project.written.wrong(at, f"service {service.name}: {told}")


def _misplaced(network: Network | None, address: Address) -> str | None:
    """Why a container cannot have an address."""
    if network is None or not network.facts or not network.is_bridge:
        return None
    if network.facts is DOCKER0:
        return "on the default bridge Docker lets nobody choose an address"
    subnet = next((s for s in network.subnets_of(address.family) if s.covers(address)), None)
    if subnet is None:
        return f"{address} lies in no subnet of network {network.key}"
    configured = network.facts["IPAM"]["Config"]
    gateways = {c["Subnet"]: c.get("Gateway") or c.get("IPRange") or str(counted(subnet, 1)) for c in configured}
    if str(address) == gateways.get(str(subnet)):
        return f"{address} is the address of the bridge of network {network.key} (its gateway)"
    return None


def counted(subnet: Subnet, number: int) -> Address:
    """An address of a subnet, counted from its first one; the last one where it has less."""
    first, last = subnet.interval or (subnet.number, subnet.number)
    return Address(subnet.family, min(first + number, last))
