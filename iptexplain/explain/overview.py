"""The whole ruleset as facts: what was read, Docker's part, the host's own doors, everybody else's rules, what was assumed."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.explain.chains import chain_view, foreign_chains
from iptexplain.explain.networks import networks_json, reach, within
from iptexplain.explain.ports import PublishedPort, ports_json, published_ports
from iptexplain.explain.situation import Situation, verdict
from iptexplain.recognise.docker_port import Port
from iptexplain.rules.model import Place


def overview(situation: Situation, verbose: bool = False) -> dict[str, Any]:
    """What ``explain`` says about one family: the facts for templates/documents/explain.j2."""
    ruleset, docker = situation.ruleset, situation.docker
    rules = sum(len(c.rules) for t in ruleset.tables.values() for c in t.chains.values())
    return {
        "situation": situation,
        "family": ruleset.family,
        "others": situation.others,
        "backend": ruleset.backend.value if ruleset.backend_known else None,
        "version": next((t.generated.version for t in ruleset.tables.values() if t.generated), None),
        "tables": list(ruleset.tables),
        "rules": rules,
        "docker": docker,
        "docker_rules": len(docker.roles.found),
        "layout": docker.layout,
        **network_facts(situation),
        "ports": port_classes(published_ports(situation)),
        "host": host_facts(situation),
        "forward": policy(situation, "FORWARD"),
        "foreign": foreign_chains(situation),
        "chains": [chain_view(situation, t, c) for t in ruleset.tables.values() for c in t.chains.values()]
        if verbose
        else [],
        "assumptions": situation.assumptions,
    }


LINED = (
    "outgoing",
    "all-outgoing",
    "masquerade",
    "established",
    "jump-isolation",
    "isolation-leaving",
    "isolation-entering",
)
"""Roles whose lines the documents name together."""


class Note(NamedTuple):
    """Why some of the matrix' answers are not yes: one for each deciding rule."""

    verdict: str
    reason: str
    by: Place | str | None


def network_facts(situation: Situation) -> dict[str, Any]:
    """The networks and the matrix, for the templates."""
    docker = situation.docker
    pairs = reach(situation) if docker.networks else []
    inside = {n.bridge: way for n in docker.networks if (way := within(situation, n))}
    notes = list(dict.fromkeys(Note(r.verdict, r.reason, r.by) for r in pairs if r.verdict != "accepted"))
    numbers = {
        (r.source, r.target): notes.index(Note(r.verdict, r.reason, r.by)) + 1 for r in pairs if r.verdict != "accepted"
    }
    bridges = {n.bridge for n in docker.networks}
    return {
        "networks": docker.networks,
        "ports_of": {n.bridge: sum(1 for p in docker.ports if p.bridge == n.bridge) for n in docker.networks},
        "reach": pairs,
        "within": {bridge: verdict(way) for bridge, way in inside.items()},
        "sides": [*(n.bridge for n in docker.networks), "host", "outside"],
        "notes": notes,
        "note_of": numbers,
        "from_outside": [r for r in pairs if r.source == "outside" and r.target in bridges],
        "lines_of": {role: docker.roles.lines(role) for role in LINED},
    }


def policy(situation: Situation, chain: str) -> Place | None:
    """The place of a base chain's policy in filter."""
    found = situation.ruleset.chain("filter", chain)
    return Place("filter", chain, "policy", found.line) if found else None


def host_facts(situation: Situation) -> dict[str, Any]:
    """What the host itself accepts: filter INPUT."""
    found = situation.ruleset.chain("filter", "INPUT")
    if found is None:
        return {"known": False}
    table = situation.ruleset.tables["filter"]
    return {"known": True, "policy": found.policy, "line": found.line, "view": chain_view(situation, table, found)}


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


def port_classes(ports: list[PublishedPort]) -> list[list[PortRun]]:
    """The ports by the way they behave, each class in runs, in the order of the dump."""
    classes: dict[tuple[object, ...], list[PublishedPort]] = {}
    for published in ports:
        classes.setdefault(_behaviour(published), []).append(published)
    return [_runs(members) for members in classes.values()]


def _behaviour(published: PublishedPort) -> tuple[object, ...]:
    """What is the same for ports about which the same sentences are true."""
    accepts = {a.place for a in published.port.accepts}
    ways = (
        (f.client, f.via, f.seen == "unchanged", "accept" if f.decides in accepts else f.decides, f.reason)
        for f in published.flows.values()
    )
    return (published.port.is_everywhere, published.port.is_loopback, *ways)


def _runs(ports: list[PublishedPort]) -> list[PortRun]:
    runs: list[list[PublishedPort]] = []
    for published in sorted(ports, key=lambda p: (p.port.container_ip, p.port.host_ip, p.port.proto, p.port.host_port)):
        if runs and _follows(runs[-1][-1].port, published.port):
            runs[-1].append(published)
        else:
            runs.append([published])
    return [PortRun(tuple(r)) for r in sorted(runs, key=lambda r: min(p.port.dnat.place.line for p in r))]


def _follows(a: Port, b: Port) -> bool:
    same = (a.container_ip, a.host_ip, a.proto, a.bridge) == (b.container_ip, b.host_ip, b.proto, b.bridge)
    return same and (b.host_port - a.host_port, b.container_port - a.container_port) == (1, 1)


def explain_json(situation: Situation) -> dict[str, Any]:
    """``explain -o json`` of one family."""
    foreign = [
        {"table": v.table, "chain": v.chain, "rule": r.place.rule, "line": r.place.line, "text": r.text,
         "says": f"{r.conditions}: {r.action}"}
        for v in foreign_chains(situation)
        for r in v.rows
    ]  # fmt: skip
    return {**networks_json(situation), **ports_json(situation), "foreign": foreign}
