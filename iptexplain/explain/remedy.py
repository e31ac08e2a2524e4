"""What a trace's answer needs beside the way itself: what lies behind it, and what the commands that change it have to name."""

from __future__ import annotations

import re
from typing import Any

from iptexplain.explain.chains import misled, warning
from iptexplain.explain.layout import leftover_text
from iptexplain.explain.situation import ARRIVED, Situation, decider
from iptexplain.host.backends import SUFFIX
from iptexplain.host.endpoints import End
from iptexplain.host.infer import EXAMPLE_OUTSIDE
from iptexplain.recognise.docker_network import Network
from iptexplain.recognise.docker_port import Port
from iptexplain.rules.addresses import to_address
from iptexplain.rules.model import Place
from iptexplain.walk.outcome import Trace
from iptexplain.walk.packet import OneOf

BROKEN = ("flushed", "missing", "unasked")
"""Leftovers for which Docker's rules do not do what they are there for, and which a restart of Docker mends."""


def remedy(situation: Situation, way: Trace) -> dict[str, Any]:
    """The facts of templates/documents/why.j2 and change.j2 that the packet's fields and steps do not tell by themselves."""
    asked, last = way.packet.fields, way.outcome.fields
    source, target = _network(situation, asked.get("iif")), _target(situation, way)
    home = _home(situation, asked)
    home_network = _network(situation, home.bridge if home else None)
    published = _published(situation, last)
    detour = _detour(situation, way, published) if source and target and published else None
    return {
        "from_network": source,
        "to_network": target,
        "connects": {n.bridge: _in_docker(n) for n in (source, target, home_network) if n},
        "back": _barrier(situation, target, source),
        "published": published,
        "detour": detour,
        "detour_by": decider(detour) if detour else None,
        "home": home,
        "home_network": home_network,
        "elsewhere": _elsewhere(situation, way),
        "mesh": _mesh(situation, way),
        "was_sent_to_host": _is_host(situation, asked),
        "past_input": _past_input(situation),
        "misled": [warning(place, port) for place, port in misled(situation) if _is_about(port, asked)],
        "source_by": next((s.place for s in way.steps if "src" in s.to and s.place.table == "nat"), None),
        "left_alone": _left_alone(situation, way),
        "private": _is_private(situation, way, source),
        "unasked_icc": _unasked_icc(situation, way, source),
        "broken": [leftover_text(x) for x in situation.docker.leftovers if x.kind in BROKEN],
        "layout": situation.docker.layout,
        "half_missing": any(a.name == "missing_half" for a in situation.assumptions),
        **_halves(situation, way),
        "inside": situation.docker.namespace.kind,
        "family": situation.family,
        "anybody": str(asked["src"]) in EXAMPLE_OUTSIDE.values(),
        "to_anybody": str(asked["dst"]) in EXAMPLE_OUTSIDE.values(),
        "other_family_given": len(situation.snapshot.families) > 1,
        "ufw": situation.ruleset.chain("filter", "ufw-user-input") is not None,
    }


def _halves(situation: Situation, way: Trace) -> dict[str, Any]:
    """Where both backends hold rules: whose decide about a packet that is dropped, and with which program to change them."""
    name, own = "ip6tables" if situation.family == 6 else "iptables", situation.ruleset.backend
    if situation.half is None:
        return {"command": name, "backends": False, "other_half": None, "leftover": None}
    decides = next((s.backend for s in way.steps if s.place == way.outcome.by), own)
    command, other = f"{name}-{SUFFIX[decides]}", None
    both = situation.docker.layout and situation.half.docker.layout and way.outcome.kind not in ARRIVED
    if situation.docker.layout and decides is not own and not both:
        other = SUFFIX[decides]
    leftover = command if both else None
    return {"command": command, "backends": True, "own_half": SUFFIX[own], "other_half": other, "leftover": leftover}


def _network(situation: Situation, interface: Any) -> Network | None:
    return situation.docker.network(interface) if interface else None


def _target(situation: Situation, way: Trace) -> Network | None:
    """The network that the packet leaves into; where it is dropped before it is routed, the one that it is addressed to."""
    last = way.outcome.fields
    leaves = last.get("oif") or way.outcome.interface
    before = isinstance(way.outcome.by, Place) and way.outcome.by.table == "raw"
    if not before or isinstance(last["dst"], OneOf):
        return _network(situation, leaves)
    route = situation.topology.route(last["dst"])
    names = (n.bridge for n in situation.docker.networks if str(last["dst"]) in n.containers)
    return _network(situation, next(names, None) or (route.interface if route else None))


def _in_docker(network: Network) -> str:
    """What ``docker network connect`` takes for the network: its name, or its ID, with which Docker names the bridge."""
    by_id = re.fullmatch(r"br-([0-9a-f]{12})", network.bridge)
    return network.name or ("bridge" if network.default else by_id[1] if by_id else "NETWORK")


def _barrier(situation: Situation, leaving: Network | None, entering: Network | None) -> Place | None:
    """The rule that keeps apart what goes from one network to another."""
    if not (leaving and entering):
        return None
    pair = (leaving.bridge, entering.bridge)
    return next((b.decides for b in situation.docker.barriers if (b.leaving, b.entering) == pair), None)


def _published(situation: Situation, last: dict[str, Any]) -> Port | None:
    """The published port of the container that the packet goes to."""
    wanted = (str(last["dst"]), last.get("dport"), last["proto"])
    ports = situation.docker.ports
    return next((p for p in ports if (p.container_ip, p.container_port, p.proto) == wanted), None)


def _detour(situation: Situation, way: Trace, port: Port) -> Trace | None:
    """The way of the same sender to the published port: to the host's address on the sender's own bridge, if it is published there."""
    asked = way.packet.fields
    address = situation.gateway(asked["iif"]) if port.is_everywhere else to_address(port.host_ip)
    source = End(asked["src"], asked["iif"], asked.get("sport"), None)
    return situation.probe(source, End(address, "", port.host_port, None), port.proto) if address else None


def _is_about(port: Port, asked: dict[str, Any]) -> bool:
    return (port.proto, port.host_port) == (asked["proto"], asked.get("dport"))


def _is_host(situation: Situation, asked: dict[str, Any]) -> bool:
    return situation.topology.is_local(asked["dst"])


def _home(situation: Situation, asked: dict[str, Any]) -> Port | None:
    """The published port that the packet is sent to, by an address of the host on which it is published."""
    if not _is_host(situation, asked):
        return None
    found = (p for p in situation.docker.ports if _is_about(p, asked))
    return next((p for p in found if p.is_everywhere or p.host_ip == str(asked["dst"])), None)


def _elsewhere(situation: Situation, way: Trace) -> Port | None:
    """A port that is published, but on another address of the host than the one that the packet was sent to."""
    if way.outcome.kind != "delivered-local":
        return None
    found = (p for p in situation.docker.ports if _is_about(p, way.packet.fields))
    return None if _home(situation, way.packet.fields) else next(found, None)


def _mesh(situation: Situation, way: Trace) -> Any:
    """The routing mesh's port that the packet was rewritten for."""
    last = way.outcome.fields
    rewritten = (str(last["dst"]), last.get("dport"), last["proto"])
    mine = (m for m in situation.docker.mesh if (m.address, m.port, m.proto) == rewritten)
    return next(mine, None) if last["dst"] != way.packet.dst else None


def _past_input(situation: Situation) -> list[int]:
    """The lines of the rules in filter INPUT, of both halves, which what is forwarded never meets."""
    chains = [s.ruleset.chain("filter", "INPUT") for s in (situation, situation.half) if s]
    return sorted(r.line for chain in chains if chain for r in chain.rules)


def _left_alone(situation: Situation, way: Trace) -> Place | None:
    """Docker's rule that keeps a packet from its own bridge out of the rewriting, so that docker-proxy gets it."""
    if not _home(situation, way.packet.fields):
        return None
    skips = {f.place for f in situation.docker.roles.of("skip-dnat")}
    return next((s.place for s in way.steps if s.place in skips), None)


def _is_private(situation: Situation, way: Trace, source: Network | None) -> bool:
    """Whether a container's packet leaves this host with the container's own address."""
    asked, last = way.packet.fields, way.outcome.fields
    gone = way.outcome.kind == "forwarded" and way.outcome.interface not in situation.topology.bridges
    return gone and source is not None and last["src"] == asked["src"] and way.state == "NEW"


def _unasked_icc(situation: Situation, way: Trace, source: Network | None) -> Place | None:
    """The rule that would drop what is switched within a network with icc off, if the kernel showed it to iptables."""
    if not way.outcome.bridged or way.steps or source is None:
        return None
    return next((f.place for f in situation.docker.roles.of("no-icc", bridge=source.bridge)), None)
