"""A trace as facts: the tree of steps, why it ended so, and what would change it."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.explain.chains import purpose
from iptexplain.explain.networks import assumption_text, reason
from iptexplain.explain.programs import written_by
from iptexplain.explain.proxy import Proxied, proxied
from iptexplain.explain.remedy import remedy
from iptexplain.explain.situation import ARRIVED, Situation, decider, is_strange
from iptexplain.explain.values import fields_json, place_json
from iptexplain.explain.words import action, conditions, environment, said
from iptexplain.host.assume import words_for
from iptexplain.host.infer import EXAMPLE_HOST
from iptexplain.host.snapshot import SCHEMA
from iptexplain.host.topology import Assumption
from iptexplain.rules.answer import Backend
from iptexplain.rules.extension import Match
from iptexplain.rules.model import Place
from iptexplain.rules.nat import NatTarget
from iptexplain.walk.decide import BRANCH_LIMIT, Unknown
from iptexplain.walk.outcome import Outcome, Trace
from iptexplain.walk.table import MOST

SHOWN = ("src", "dst", "sport", "dport")


class Line(NamedTuple):
    """One step of the tree: a rule that matched, or the policy that was reached."""

    place: Place
    depth: int
    conditions: str
    action: str
    to: str
    decides: bool


class Stage(NamedTuple):
    """One table at one hook with its steps."""

    hook: str
    table: str
    lines: list[Line]
    backend: Backend


def stages(way: Trace) -> list[Stage]:
    """The steps, by table and hook in the order in which the kernel asked them."""
    found: list[Stage] = []
    decided = decider(way)
    for step in way.steps:
        table = step.place.table
        if not found or (found[-1].hook, found[-1].table, found[-1].backend) != (step.hook, table, step.backend):
            found.append(Stage(step.hook, table, [], step.backend))
        words = conditions(step.rule) if step.rule else ""
        does = said(step.action).removeprefix("jump:").replace("goto:", "goto ")
        to = ", ".join(f"{k} {v}" for k, v in step.to.items())
        found[-1].lines.append(Line(step.place, step.depth, words, does, to, step.place == decided))
    return found


def trace_facts(situation: Situation, way: Trace, notes: tuple[Assumption, ...] = ()) -> dict[str, Any]:
    """What templates/documents/trace.j2 says."""
    fields, last = way.packet.fields, way.outcome.fields
    more = remedy(situation, way)
    answer = situation.answer_to(way)
    used = [*notes, *_relevant(situation, way), *_beyond(situation, way, more["from_network"])]
    decided = decider(way)
    by = next((s for s in way.steps if s.place == decided), None)
    return {
        **more,
        "situation": situation,
        "way": way,
        "stages_of": stages,
        "source": _end(situation, fields, "src", "sport"),
        "target": _end(situation, fields, "dst", "dport"),
        "receiver": situation.name_of(last["dst"]),
        "now": {k: last.get(k) for k in SHOWN},
        "was": {k: fields.get(k) for k in SHOWN},
        "proto": fields["proto"],
        "outcome": way.outcome,
        "decides": decided,
        "reason": reason(situation, way),
        "purpose": _purpose(situation, decided),
        "asks_user": any(s.action == "jump:DOCKER-USER" for s in way.steps),
        "answer": answer,
        "strange": answer is not None and is_strange(way, answer),
        "stands_in": str(last["src"]) in EXAMPLE_HOST.values(),
        "decides_conditions": said(conditions(by.rule)) if by and by.rule else "",
        "decides_action": said(action(by.rule.target)) if by and by.rule else "",
        "proxied": proxied(situation, way),
        "writer": written_by(situation, decided) if decided else "",
        "unknowns": [_question(u) for u in sorted(way.unknowns, key=lambda u: u.place.line) if not u.is_order],
        "order_matters": any(u.is_order for u in way.unknowns),
        "bound": BRANCH_LIMIT if way.bounded else None,
        "most": MOST,
        "told": way.told,
        "kept_port": _kept_port(way),
        "assumptions": used,
    }


class Question(NamedTuple):
    """What nobody can decide: a condition, a choice that NAT has, or a program's verdict; ``assume``: how to settle it."""

    place: Place
    match: Match | None
    chooses: bool
    assume: tuple[str, ...]


def _question(unknown: Unknown) -> Question:
    about = unknown.about
    chooses = isinstance(about, NatTarget)
    words = () if chooses else words_for(about)[:2]
    name = said(about.called) if about else "QUEUE"
    return Question(unknown.place, unknown.match, chooses, tuple(f"{name}={word}" for word in words))


def _kept_port(way: Trace) -> int | None:
    """The source port that NAT kept beside a new source address: it does so only while no other connection has it."""
    asked, last = way.packet.fields, way.outcome.fields
    port: int | None = asked.get("sport")
    kept = port is not None and last.get("sport") == port and last["src"] != asked["src"]
    return port if kept and way.state == "NEW" and way.outcome.kind in ARRIVED else None


def _end(situation: Situation, fields: dict[str, Any], address: str, port: str) -> dict[str, Any]:
    return {
        "address": str(fields[address]),
        "port": fields.get(port),
        "name": situation.name_of(fields[address]),
        "network": _network_of(situation, fields[address]),
        "is_host": situation.topology.is_local(fields[address]),
    }


def _network_of(situation: Situation, address: Any) -> str | None:
    """The network that a container is on: its name in Docker, else the bridge's."""
    endpoint = situation.topology.endpoint_at(address)
    if endpoint is None or endpoint.interface not in situation.topology.bridges:
        return None
    network = situation.docker.network(endpoint.interface)
    return network.name if network and network.name else endpoint.interface


def _purpose(situation: Situation, place: Place | None) -> str:
    found = situation.role_of(place)
    return purpose(found) if found else ""


def _relevant(situation: Situation, way: Trace) -> list[Assumption]:
    """Of all assumptions, those that this packet's way used."""
    fields, last = way.packet.fields, way.outcome.fields
    interfaces = {fields.get("iif"), last.get("oif"), way.outcome.interface}
    ends = {str(f[k]) for f in (fields, last) for k in ("src", "dst")}
    used = []
    for assumption in situation.granted:
        values = assumption.values
        if assumption.name == "assumed":
            relevant = "." in values["name"] or values["name"] in way.assumed
        elif assumption.name in ("bridge", "subnet", "unnamed"):
            relevant = values["bridge"] in interfaces
        elif assumption.name == "container" or assumption.name == "host_address":
            relevant = values["address"] in ends
        elif assumption.name == "bound_address":
            relevant = bool(ends & set(values["addresses"]))
        elif assumption.name == "outside":
            relevant = values["interface"] in interfaces
        elif assumption.name == "route_localnet":
            relevant = values["bridge"] in interfaces and any(e.startswith("127.") for e in ends)
        elif assumption.name == "bridge_nf_call":
            relevant = way.outcome.bridged
        elif assumption.name == "policy_routing":
            relevant = not way.outcome.bridged and _is_routed(way)
        elif assumption.name == "missing_half":
            relevant = bool(way.steps)
        elif assumption.name == "order":
            shared = sorted({u.place.table for u in way.unknowns if u.is_order})
            assumption = assumption._replace(values={"tables": shared, "matters": way.outcome.kind == "unknown"})
            relevant = bool(shared)
        else:
            relevant = way.outcome.kind == "forwarded" and not way.outcome.bridged
        if relevant:
            used.append(assumption)
    return used


def _is_routed(way: Trace) -> bool:
    """Whether a route was looked up that ``ip rule`` can change: addresses of the host itself are found before its rules."""
    leaves = way.outcome.fields.get("oif") or way.outcome.interface
    return way.outcome.by == "no-route" or (way.outcome.kind != "delivered-local" and leaves not in (None, "", "lo"))


def _beyond(situation: Situation, way: Trace, source: Any) -> list[Assumption]:
    """What this packet's way takes for granted of the machines at its ends."""
    found = []
    target = way.packet.dst
    if way.outcome.kind == "delivered-local" and situation.topology.address_type(target) == "MULTICAST":
        found.append(Assumption("multicast", {"address": str(target)}))
    near = situation.topology.route(target)
    if source and source.internal and (near is None or near.interface != source.bridge):
        found.append(Assumption("internal_route", {"bridge": source.bridge}))
    return found


def why(facts: dict[str, Any]) -> str:
    """Why the packet ended so, in one paragraph."""
    text = environment().get_template("documents/why.j2").render(**facts)
    return " ".join(text.replace("`", "").split())


def trace_json(situation: Situation, way: Trace, notes: tuple[Assumption, ...] = ()) -> dict[str, Any]:
    """One trace as ``trace -o json`` prints it: the packet, its steps and how it ended, and what becomes of its answer."""
    facts = trace_facts(situation, way, notes)
    return {
        "schema": SCHEMA,
        "packet": fields_json(way.packet.fields),
        "iif": way.packet.fields.get("iif") or None,
        "ctstate": way.state,
        "ctdir": "reply" if way.reply else "original",
        "assumptions": [assumption_text(a) for a in facts["assumptions"]],
        "steps": _steps_json(situation, way),
        "outcome": {**outcome_json(way.outcome), **({"bound": BRANCH_LIMIT} if way.bounded else {})},
        "replies": [_reply_json(situation, way.told)] if way.told else [],
        "answer": outcome_json(facts["answer"].outcome) if facts["answer"] else None,
        "proxy": _proxy_json(facts["proxied"]),
        "why": why(facts),
    }


def _steps_json(situation: Situation, way: Trace) -> list[dict[str, Any]]:
    return [
        {
            "table": s.place.table,
            "chain": said(s.place.chain),
            "rule": s.place.rule,
            **({"backend": s.backend.value} if situation.half else {}),
            "action": said(s.action),
            **({"to": fields_json(s.to)} if s.to else {}),
            "line": s.place.line,
            "text": said(situation.text(s.place)),
            "says": f"{conditions(s.rule)}: {action(s.rule.target)}" if s.rule else f"policy {s.action}",
        }
        for s in way.steps
    ]


def _proxy_json(found: Proxied | None) -> dict[str, Any] | None:
    """What docker-proxy makes of the packet: whether it runs, how that is known, and its own connection to the container."""
    if found is None:
        return None
    onward = outcome_json(found.onward.outcome) if found.onward else None
    return {"runs": found.runs, "known_by": "listeners" if found.known else "rules", "onward": onward}


def _reply_json(situation: Situation, told: Trace) -> dict[str, Any]:
    """The answer that the host itself sends: the packet as it sets out, its steps and how it ends."""
    fields = told.packet.fields
    names = ("proto", *SHOWN, "icmp_type", "icmp_code")
    return {
        "type": "tcp-reset" if fields["proto"] == "tcp" else "icmp-error",
        **fields_json(fields, names),
        "steps": _steps_json(situation, told),
        "outcome": outcome_json(told.outcome),
    }


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    fields = outcome.fields
    found: dict[str, Any] = {
        "kind": outcome.kind,
        "by": place_json(outcome.by),
        "iface": outcome.interface,
        "tuple": fields_json(fields, ("proto", *SHOWN)),
    }
    if outcome.kind == "rejected":
        found["with"] = outcome.answer
    if outcome.branches:
        found["branches"] = [outcome_json(b) for b in outcome.branches]
    return found
