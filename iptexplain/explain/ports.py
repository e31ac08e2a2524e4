"""Published ports: how each gets to its container, who can reach it, and whom the program there sees."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.explain.callers import Callers, callers
from iptexplain.explain.networks import reason
from iptexplain.explain.proxy import listens, proxied
from iptexplain.explain.situation import ARRIVED, Situation, decider, is_strange
from iptexplain.host.endpoints import End, somebody_on
from iptexplain.host.subnets import UNNAMED
from iptexplain.recognise.docker_port import DOCKER, Port
from iptexplain.rules.addresses import Address, to_address, to_network
from iptexplain.rules.model import Place
from iptexplain.sets.example import DOCUMENTED
from iptexplain.walk.conntrack import UNPUBLISHED
from iptexplain.walk.outcome import Trace

NETWORK = "network:"
"""How the names of clients begin that are containers of another network: its bridge follows."""

APART = ("outside", "direct", "neighbour")
"""Clients outside the host."""


MISSED = ("dropped", "unknown", "host", "elsewhere")
"""How a packet may fare beside those that get to the port."""


class Flow(NamedTuple):
    """One kind of client of a published port.

    ``via``: ``dnat`` (the rules rewrite the packet), ``proxy`` (it is delivered to the host, where docker-proxy listens),
    ``nobody`` (delivered to the host, and docker-proxy is off), ``direct`` (addressed to the container) or ``dropped``; of ports
    that are not Docker's also ``host`` (delivered to the host, not rewritten) and ``elsewhere`` (other rules send it on).
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
    lan: str | None = None
    """Who is behind the interface that the rule names, where that does not lead to the outside: a network, or ``lan``."""

    callers: Callers | None = None
    """Which addresses outside (or behind the rule's interface) get in; None: it was not worked out for all."""

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
        """Whether somebody outside gets in by the host's address."""
        outside = self.flows.get("outside")
        if outside is None or self.callers is None:
            return outside is not None and outside.gets_in
        return self.callers.somebody and (outside.gets_in or outside.via in MISSED)

    @property
    def for_all(self) -> bool | None:
        """Whether what is said of outside was worked out for all addresses there; False: it was, and no dump shows it for
        some; None: one packet was asked."""
        return True if self.port.is_loopback else None if self.callers is None else not self.callers.unsure

    @property
    def is_unsure(self) -> bool:
        """Whether nobody outside gets in for sure, and for some no dump shows it."""
        return not self.from_outside and self.callers is not None and self.callers.unsure

    @property
    def short(self) -> str:
        """``8080/tcp``, with the host's address when it is bound to one."""
        port = self.port
        return f"{numbers(port)}/{port.proto}" if port.is_everywhere else f"{port.host_ip}:{numbers(port)}/{port.proto}"

    def other_network(self) -> Flow | None:
        """What containers of the first network beside the port's own meet."""
        return next((f for c, f in self.flows.items() if c.startswith(NETWORK)), None)


def numbers(first: Port, last: Port | None = None) -> str:
    """The host's ports of one rule, or from that of one to that of another: ``8080``, ``9000-9003``, ``*`` for every port."""
    return "*" if first.is_every else span(first.host_port, (last or first).host_last)


def span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def published_ports(situation: Situation) -> list[PublishedPort]:
    """Every port that Docker published, in the order of the dump."""
    ports = situation.docker.ports
    return [
        PublishedPort(p, situation.name_of(p.container_ip), _flows(situation, p), callers=known)
        for p, known in zip(ports, callers(situation, ports), strict=True)
    ]


def own_ports(situation: Situation) -> list[PublishedPort]:
    """Every port that other rules publish, in the order in which packets meet them."""
    found = []
    ports = situation.own_ports
    for port, known in zip(ports, callers(situation, ports), strict=True):
        target = _container(port)
        behind = _at(situation, target).interface if target else ""
        port = port._replace(bridge=behind or None)
        name, lan = situation.name_of(port.container_ip), _lan(situation, port)
        found.append(PublishedPort(port, name, _flows(situation, port, known), lan, known))
    return found


def _lan(situation: Situation, port: Port) -> str | None:
    if port.is_for(situation.end("internet").interface):
        return None
    return next((str(a.network) for a in situation.topology.addresses if a.interface == port.interface), "lan")


def _container(port: Port) -> Address | None:
    """Where the packets go, if it is one address."""
    return to_address(port.container_ip) if port.container_ip and "-" not in port.container_ip else None


def _at(situation: Situation, address: Address) -> End:
    """The end with an address; its interface only where something tells it."""
    topology = situation.topology
    end = situation.end(str(address))
    known = topology.known_addresses or end.interface in {
        a.interface for a in topology.addresses if a.network.covers(address)
    }
    named = known and not end.interface.startswith(UNNAMED)
    return end if named and not topology.is_local(address) else end._replace(interface="")


def _entry(situation: Situation, port: Port) -> Address:
    """An address of the host at which the port is published: its own where it is published at several."""
    own = situation.end("host").address
    if port.is_everywhere:
        return own
    network = to_network(port.host_ip)
    inside = [a.address for a in situation.topology.addresses if network.covers(a.address)]
    return inside[0] if inside else Address(network.family, network.number + (not network.is_host))


def _caller(situation: Situation, port: Port, known: Callers | None) -> End:
    """Somebody outside whom the rule is about: behind the interface that it names, with an address that it names, and such
    as gets in where somebody does."""
    end = situation.end("internet")
    if known and known.some:
        let_in = [to_network(network, situation.family) for network in known.networks]
        first = Address(situation.family, let_in[0].number + (not let_in[0].is_host))
        usual = (
            end.address,
            *(to_address(a) for side in ("src", "dst") for a in DOCUMENTED[situation.family, side]),
            first,
        )
        end = situation.end(str(next(a for a in usual if any(network.covers(a) for network in let_in))))
    elif port.client:
        network = to_network(port.client)
        end = situation.end(str(Address(network.family, network.number + (not network.is_host))))
    elif port.interface in {a.interface for a in situation.topology.addresses} - {end.interface}:
        end = somebody_on(port.interface, situation.topology) or end
    return end._replace(interface=port.interface.replace("+", "0")) if port.interface else end


def _flows(situation: Situation, port: Port, known: Callers | None = None) -> dict[str, Flow]:
    """Ask the trace for each kind of client that this ruleset makes possible; ``known``: whom outside the packets may be from."""
    host = situation.end("host")
    bound = host._replace(address=_entry(situation, port))
    target = bound._replace(port=UNPUBLISHED if port.is_every else port.host_port)
    outside, inside = _caller(situation, port, known), _container(port)
    loopback = host._replace(address=to_address("127.0.0.1" if situation.family == 4 else "::1"))
    asked: dict[str, tuple[End, End]] = {}
    if not port.is_loopback:
        asked["outside"] = (outside, target)
        asked["host"] = (bound._replace(interface=""), target)
    if port.is_everywhere or port.is_loopback:
        asked["loopback"] = (loopback, loopback._replace(port=target.port))
    if port.is_loopback:
        asked["neighbour"] = (outside, loopback._replace(port=target.port))
    for bridge in _bridges(situation, port):
        stranger = somebody_on(bridge, situation.topology) if bridge != port.bridge else None
        if stranger and not port.is_loopback and stranger != outside:
            asked[f"{NETWORK}{bridge}"] = (stranger, target)
    if port.bridge and not port.is_loopback:
        other = somebody_on(port.bridge, situation.topology, other_than=inside)
        if other:
            asked["same network"] = (other, target)
    if inside and not situation.topology.is_local(inside):
        aim = UNPUBLISHED if port.is_every else port.container_port
        asked["direct"] = (situation.end("internet"), End(inside, port.bridge or "", aim, None))
    return {client: _flow(situation, port, client, *ends) for client, ends in asked.items()}


def _bridges(situation: Situation, port: Port) -> list[str]:
    """The bridges with containers, or machines, that may ask for the port."""
    dockers = [n.bridge for n in situation.docker.networks]
    return dockers if port.by == DOCKER else list(dict.fromkeys([*dockers, *sorted(situation.topology.bridges)]))


def _flow(situation: Situation, port: Port, client: str, source: End, target: End) -> Flow:
    way = situation.probe(source, target, "tcp" if port.proto == "all" else port.proto)
    fields, outcome = way.outcome.fields, way.outcome
    via, seen = "dropped", None
    listens_there = listens(situation, port)
    rewritten = any(s.place == port.dnat.place for s in way.steps)
    if outcome.kind in ARRIVED and (str(fields["dst"]) == port.container_ip or rewritten):
        via = "direct" if client == "direct" else "dnat"
        seen = "unchanged" if fields["src"] == source.address else str(fields["src"])
    elif outcome.kind in ARRIVED and port.by != DOCKER:
        via = "host" if outcome.kind == "delivered-local" else "elsewhere"
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
    """The clients that get through by the host's address: ``anywhere`` (but whom port_json names as ``except``), networks
    outside, those whom a hand-written rule names (their network, else ``lan``), or ``host`` alone; nothing when all are
    dropped."""
    port, known = published.port, published.callers
    if published.from_outside:
        if known and known.some:
            return [published.lan or "anywhere"] if known.but else list(known.networks)
        return [port.client or published.lan or "anywhere"]
    local = published.flows.get("loopback") or published.flows.get("host")
    return ["host"] if local and local.gets_in else []
