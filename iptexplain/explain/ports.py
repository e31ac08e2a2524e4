"""Published ports: how each gets to its container, who can reach it, and whom the program there sees."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.explain.networks import place_json, reason
from iptexplain.explain.situation import ARRIVED, Situation, decider
from iptexplain.host.endpoints import End, somebody_on
from iptexplain.recognise.docker_port import Port
from iptexplain.rules.addresses import to_address
from iptexplain.rules.model import Place
from iptexplain.walk.outcome import Trace

NETWORK = "network:"
"""How the names of clients begin that are containers of another network: its bridge follows."""

APART = ("outside", "direct", "neighbour")
"""Clients outside the host."""


class Flow(NamedTuple):
    """One kind of client of a published port.

    ``via``: ``dnat`` (the rules rewrite the packet), ``proxy`` (it is delivered to the host, where docker-proxy listens),
    ``nobody`` (delivered to the host, and docker-proxy is off), ``direct`` (addressed to the container) or ``dropped``.
    ``seen``: the source that the program sees: ``unchanged``, an address, or None when nothing arrives or nobody knows.
    """

    client: str
    via: str
    way: Trace
    seen: str | None
    decides: Place | None
    reason: str
    listens: bool | None
    """Whether docker-proxy listens, where the snapshot tells it."""

    @property
    def is_own(self) -> bool:
        """Whether the deciding rule is there for this port, or its container, alone."""
        return self.reason in ("port-accept", "direct", "direct-port", "loopback-only")

    def jump(self, hook: str, target: str) -> Place | None:
        """The rule of a base chain that sent the packet to the chain ``target``."""
        jumps = (s.place for s in self.way.steps if s.place.chain == hook and s.action == f"jump:{target}")
        return next(jumps, None)


class PublishedPort(NamedTuple):
    """A port with the flows of its clients, by the client's name."""

    port: Port
    name: str | None
    flows: dict[str, Flow]

    def alike(self) -> list[tuple[list[str], Flow]]:
        """The flows that end alike, with their clients; what outsiders do is said apart."""
        groups: list[tuple[list[str], Flow]] = []
        for client, flow in self.flows.items():
            end = (flow.via, flow.seen, flow.decides)
            same = (
                c for c, f in groups if client not in APART and c[0] not in APART and (f.via, f.seen, f.decides) == end
            )
            group = next(same, None)
            if group is not None:
                group.append(client)
            else:
                groups.append(([client], flow))
        return groups

    @property
    def from_outside(self) -> bool:
        """Whether a client from outside gets in by the host's address."""
        return "outside" in self.flows and self.flows["outside"].via in ("dnat", "proxy")

    @property
    def short(self) -> str:
        """``8080/tcp``, with the host's address when it is bound to one."""
        port = self.port
        return (
            f"{port.host_port}/{port.proto}" if port.is_everywhere else f"{port.host_ip}:{port.host_port}/{port.proto}"
        )

    def other_network(self) -> Flow | None:
        """What containers of the first network beside the port's own meet."""
        return next((f for c, f in self.flows.items() if c.startswith(NETWORK)), None)


def published_ports(situation: Situation) -> list[PublishedPort]:
    """Every published port of the ruleset, in the order of the dump."""
    return [PublishedPort(p, situation.name_of(p.container_ip), _flows(situation, p)) for p in situation.docker.ports]


def _flows(situation: Situation, port: Port) -> dict[str, Flow]:
    """Ask the trace for each kind of client that this ruleset makes possible."""
    host = situation.end("host")
    bound = host if port.is_everywhere else host._replace(address=to_address(port.host_ip))
    target = bound._replace(port=port.host_port)
    outside = situation.end("internet")
    container = End(to_address(port.container_ip), port.bridge or "", port.container_port, None)
    loopback = host._replace(address=to_address("127.0.0.1" if situation.family == 4 else "::1"))
    asked: dict[str, tuple[End, End]] = {}
    if not port.is_loopback:
        asked["outside"] = (outside, target)
        asked["host"] = (bound._replace(interface=""), target)
    if port.is_everywhere or port.is_loopback:
        asked["loopback"] = (loopback, loopback._replace(port=port.host_port))
    if port.is_loopback:
        asked["neighbour"] = (outside, loopback._replace(port=port.host_port))
    for network in situation.docker.networks:
        stranger = somebody_on(network.bridge, situation.topology) if network.bridge != port.bridge else None
        if stranger and not port.is_loopback:
            asked[f"{NETWORK}{network.bridge}"] = (stranger, target)
    if port.bridge and not port.is_loopback:
        other = somebody_on(port.bridge, situation.topology, other_than=container.address)
        if other:
            asked["same network"] = (other, target)
    asked["direct"] = (outside, container)
    return {client: _flow(situation, port, client, *ends) for client, ends in asked.items()}


def _flow(situation: Situation, port: Port, client: str, source: End, target: End) -> Flow:
    way = situation.probe(source, target, port.proto)
    fields, outcome = way.outcome.fields, way.outcome
    via, seen = "dropped", None
    listens = _listens(situation, port)
    if outcome.kind in ARRIVED and str(fields["dst"]) == port.container_ip:
        via = "direct" if client == "direct" else "dnat"
        seen = "unchanged" if fields["src"] == source.address else str(fields["src"])
    elif outcome.kind in ARRIVED:
        network = situation.docker.network(port.bridge)
        off = listens is False or (listens is None and network is not None and network.userland_proxy is False)
        gateway = situation.gateway(port.bridge)
        via = "nobody" if off else "proxy"
        seen = str(gateway) if gateway and not off else None
    elif outcome.kind == "unknown":
        via = "unknown"
    return Flow(client, via, way, seen, decider(way), reason(situation, way), listens)


def _listens(situation: Situation, port: Port) -> bool | None:
    """Whether a program of the host listens on the port: docker-proxy, unless it is switched off. None: no snapshot."""
    listeners = situation.snapshot.facts.get("listeners")
    if listeners is None:
        return None
    wanted = {f"{port.proto} {ip}:{port.host_port}" for ip in (port.host_ip, f"[{port.host_ip}]")}
    return any(entry in wanted for entry in listeners)


def reachable_from(published: PublishedPort) -> list[str]:
    """The clients that get through by the host's address: ``anywhere``, or ``host`` alone; nothing when all are dropped."""
    outside = published.flows.get("outside")
    if outside and outside.via in ("dnat", "proxy"):
        return ["anywhere"]
    local = published.flows.get("loopback") or published.flows.get("host")
    return ["host"] if local and local.via in ("dnat", "proxy") else []


def ports_json(situation: Situation) -> dict[str, Any]:
    """The part of ``ports -o json`` that one family fills."""
    ports = []
    for published in published_ports(situation):
        port, flows = published.port, published.flows
        host = flows.get("host") or flows.get("loopback")
        ports.append(
            {
                "host_ip": port.host_ip,
                "host_port": port.host_port,
                "proto": port.proto,
                "container_ip": port.container_ip,
                "container_port": port.container_port,
                "bridge": port.bridge,
                "name": published.name,
                "reachable_from": reachable_from(published),
                "source_seen": {
                    "outside": flows["outside"].seen if "outside" in flows else None,
                    "host": host.seen if host else None,
                    "other network": other.seen if (other := published.other_network()) else None,
                },
                "lines": port.lines,
                "by": place_json(flows["outside"].decides if "outside" in flows else None),
            }
        )
    return {"ports": ports}
