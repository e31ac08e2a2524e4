"""The whole ruleset as facts: what was read, Docker's part, the host's own doors, everybody else's rules, what was assumed."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.explain.chains import chain_view, foreign_chains, misled, warning
from iptexplain.explain.layout import layout_facts
from iptexplain.explain.meetings import meeting_text, meetings
from iptexplain.explain.networks import Reach, networks_json, proved, reach, reason, within
from iptexplain.explain.port_runs import port_classes, ports_json
from iptexplain.explain.ports import own_ports, published_ports
from iptexplain.explain.programs import program_facts, programs_json, title
from iptexplain.explain.situation import Situation, decider, verdict
from iptexplain.rules.model import Place


def overview(situation: Situation, verbose: bool = False) -> dict[str, Any]:
    """What ``explain`` says about one family: the facts for templates/documents/explain.j2."""
    ruleset = situation.ruleset
    published = port_facts(situation)
    return {
        **heading(situation),
        **network_facts(situation),
        **published,
        "opened": situation.docker.opened,
        "warnings": [warning(place, port) for place, port in misled(situation)],
        "meetings": [meeting_text(m) for m in meetings(situation, published["port_list"])],
        "host": host_facts(situation),
        "foreign": foreign_chains(situation),
        "chains": [chain_view(situation, t, c) for t in ruleset.tables.values() for c in t.chains.values()]
        if verbose
        else [],
    }


def networks_overview(situation: Situation) -> dict[str, Any]:
    """What ``networks`` says: the facts for templates/documents/networks.j2."""
    return {**heading(situation), **network_facts(situation)}


def ports_overview(situation: Situation) -> dict[str, Any]:
    """What ``ports`` says: the facts for templates/documents/ports.j2."""
    return {**heading(situation), **port_facts(situation)}


def heading(situation: Situation) -> dict[str, Any]:
    """What was read, who wrote it and what is taken for granted: all of these documents need it, and no packet is traced for it."""
    ruleset, docker = situation.ruleset, situation.docker
    return {
        "situation": situation,
        "family": ruleset.family,
        "others": situation.others,
        "docker_beside": bool(situation.half and situation.half.docker.layout),
        "backend": ruleset.backend.value if ruleset.backend_known else None,
        "version": next((t.generated.version for t in ruleset.tables.values() if t.generated), None),
        "tables": list(ruleset.tables),
        "rules": sum(len(c.rules) for t in ruleset.tables.values() for c in t.chains.values()),
        "docker": docker,
        "docker_rules": len(docker.roles.found),
        "networks": docker.networks,
        "lines_of": {role: docker.roles.lines(role) for role in LINED},
        "other_family_empty": situation.snapshot.facts.get("ip6tables" if ruleset.family == 4 else "iptables") == "",
        "other_family_given": any(f != ruleset.family for f in situation.snapshot.families),
        **layout_facts(situation),
        "programs": program_facts(situation),
        "assumptions": situation.granted,
    }


def port_facts(situation: Situation) -> dict[str, Any]:
    """The published ports, Docker's and those of others, for the templates."""
    ports, own = published_ports(situation), own_ports(situation)
    return {
        "ports": port_classes(ports),
        "port_list": ports,
        "own_ports": port_classes(own),
        "own_list": own,
        "writers": {p.name: title(p.name) for p in situation.programs},
    }


LINED = (
    "outgoing",
    "all-outgoing",
    "masquerade",
    "established",
    "jump-isolation",
    "isolation-leaving",
    "isolation-entering",
    "isolation-pair",
    "subnet-pair",
    "jump-user",
    "jump-published-out",
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
    refused = {(r.source, r.target): Note(r.verdict, r.reason, r.by) for r in pairs if r.verdict != "accepted"}
    icc_off = {bridge for bridge, way in inside.items() if reason(situation, way) == "no-icc"}
    for bridge, way in inside.items():
        if verdict(way) != "accepted" and bridge not in icc_off:
            by = way.outcome.by if isinstance(way.outcome.by, str) else decider(way)
            refused[bridge, bridge] = Note(verdict(way), reason(situation, way), by)
    notes = list(dict.fromkeys(refused.values()))
    numbers = {pair: notes.index(note) + 1 for pair, note in refused.items()}
    bridges = {n.bridge for n in docker.networks}
    return {
        "ports_of": {n.bridge: sum(1 for p in docker.ports if p.bridge == n.bridge) for n in docker.networks},
        "reach": pairs,
        "proof": proved(situation, pairs),
        "within": {bridge: verdict(way) for bridge, way in inside.items()},
        "icc_off": icc_off,
        "sides": [*(n.bridge for n in docker.networks), "host", "outside"],
        "notes": notes,
        "note_of": numbers,
        "from_outside": [r for r in pairs if r.source == "outside" and r.target in bridges],
        "rewritten": {r.source: s for r in pairs if r.target == "outside" and (s := _source_rule(r))},
        "links": docker.links,
    }


def host_facts(situation: Situation) -> dict[str, Any]:
    """What the host itself accepts: filter INPUT."""
    found = situation.ruleset.chain("filter", "INPUT")
    if found is None:
        return {"known": False}
    table = situation.ruleset.tables["filter"]
    return {"known": True, "policy": found.policy, "line": found.line, "view": chain_view(situation, table, found)}


def _source_rule(pair: Reach) -> Place | None:
    """The rule that gave the packet another source on its way out."""
    return next((s.place for s in pair.way.steps if s.hook == "POSTROUTING" and "src" in s.to), None)


def explain_json(situation: Situation) -> dict[str, Any]:
    """``explain -o json`` of one family."""
    foreign = [
        {"table": v.table, "chain": v.chain, "rule": r.place.rule, "line": r.place.line, "text": r.text,
         "says": f"{r.conditions}: {r.action}"}
        for v in foreign_chains(situation)
        for r in v.rows
    ]  # fmt: skip
    met = [
        {"name": m.name, "family": situation.family, "says": meeting_text(m).replace("`", ""), "lines": list(m.lines)}
        for m in meetings(situation)
    ]
    told = {"programs": programs_json(situation), "meetings": met, "foreign": foreign}
    return {**networks_json(situation), **ports_json(situation), **told}
