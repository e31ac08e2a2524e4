"""Docker's chains: which layout a ruleset has, and so which engines may have written it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from iptexplain.recognise.layouts import LINES, REMAINS, Hint, Line, Signs
from iptexplain.recognise.shape import Roles, Shape
from iptexplain.rules.model import Jump, Ruleset

SHAPES = (
    Shape("jump-user", "filter", "FORWARD -j DOCKER-USER"),
    Shape("jump-isolation", "filter", "FORWARD -j DOCKER-ISOLATION-STAGE-1"),
    Shape("jump-isolation", "filter", "FORWARD -j DOCKER-ISOLATION"),
    Shape("jump-isolation", "filter", "DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1"),
    Shape("jump-forward", "filter", "FORWARD -j DOCKER-FORWARD"),
    Shape("jump-ct", "filter", "DOCKER-FORWARD -j DOCKER-CT"),
    Shape("jump-internal", "filter", "DOCKER-FORWARD -j DOCKER-INTERNAL"),
    Shape("jump-bridge", "filter", "DOCKER-FORWARD -j DOCKER-BRIDGE"),
    Shape("external-answers", "filter", "FORWARD -m set --match-set {set} dst -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    Shape("external-ports", "filter", "FORWARD -m set --match-set {set} dst -j DOCKER"),
    Shape("accept-mark", "filter", "DOCKER-FORWARD -m mark --mark {mark} -j ACCEPT"),
    Shape("jump-published-in", "nat", "PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"),
    Shape("jump-published-out", "nat", "OUTPUT[ ! -d {loopback}] -m addrtype --dst-type LOCAL -j DOCKER"),
)  # fmt: skip


class Layout(NamedTuple):
    """A layout as a ruleset shows it. ``first`` and ``last``: the engines that write it, as far as their rules can be told
    apart (None: no limit is known); ``hints``: what makes some of them the likelier ones, with the lines that say so."""

    name: str | None
    first: str | None
    last: str | None
    lines: tuple[int, ...]
    """The lines of the dump that say so."""
    line: Line
    narrowed_by: str | None = None
    """The certain hint that tells part of the line's engines from the others."""
    hints: tuple[tuple[Hint, tuple[int, ...]], ...] = ()


Reading = Callable[[Ruleset, Roles], tuple[int, ...]]


def _order(answers_first: bool) -> Reading:
    """Whether the answers of known connections stand above the published ports, for every bridge, or below."""

    def reading(ruleset: Ruleset, roles: Roles) -> tuple[int, ...]:
        answers = {f.values["bridge"]: f.place for f in roles.of("established") if f.place.chain == "FORWARD"}
        ports = [f for f in roles.of("to-ports") if f.place.chain == "FORWARD" and f.values["bridge"] in answers]
        pairs = [(answers[f.values["bridge"]], f.place) for f in ports]
        holds = all((a.line < b.line) == answers_first for a, b in pairs)
        return (pairs[0][0].line, pairs[0][1].line) if pairs and holds else ()

    return reading


def _subnet_pairs(ruleset: Ruleset, roles: Roles) -> tuple[int, ...]:
    """Two rules that keep a Docker network's subnet and another one apart, in both directions; or as many as there must be
    for all of Docker's bridges."""
    bridges = {f.values["bridge"] for f in roles.of("to-ports")}
    own = {f.values["subnet"] for f in roles.of("masquerade", "snat") if f.values["bridge"] in bridges}
    pairs = {(f.values["subnet"], f.values["other_subnet"]): f.place.line for f in roles.of("subnet-pair")}
    both = {p: (pairs[p], pairs[p[::-1]]) for p in pairs if p[::-1] in pairs}
    of_docker = [lines for pair, lines in both.items() if own & set(pair)]
    complete = len(both) == len(bridges) * (len(bridges) - 1)
    found = of_docker or (list(both.values()) if complete else [])
    return found[0] if found and len(bridges) > 1 else ()


def _hairpin_of_port(ruleset: Ruleset, roles: Roles) -> tuple[int, ...]:
    """A hairpin rule of a published port."""
    ports = {(f.container, f.values["port"]) for f in roles.of("dnat")}
    return tuple(f.place.line for f in roles.of("hairpin") if (f.values["ip"], f.values["port"]) in ports)[:1]


def _without_end(ruleset: Ruleset, roles: Roles) -> tuple[int, ...]:
    """DOCKER-USER without the RETURN at its end."""
    chain = ruleset.chain("filter", "DOCKER-USER")
    return (chain.line,) if chain and not roles.of("user-end") else ()


READINGS: dict[str, Reading] = {
    "answers-first": _order(True),
    "answers-last": _order(False),
    "ipv6": lambda ruleset, roles: tuple(f.place.line for f in roles.found[:1]) if ruleset.family == 6 else (),
    "subnet-pairs": _subnet_pairs,
    "hairpin-of-port": _hairpin_of_port,
    "default-of-network": lambda ruleset, roles: tuple(
        f.place.line for f in roles.of("unpublished", "unprotected")[:1]
    ),
    "no-user-end": _without_end,
    "ports-in-forward": lambda ruleset, roles: tuple(
        f.place.line for f in roles.of("to-ports") if f.place.chain == "FORWARD"
    ),
}
"""Signs that take more than one look; each answers with the lines that show it."""


def recognise(ruleset: Ruleset, roles: Roles) -> Layout | None:
    """The layout of Docker's chains, or None when there are none. ``roles``: every rule with a shape, whoever wrote it."""
    whole = [(line, signs) for line in LINES for signs in line.signs]
    flushed = [(line, signs) for line in LINES for signs in line.flushed]
    for known, signs in whole + flushed:
        if lines := _lines(signs, ruleset, roles):
            return Layout(known.name, known.first, known.last, lines, known)
    chains = docker_chains(ruleset)
    remains = [ruleset.tables[t].chains[c].line for t, c in chains if not c.startswith("DOCKER_")]
    return Layout(None, None, None, tuple(remains[:1]), REMAINS) if remains else None


def narrowed(layout: Layout, ruleset: Ruleset, roles: Roles) -> Layout:
    """The layout with what else tells its engines apart. ``roles``: the rules that Docker wrote."""
    seen = [(hint, found) for hint in layout.line.hints if (found := _lines(hint.signs, ruleset, roles))]
    certain = [(hint, found) for hint, found in seen if hint.certain]
    for hint, found in certain[:1]:
        lines = tuple(dict.fromkeys((*layout.lines, *found[:1])))
        layout = layout._replace(first=hint.first, last=hint.last, lines=lines, narrowed_by=hint.name)
    return layout._replace(hints=tuple(h for h in seen if h not in certain))


def _lines(signs: Signs, ruleset: Ruleset, roles: Roles) -> tuple[int, ...]:
    """The lines that show all the signs; none when one is missing, or one is there that must not be."""
    found: list[int] = []
    for sign in signs:
        lines = _sign(sign.removeprefix("!"), ruleset, roles)
        if bool(lines) == sign.startswith("!"):
            return ()
        found += lines[:2]
    return tuple(dict.fromkeys(found))


def _sign(sign: str, ruleset: Ruleset, roles: Roles) -> tuple[int, ...]:
    if sign in READINGS:
        return READINGS[sign](ruleset, roles)
    if " -j " in sign:
        chain, target = sign.split(" -j ")
        found = ruleset.chain("filter", chain)
        jumps = [r for r in found.rules if isinstance(r.target, Jump) and r.target.chain == target] if found else []
        return tuple(r.line for r in jumps[:1])
    if sign.isupper() or "/" in sign:
        table, _, name = sign.rpartition("/")
        declared = ruleset.chain(table or "filter", name)
        return (declared.line,) if declared and declared.policy is None else ()
    return tuple(f.place.line for f in roles.of(sign)[:1])


def docker_chains(ruleset: Ruleset) -> list[tuple[str, str]]:
    """(table, chain) of every user chain with one of Docker's names."""
    return [
        (t.name, c.name)
        for t in ruleset.tables.values()
        for c in t.chains.values()
        if c.policy is None and is_dockers(c.name)
    ]


def is_dockers(chain: str) -> bool:
    """Whether a user chain has one of Docker's names."""
    return chain == "DOCKER" or chain.startswith(("DOCKER-", "DOCKER_"))
