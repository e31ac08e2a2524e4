"""The services of a compose file: their containers, the networks that these are on, and their published ports."""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.errors import Location, OptionError
from iptexplain.explain.nodes import Node
from iptexplain.explain.words import said
from iptexplain.generate.compose.networks import EXTENSION, NAME
from iptexplain.generate.compose.ports import Binding, read_ports
from iptexplain.generate.compose.reader import Reader, address
from iptexplain.rules.addresses import Address
from iptexplain.rules.values import Family

MATTERING = (
    "ports", "networks", "network_mode", "expose", "links", "external_links", "profiles", "deploy", "scale", "container_name", "extends",
    "provider", EXTENSION,
)  # fmt: skip
"""The keys of a service that this is about, and others that look like them."""
ATTACHED = (
    "aliases", "interface_name", "ipv4_address", "ipv6_address", "link_local_ips", "mac_address", "driver_opts", "priority", "gw_priority"
)  # fmt: skip
ALONE = ("host", "none")
SHARING = ("service:", "container:")
"""Network modes of containers that have no network, and of those that use another's."""
MOST = 1000
"""Containers of one service: more than Docker's networks have room for."""


class Attached(NamedTuple):
    """A service's place on a network, which its key names; ``addresses``: those that it gives itself."""

    location: Location
    addresses: tuple[tuple[Location, Address], ...] = ()
    gw_priority: int = 0

    def address(self, family: Family) -> Address | None:
        return next((a for _, a in self.addresses if a.family == family), None)


class Service(NamedTuple):
    """``mode``: its network mode, if it says one; ``networks``: by their keys. ``wishes``: what it has under x-iptexplain."""

    name: str
    location: Location
    containers: tuple[str, ...]
    mode: str
    networks: dict[str, Attached]
    bindings: tuple[Binding, ...]
    links: bool
    wishes: Node | None


def read_service(reader: Reader, name: str, node: Node, project: str) -> Service:
    """A service that is active."""
    what = f"service {name}"
    found = reader.mapping(node, what)
    reader.check_near(found, MATTERING)
    if "extends" in found:
        reader.written.wrong(
            found["extends"].key, f"{what}: 'extends' is not followed: give what 'docker compose config' prints"
        )
    mode = reader.text(found.get("network_mode"), f"{what}: network_mode")
    networks = _networks(reader, found.get("networks"), what)
    if mode and networks:
        reader.written.wrong(found["network_mode"].key, f"{what}: give 'networks' or 'network_mode', not both")
    if mode not in ("", "bridge", *ALONE) and not mode.startswith(SHARING):
        told = f"{what}: the network mode '{said(mode)}' is not known; a network is named under 'networks'"
        reader.written.wrong(found["network_mode"].location, told)
    if not mode and not networks:
        networks = {"default": Attached(node.key)}
    return Service(
        name,
        node.key,
        _containers(reader, found, what, f"{project}-{name}"),
        mode,
        networks,
        tuple(read_ports(reader, found.get("ports"), name)),
        bool(reader.items(found.get("links"), f"{what}: links")),
        found.get(EXTENSION),
    )


def _containers(reader: Reader, found: dict[str, Node], what: str, prefix: str) -> tuple[str, ...]:
    """The names of its containers: ``container_name``, or made of the project's name, the service's and a number."""
    deploy = reader.mapping(found.get("deploy"), f"{what}: deploy")
    replicas = reader.number(deploy.get("replicas"), f"{what}: replicas", 1)
    many = reader.number(found.get("scale"), f"{what}: scale", replicas)
    own = reader.text(found.get("container_name"), f"{what}: container_name")
    if own and not (NAME.fullmatch(own) and len(own) > 1):
        reader.written.wrong(found["container_name"].location, f"{what}: '{said(own)}' is no name of a container")
    if "provider" in found:
        return ()
    if not 0 <= many <= MOST:
        told = f"{what}: write how many containers it has, from 0 to {MOST}"
        reader.written.wrong(found["scale" if "scale" in found else "deploy"].key, told)
        return ()
    return (own,) if own and many else tuple(f"{prefix}-{n}" for n in range(1, many + 1))


def _networks(reader: Reader, node: Node | None, what: str) -> dict[str, Attached]:
    """The list or the mapping under ``networks``."""
    if node is not None and isinstance(node.value, list):
        keys = [(item, reader.text(item, f"{what}: networks")) for item in node.value]
        return {key: Attached(item.location) for item, key in keys if key}
    return {
        key: _attached(reader, each, f"{what}: network {key}")
        for key, each in reader.mapping(node, f"{what}: networks").items()
    }


def _attached(reader: Reader, node: Node, what: str) -> Attached:
    found = reader.mapping(node, what, ATTACHED)
    addresses = []
    for key, family in (("ipv4_address", 4), ("ipv6_address", 6)):
        text = reader.text(found.get(key), f"{what}: {key}")
        if not text:
            continue
        try:
            read = address(text)
            if read.family != family:
                raise OptionError(f"'{said(text)}' is not an IPv{family} address")
            addresses.append((found[key].location, read))
        except OptionError as e:
            reader.written.wrong(found[key].location, f"{what}: {key}: {e.message}")
    return Attached(node.key, tuple(addresses), reader.number(found.get("gw_priority"), f"{what}: gw_priority", 0))
