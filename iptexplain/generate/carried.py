"""Which packets docker-proxy got, by the source's own rules: those that INPUT lets in to published ports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from iptexplain.explain.situation import Situation
from iptexplain.host.endpoints import End
from iptexplain.recognise.docker import Docker
from iptexplain.recognise.docker_network import Network
from iptexplain.recognise.docker_port import Port
from iptexplain.rules.addresses import Address, to_address, to_network
from iptexplain.walk.translation import LOOPBACK


class Client(NamedTuple):
    """A bridge whose containers used docker-proxy: for every published port, or for the ports of their own network alone;
    ``is_apart``: its containers may not talk to each other otherwise (icc is off).

    ``ports``: those at which docker-proxy got their packets; ``refused``: the others, which INPUT kept from them.
    """

    bridge: str
    everywhere: bool
    is_apart: bool
    ports: tuple[Port, ...]
    refused: tuple[Port, ...]


class Carried(NamedTuple):
    """``by_loopback``: whether what the host sends by loopback got to any published port."""

    clients: tuple[Client, ...]
    by_loopback: bool

    @property
    def refused(self) -> dict[str, tuple[Port, ...]]:
        """The bridges of which INPUT refused something, and for which ports."""
        return {c.bridge: c.refused for c in self.clients if c.refused}

    @property
    def served(self) -> tuple[Client, ...]:
        return tuple(c for c in self.clients if c.ports)


def served(docker: Docker) -> list[Network]:
    """The networks with published ports."""
    bridges = {p.bridge for p in docker.ports}
    return [n for n in docker.networks if n.bridge in bridges]


def carried(situation: Situation) -> Carried:
    """Ask the source's rules, with one packet for each bridge, port and address of the host."""
    docker = situation.docker
    skipping = {f.values["bridge"] for f in docker.roles.of("skip-dnat")}
    excepted = {f.values["bridge"] for f in docker.roles.of("dnat")} - {None}
    clients = []
    for network in docker.networks:
        bridge = network.bridge
        if network.internal or bridge not in skipping | excepted:
            continue
        asked = [p for p in docker.ports if bridge in skipping or p.bridge == bridge]
        refused = [] if _is_open(situation) else [p for p in asked if not _gets_in(situation, network, p)]
        ports = tuple(p for p in asked if p not in refused)
        clients.append(Client(bridge, bridge in skipping, network.icc is False, ports, tuple(refused)))
    return Carried(tuple(clients), _loopback_gets_in(situation))


def _is_open(situation: Situation) -> bool:
    """Whether INPUT lets everything in, which saves the questions."""
    chains = (situation.ruleset.chain(table, "INPUT") for table in ("mangle", "filter", "security"))
    return all(chain is None or (not chain.rules and chain.policy == "ACCEPT") for chain in chains)


def _gets_in(situation: Situation, network: Network, port: Port) -> bool:
    sender = End(_sender(situation, network, port), network.bridge, None, None)
    hosts = (a.address for a in situation.topology.addresses if a.interface != "lo")
    asked: Iterable[Address] = hosts if port.is_everywhere else [to_address(port.host_ip)]
    return _any_arrives(situation, sender, asked, port)


def _loopback_gets_in(situation: Situation) -> bool:
    """Where nothing is published, nothing is kept out."""
    loopback = LOOPBACK[situation.family]
    found = [p for p in situation.docker.ports if p.is_everywhere or p.is_loopback]
    asked = ((to_address(loopback if p.is_everywhere else p.host_ip), p) for p in found)
    return not found or any(_any_arrives(situation, End(a, "", None, "host"), [a], p) for a, p in asked)


def _any_arrives(situation: Situation, sender: End, hosts: Iterable[Address], port: Port) -> bool:
    """Nobody knows of some packets whether INPUT lets them in; they may get there."""
    ways: Iterator[str] = (
        situation.probe(sender, End(host, "", port.host_port, None), port.proto).outcome.kind for host in hosts
    )
    return any(kind in ("delivered-local", "unknown") for kind in ways)


def _sender(situation: Situation, network: Network, port: Port) -> Address:
    """A container of the network that is not the port's own, or an address where one may be."""
    known = (a for e in situation.topology.endpoints if e.interface == network.bridge for a in e.addresses)
    mine = (a for a in known if a.family == situation.family and str(a) != port.container_ip)
    subnet = to_network(network.subnets[0], situation.family).interval if network.subnets else None
    if subnet is None:
        return next(mine, to_address(port.container_ip))
    first, last = subnet
    return next(mine, Address(situation.family, max(first, min(first + 250, last - 1))))
