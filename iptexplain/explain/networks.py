"""Docker's networks, and who reaches whom."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from iptexplain.explain.all_packets import Proof, prove
from iptexplain.explain.layout import layout_json, plain
from iptexplain.explain.situation import Situation, decider, verdict
from iptexplain.explain.values import fields_json, place_json
from iptexplain.explain.words import environment
from iptexplain.host.endpoints import End, somebody_on
from iptexplain.host.topology import Assumption
from iptexplain.recognise.docker_ingress import GWBRIDGE
from iptexplain.recognise.docker_network import Network
from iptexplain.rules.model import Place
from iptexplain.walk.outcome import Trace


class Reach(NamedTuple):
    """Whether a new TCP connection to an unpublished port gets from one side to the other, and what decides."""

    source: str
    target: str
    verdict: str
    by: Place | str | None
    reason: str
    way: Trace


def sides(situation: Situation) -> dict[str, End]:
    """The networks by bridge, then ``host`` and ``outside``, each with somebody who stands for it."""
    found = {n.bridge: end for n in situation.docker.networks if (end := somebody_on(n.bridge, situation.topology))}
    return {**found, "host": situation.end("host"), "outside": situation.end("internet")}


def reach(situation: Situation) -> list[Reach]:
    """Every ordered pair of networks, host and outside."""
    found = sides(situation)
    return [
        _reach(situation, a, found[a], b, found[b])
        for a in found
        for b in found
        if a != b and {a, b} != {"host", "outside"}
    ] + [_reach(situation, a, found[a], b, found[b]) for a, b in (("host", "outside"), ("outside", "host"))]


def proved(situation: Situation, pairs: list[Reach]) -> Proof:
    """Whether the answers about these pairs hold for all packets."""
    return prove(situation, {(r.source, r.target): r.verdict for r in pairs})


def within(situation: Situation, network: Network) -> Trace | None:
    """The way between two containers of one network."""
    one = somebody_on(network.bridge, situation.topology)
    if one is None:
        return None
    other = somebody_on(network.bridge, situation.topology, other_than=one.address)
    if other is None or other.address == one.address:
        return None
    return situation.probe(one, other, mac_dst="peer")


def _reach(situation: Situation, a: str, source: End, b: str, target: End) -> Reach:
    if b == "host" and source.interface in situation.topology.bridges:
        gateway = situation.gateway(source.interface)
        target = target._replace(address=gateway) if gateway else target
    if a == "host":
        source = source._replace(address=situation.gateway(target.interface) or source.address, interface="")
    way = situation.probe(source, target)
    by: Place | str | None = way.outcome.by if isinstance(way.outcome.by, str) else decider(way)
    return Reach(a, b, verdict(way), by, reason(situation, way), way)


def reason(situation: Situation, way: Trace) -> str:
    """Why it ended so, as a word that the templates know: the role of the deciding rule, or what kind of thing decided."""
    by = way.outcome.by
    if isinstance(by, str):
        return f"kernel-{by}"
    place = decider(way)
    if way.outcome.kind == "unknown":
        return "unknown"
    if place is None:
        return "no-rule"
    found = situation.role_of(place)
    if found:
        return found.role
    if place.rule == "policy":
        return "policy"
    return "user-rule" if place.chain == "DOCKER-USER" else "rule"


def networks_json(situation: Situation) -> dict[str, Any]:
    """The part of ``networks -o json`` that one family fills."""
    docker = situation.docker
    published = Counter(p.bridge for p in docker.ports)
    pairs = reach(situation)
    proof = proved(situation, pairs)
    return {
        "docker": layout_json(situation),
        "networks": [network_json(n, published[n.bridge], situation.family) for n in docker.networks],
        "links": [link._asdict() for link in docker.links],
        "swarm": swarm_json(situation),
        "reach": [
            {
                "family": situation.family, "from": r.source, "to": r.target, "verdict": r.verdict, "by": place_json(r.by),
                "for_all": proof.for_all[r.source, r.target],
            }
            for r in pairs
        ],
        "exceptions": [
            {
                "family": situation.family, "from": list(o.sources), "to": o.target, "verdict": o.fate,
                "by": [place_json(by) for by in o.by], "witness": fields_json(o.witness),
            }
            for o in proof.others
        ],
    }  # fmt: skip


SETTINGS = ("bridge", "name", "default", "subnets", "icc", "internal", "masquerade", "snat_to", "gateway_mode", "userland_proxy",
            "direct_routing", "trusted_interfaces", "accept_fwmark", "containers")  # fmt: skip
"""The fields of a network that stand in JSON under their own name."""


def network_json(network: Network, ports: int, family: int) -> dict[str, Any]:
    """One network as JSON; ``because``: the lines that say each setting."""
    settings = {key: getattr(network, key) for key in SETTINGS}
    return {
        **{key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()},
        "gateway_modes": {str(family): network.gateway_mode},
        "ports": ports,
        "lines": network.all_lines,
        "because": dict(network.because),
    }


def swarm_json(situation: Situation) -> dict[str, Any] | None:
    """What the rules tell of a swarm: its bridge, the routing mesh's ports, encrypted overlay networks; None: nothing."""
    docker = situation.docker
    bridge = docker.network(GWBRIDGE)
    if not (bridge or docker.mesh or docker.encrypted):
        return None
    return {
        "bridge": bridge.bridge if bridge else next((m.bridge for m in docker.mesh), None),
        "jumps": [f.place.line for f in docker.roles.of("jump-ingress", "jump-ingress-nat")],
        "mesh": [m._asdict() for m in docker.mesh],
        "encrypted": [e._asdict() for e in docker.encrypted],
    }


def merged(answers: list[dict[str, Any]], situations: list[Situation]) -> dict[str, Any]:
    """The answers of both families as one: a network that both know is one entry, other lists follow each other."""
    found: dict[str, Any] = {}
    for answer, situation in zip(answers, situations, strict=True):
        same_dump = situation.dump is situations[0].dump
        for key, value in answer.items():
            if key == "networks":
                found[key] = _merged_networks(found.get(key, []), value, same_dump)
            elif key == "docker" and value and found.get(key):
                found[key]["leftovers"] += value["leftovers"]
            elif isinstance(value, list):
                known = found.get(key, [])
                found[key] = known + [v for v in value if v not in known]
            else:
                found[key] = found.get(key) or value
    texts = [assumption_text(a) for s in situations for a in s.granted]
    found["assumptions"] = list(dict.fromkeys(texts))
    return found


def _merged_networks(
    first: list[dict[str, Any]], second: list[dict[str, Any]], same_dump: bool
) -> list[dict[str, Any]]:
    """What the second family adds: its subnets, what the first left open, and its lines where they are of the same text."""
    by_bridge = {n["bridge"]: n for n in first}
    for network in second:
        known = by_bridge.setdefault(network["bridge"], network)
        if known is network:
            continue
        for key in ("subnets", "ports", "containers"):
            known[key] += network[key]
        known["gateway_modes"] |= network["gateway_modes"]
        known["trusted_interfaces"] = list(dict.fromkeys(known["trusted_interfaces"] + network["trusted_interfaces"]))
        for key in ("icc", "gateway_mode", "userland_proxy", "snat_to", "name", "direct_routing", "accept_fwmark"):
            known[key] = network[key] if known[key] is None else known[key]
        if same_dump:
            known["lines"] += network["lines"]
            for key, lines in network["because"].items():
                known["because"][key] = known["because"].get(key, []) + lines
    return list(by_bridge.values())


def assumption_text(assumption: Assumption) -> str:
    """An assumption as a sentence."""
    return plain(environment().get_template("documents/assumption.j2").render(a=assumption, **assumption.values))
