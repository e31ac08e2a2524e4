"""What a compose file wishes for under x-iptexplain, beside each service: as wishes of a policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from iptexplain.errors import Location, OptionError
from iptexplain.explain.nodes import Node
from iptexplain.explain.situation import Situation
from iptexplain.explain.words import either, said
from iptexplain.generate.between import Service, sides, split_service
from iptexplain.generate.compose.networks import EXTENSION
from iptexplain.generate.compose.ports import Binding
from iptexplain.generate.compose.project import Project
from iptexplain.generate.compose.services import Service as Composed
from iptexplain.generate.policy import Between, Policy, Reader, Restricted, truth
from iptexplain.generate.restrict import published
from iptexplain.generate.wanted import EVERYWHERE, PROTOCOLS
from iptexplain.host.inspected import BRIDGE
from iptexplain.recognise.docker_port import Port
from iptexplain.rules.addresses import to_network
from iptexplain.rules.values import to_port

KEYS = ("restrict", "allow", "allow-from", "isolate")
RESTRICT = ("from", "port", "drop-rest")
FROM = ("from", "port")


def has_wishes(project: Project) -> bool:
    """Whether any active service has some."""
    return any(service.wishes for service in project.services.values())


def wishes_of(project: Project, situations: Sequence[Situation]) -> Policy:
    """The wishes, by the names or addresses that containers have in the situations. What is wrong is told in ``project.written``."""
    policy = Policy([], [], [])
    reader = _Wishes(project, situations)
    for service in project.services.values():
        if service.wishes:
            reader.read(service, project.reader.plain(service.wishes), policy)
    if not any(policy) and not project.written.errors:
        project.written.wrong(project.written.at(1), f"there is no wish in it: no active service has '{EXTENSION}'")
    return policy


class _Wishes:
    def __init__(self, project: Project, situations: Sequence[Situation]) -> None:
        self.project, self.situations, self.written = project, situations, project.written
        self.policy = Reader(project.written)

    def read(self, service: Composed, node: Node, policy: Policy) -> None:
        found = self.policy.mapping(node, KEYS, ())
        own = self._containers(service, node.key)
        for item in self._several(found, "restrict"):
            policy.restrict.extend(self._restricted(own, item))
        for item in self._several(found, "allow"):
            for name, port in self.policy.texts({"allow": item}, "allow", split_service, several=False):
                policy.allow.extend(self._between(item.location, own, self._named(name, item.location), port))
        for item in self._several(found, "allow-from"):
            policy.allow.extend(self._allowed_from(own, item))
        for item in self._several(found, "isolate"):
            for name in self.policy.texts({"isolate": item}, "isolate", str, several=False):
                policy.isolate.extend(self._between(item.location, own, self._named(name, item.location), None))

    def _several(self, found: dict[str, Node], key: str) -> list[Node]:
        """One wish, or a list of them."""
        node = found.get(key)
        if node is not None and node.value == []:
            self.written.wrong(node.location, f"{key}: the list is empty")
        return [] if node is None else node.value if isinstance(node.value, list) else [node]

    def _restricted(self, own: Sequence[str], item: Node) -> Iterator[Restricted]:
        found = self.policy.mapping(item, RESTRICT, ("from",))
        ports = tuple(self.policy.texts(found, "port", str))
        clients = tuple(self.policy.texts(found, "from", to_network))
        rest = next(self.policy.texts(found, "drop-rest", truth, several=False), False)
        meant = [name for name in own if any(published(s, ports, name, None) for s in self.situations)]
        for name in meant or own[:1]:
            yield Restricted(item.location, ports, clients, name, None, rest)

    def _allowed_from(self, own: Sequence[str], item: Node) -> Iterator[Between]:
        """A name, or a mapping with ``from`` and the port that may be used."""
        if not isinstance(item.value, dict):
            item = item._replace(value={"from": item})
        found = self.policy.mapping(item, FROM, ("from",))
        ports: list[Service | None] = list(self.policy.texts(found, "port", _port)) if "port" in found else [None]
        for name, port in product(self.policy.texts(found, "from", str), ports):
            yield from self._between(item.location, self._named(name, item.location), own, port)

    def _between(
        self, location: Location, some: Sequence[str], others: Sequence[str], port: Service | None
    ) -> Iterator[Between]:
        """Each with each, but for addresses of different families."""
        pairs = [(a, b) for a, b in product(some, others) if len({_family(a), _family(b)} - {None}) < 2]
        if some and others and not pairs:
            self.written.wrong(location, "the two have no addresses of the same family")
        yield from (Between(location, a, b, port) for a, b in pairs)

    def _named(self, name: str, location: Location) -> list[str]:
        """What a service, a network of the file, or another name is called in the situations."""
        service, network = self.project.services.get(name), self.project.networks.get(name)
        if service and network:
            told = f"'{said(name)}' is a service and a network here: write {' or '.join((*service.containers[:1], network.name))}"
            self.written.wrong(location, told)
            return []
        if service:
            return self._containers(service, location)
        if network:
            bridge = network.facts["Options"].get(f"{BRIDGE}name") if network.facts else None
            return [n for n in (network.name, bridge) if n and self._is_known(n)][:1] or [network.name]
        return [name]

    def _containers(self, service: Composed, location: Location) -> list[str]:
        """By their names, else by the addresses that the file gives them, else by their published ports."""
        fixed = (str(a) for attached in service.networks.values() for _, a in attached.addresses)
        ports = (p for s in self.situations for p in s.docker.ports if any(_is_same(p, b) for b in service.bindings))
        for names in (service.containers, fixed, (p.container_ip for p in ports)):
            found = dict.fromkeys(self._called(name) for name in names if name and self._is_container(name))
            if found:
                return list(found)
        told = (
            f"service {service.name}: there is no container {either(service.containers)} with an address in what is given, and none with the "
            "ipv4_address or the published ports that the service has here"
        )
        self.written.wrong(location, told)
        return []

    def _called(self, name: str) -> str:
        """A container by its name, which stands for all of its addresses."""
        named = (e.name for s in self.situations for e in s.topology.endpoints if name in map(str, e.addresses))
        return next((n for n in named if self._is_container(n)), name)

    def _is_known(self, name: str) -> bool:
        return any(sides(situation, name) for situation in self.situations)

    def _is_container(self, name: str) -> bool:
        """Whether a name stands for a container alone: one that is a network's as well stands for all that are on that."""
        return any(side.address for situation in self.situations for side in sides(situation, name))


def _is_same(port: Port, binding: Binding) -> bool:
    """Whether a port that rules publish is the one of the file."""
    asked = (binding.host_port, binding.port, binding.proto)
    everywhere = port.is_everywhere and binding.host_ip in EVERYWHERE
    return asked == (port.host_port, port.container_port, port.proto) and (
        everywhere or port.host_ip == binding.host_ip
    )


def _port(text: str) -> Service:
    number, slash, proto = text.partition("/")
    if slash and proto not in PROTOCOLS:
        raise OptionError(f"'{said(text)}': after the port stands one of {', '.join(PROTOCOLS)}")
    return Service(proto or PROTOCOLS[0], to_port(number))


def _family(name: str) -> int | None:
    """Of an address; None for a name."""
    try:
        return to_network(name).family
    except OptionError:
        return None
