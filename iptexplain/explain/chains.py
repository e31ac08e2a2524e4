"""Chains rule by rule: for which packets, what happens, and what the rule is for."""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.errors import UsageError
from iptexplain.explain.programs import written_by
from iptexplain.explain.situation import Situation
from iptexplain.explain.words import action, conditions, count, environment, said
from iptexplain.recognise.docker_chains import is_dockers
from iptexplain.recognise.docker_port import Port
from iptexplain.recognise.shape import Found
from iptexplain.rules.model import Chain, Place, Rule, Table


class Row(NamedTuple):
    """A rule in words; ``purpose`` is what Docker wrote it for, or which other program wrote it, empty for other rules;
    ``comment`` its own remark."""

    place: Place
    text: str
    conditions: str
    action: str
    purpose: str
    comment: str
    counters: str | None


class ChainView(NamedTuple):
    """A chain in words; ``callers`` are the places that jump to it."""

    table: str
    chain: str
    policy: str | None
    line: int
    rows: list[Row]
    callers: list[Place]
    is_docker: bool


def chain_view(situation: Situation, table: Table, chain: Chain, only_foreign: bool = False) -> ChainView:
    """``only_foreign``: leave out what Docker wrote, or another program that is known."""
    roles = situation.docker.roles.by_place
    rows = []
    for place, rule in chain.placed(table.name):
        if not (only_foreign and (place in roles or situation.program_of(place))):
            rows.append(row(situation, place, rule, roles.get(place)))
    callers = situation.callers.get((table.name, chain.name), [])
    is_docker = chain.policy is None and is_dockers(chain.name)
    return ChainView(table.name, chain.name, chain.policy, chain.line, rows, callers, is_docker)


def row(situation: Situation, place: Place, rule: Rule, found: Found | None) -> Row:
    remarks = [str(m.value("comment")) for m in rule.matches if m.name == "comment"]
    counters = count(rule.counters.packets, "packet") if rule.counters else None
    return Row(
        place,
        said(situation.text(place)),
        conditions(rule),
        action(rule.target),
        purpose(found) if found else _remark(situation, place),
        said(" ".join(remarks)),
        counters,
    )


def _remark(situation: Situation, place: Place) -> str:
    """Of a rule that is not Docker's: which program wrote it, or how it misleads."""
    by = written_by(situation, place)
    return f"written by {by}" if by else " ".join(warning(p, port) for p, port in misled(situation) if p == place)


def misled(situation: Situation) -> list[tuple[Place, Port]]:
    """Rules of DOCKER-USER that look for a published port by --dport, where packets carry the container's port already."""
    found = []
    for foreign in situation.docker.user_rules:
        wanted = [
            s.value
            for m in foreign.rule.matches
            if m.name in ("tcp", "udp", "sctp")
            for s in m.settings
            if s.option.key == "dport"
        ]
        for low, high in wanted:
            ports = [p for p in situation.docker.ports if p.proto == foreign.rule.parameters.protocol]
            hit = any(low <= p.container_port <= high for p in ports)
            found += [(foreign.place, p) for p in ports if low <= p.host_port <= high and not hit][:1]
    return found


def warning(place: Place, port: Port) -> str:
    """What is wrong with such a rule, and the rule that does what it was meant to do."""
    text = environment().get_template("documents/misled.j2").render(place=place, port=port)
    return " ".join(text.split())


def purpose(found: Found) -> str:
    """What a program wrote the rule for, from the recogniser's template."""
    template = environment().get_template(f"recognise/{found.recogniser}.j2")
    return " ".join(template.render(role=found.role, **found.values).split())


def find_chains(situation: Situation, name: str) -> list[ChainView]:
    """Every chain called ``name`` (or ``TABLE/NAME``); raises UsageError when there is none."""
    table, slash, chain = name.partition("/")
    wanted = chain if slash else name
    found = [
        chain_view(situation, t, c)
        for t in situation.ruleset.tables.values()
        if not slash or t.name == table
        for c in t.chains.values()
        if c.name == wanted
    ]
    if not found:
        names = dict.fromkeys(c for t in situation.ruleset.tables.values() for c in t.chains)
        raise UsageError(f"there is no chain '{said(name)}': there are {', '.join(map(said, names))}")
    return found


def foreign_chains(situation: Situation) -> list[ChainView]:
    """The chains with rules that neither Docker nor another known program wrote, with those rules alone."""
    views = [
        chain_view(situation, t, c, only_foreign=True)
        for t in situation.ruleset.tables.values()
        for c in t.chains.values()
    ]
    return [v for v in views if v.rows]
