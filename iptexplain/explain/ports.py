"""Published ports: how each gets to its container, who can reach it, and whom the program there sees."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.explain.networks import reason
from iptexplain.explain.proxy import listens, proxied
from iptexplain.explain.situation import ARRIVED, Situation, decider, is_strange
from iptexplain.explain.values import place_json
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

    lost: Trace | None = None
    """What is dropped though the packet arrives, so that no connection comes about."""

    @property
    def end(self) -> tuple[Any, ...]:
        """What flows have in common that are told together."""
        return self.via, self.seen, self.decides, self.lost and self.lost.outcome.by

    @property
    def gets_in(self) -> bool:
        """Whether a client that asks for the host's address is answered."""
        return self.via in ("dnat", "proxy") and self.lost is None

    @property
    def is_own(self) -> bool:
        """Whether the deciding rule is there for this port, or its container, alone."""
        return self.reason in ("port-accept", "port-accept-inside", "direct", "direct-port", "loopback-only")

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
            same = (c for c, f in groups if client not in APART and c[0] not in APART and f.end == flow.end)
            group = next(same, None)
            if group is not None:
                group.append(client)
            else:
                groups.append(([client], flow))
        return groups

    @property
    def from_outside(self) -> bool:
        """Whether a client from outside gets in by the host's address."""
        return "outside" in self.flows and self.flows["outside"].gets_in

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


class PortRun(NamedTuple):
    """Published ports with consecutive numbers that go to one container: said in one row."""

    ports: tuple[PublishedPort, ...]

    @property
    def first(self) -> PublishedPort:
        return self.ports[0]

    @property
    def last(self) -> PublishedPort:
        return self.ports[-1]

    def lines(self, kind: str) -> list[int]:
        """The lines of their DNAT rules (``dnat``) or of the rules that let them in (``accepts``)."""
        found = [p.port.dnat for p in self.ports] if kind == "dnat" else [a for p in self.ports for a in p.port.accepts]
        return sorted({f.place.line for f in found})

    def json(self) -> dict[str, Any]:
        """The run as ``ports -o json`` has it: numbers as ``9000-9003``."""
        a, b = self.first.port, self.last.port
        return {
            "host_ip": a.host_ip,
            "host_ports": _span(a.host_port, b.host_port),
            "proto": a.proto,
            "container_ip": a.container_ip,
            "container_ports": _span(a.container_port, b.container_port),
            "bridge": a.bridge,
            "lines": sorted({n for p in self.ports for n in p.port.lines}),
        }


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def runs(ports: list[PublishedPort]) -> list[PortRun]:
    """Ports with consecutive numbers together, in the order of the dump."""
    found: list[list[PublishedPort]] = []
    for published in sorted(ports, key=lambda p: (p.port.container_ip, p.port.host_ip, p.port.proto, p.port.host_port)):
        if found and _follows(found[-1][-1].port, published.port):
            found[-1].append(published)
        else:
            found.append([published])
    return [PortRun(tuple(r)) for r in sorted(found, key=lambda r: min(p.port.dnat.place.line for p in r))]


def _follows(a: Port, b: Port) -> bool:
    same = (a.container_ip, a.host_ip, a.proto, a.bridge) == (b.container_ip, b.host_ip, b.proto, b.bridge)
    return same and (b.host_port - a.host_port, b.container_port - a.container_port) == (1, 1)


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
    listens_there = listens(situation, port)
    if outcome.kind in ARRIVED and str(fields["dst"]) == port.container_ip:
        via = "direct" if client == "direct" else "dnat"
        seen = "unchanged" if fields["src"] == source.address else str(fields["src"])
    elif outcome.kind in ARRIVED:
        network = situation.docker.network(port.bridge)
        off = listens_there is False or (
            listens_there is None and network is not None and network.userland_proxy is False
        )
        gateway = situation.gateway(port.bridge)
        via = "nobody" if off else "proxy"
        seen = str(gateway) if gateway and not off else None
    elif outcome.kind == "unknown":
        via = "unknown"
    lost = _lost(situation, way, via)
    flow = Flow(client, via, way, seen, decider(way), reason(situation, way), listens_there, lost)
    return flow if via == "direct" or flow.gets_in else flow._replace(seen=None)


def _lost(situation: Situation, way: Trace, via: str) -> Trace | None:
    """The way of what gets lost behind the packet itself: docker-proxy's own connection to the container, or the answer."""
    found = proxied(situation, way) if via == "proxy" else None
    if found and found.onward and found.onward.outcome.kind in GONE:
        return found.onward
    answer = situation.answer_to(way) if via in ("dnat", "direct", "proxy") else None
    return answer if answer and (answer.outcome.kind in GONE or is_strange(way, answer)) else None


GONE = ("dropped", "rejected")


def reachable_from(published: PublishedPort) -> list[str]:
    """The clients that get through by the host's address: ``anywhere``, or ``host`` alone; nothing when all are dropped."""
    outside = published.flows.get("outside")
    if outside and outside.gets_in:
        return ["anywhere"]
    local = published.flows.get("loopback") or published.flows.get("host")
    return ["host"] if local and local.gets_in else []


def ports_json(situation: Situation) -> dict[str, Any]:
    """The part of ``ports -o json`` that one family fills."""
    ports = []
    found = published_ports(situation)
    for published in found:
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
                "loopback_protection": port.loopback_protection,
                "reachable_from": reachable_from(published),
                "source_seen": {
                    "outside": flows["outside"].seen if "outside" in flows else None,
                    "host": host.seen if host else None,
                    "other network": other.seen if (other := published.other_network()) else None,
                },
                "lines": port.lines,
                "because": port.because,
                "by": place_json(flows["outside"].decides if "outside" in flows else None),
            }
        )
    opened = [
        {
            "container_ip": f.values["ip"],
            "container_port": int(str(f.values["port"])),
            "proto": f.values["proto"],
            "bridge": f.values["bridge"],
            "lines": [f.place.line],
        }
        for f in situation.docker.opened
    ]
    return {
        "ports": ports,
        "ranges": [r.json() for r in runs(found)],
        "opened": opened,
        "mesh": [m._asdict() for m in situation.docker.mesh],
    }
