"""A rule in INPUT that is to close a published port, or to open it to some only, and cannot.

What is sent to a published port is rewritten before it is routed, and is then forwarded: `INPUT` never sees it. Docker's own rules in
`FORWARD` let it in, whatever `INPUT` says. `DOCKER-USER` is the place for such a rule. Only what really gets in from outside is told.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.explain.situation import decider
from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import REFUSES, Host, word
from iptexplain.lint.host_port_in_docker_user import DUMP
from iptexplain.recognise.docker_port import Port
from iptexplain.rules.model import Place, Rule
from iptexplain.sets.space import NO

LEVEL = "warning"

WITHOUT = DUMP.replace("-A DOCKER-USER -i eth0 -p tcp {} -j DROP\n", "").replace(
    "*filter\n", "*filter\n:INPUT ACCEPT [0:0]\n{}"
)

FIRES = Example(WITHOUT.format("-A INPUT -i eth0 -p tcp -m tcp --dport 8080 -j DROP\n"))

QUIET = Example(WITHOUT.format("-A INPUT -i eth0 -p tcp -m tcp --dport 8081 -j DROP\n"))


def find(host: Host) -> Iterator[Finding]:
    """The administrator's rules about a published port that is open all the same."""
    chain = host.ruleset.chain("filter", "INPUT")
    if chain is None or not host.docker.ports:
        return
    chains = host.inside("filter", "INPUT")
    for place, rule in host.places():
        if place.chain in chains and host.is_own(place):
            port = _open_port(host, place, rule, chain.policy == "DROP")
            if port:
                by = decider(host.from_outside(port))
                values = {"port": port, "opens": word(rule) == "ACCEPT", "by": by}
                yield Finding(place, tuple(p for p in (port.dnat.place, by) if p), values)


def _open_port(host: Host, place: Place, rule: Rule, closed: bool) -> Port | None:
    """The published port that the rule names and that is open to everybody; a rule that accepts must name who may come."""
    conditions = host.tables["filter"].hits[0].chains.conditions
    kinds, space = conditions.kinds, conditions.space
    fits = conditions.of(rule, place)
    names_source = space.depends(fits, [kinds.fields.level["src"]])
    meant = word(rule) in REFUSES or (word(rule) == "ACCEPT" and closed and names_source)
    if not meant or not space.depends(fits, [kinds.fields.level["dport"]]):
        return None
    for port in host.docker.ports:
        there = space.both(kinds.value("proto", port.proto), kinds.value("dport", port.host_port))
        if not port.is_loopback and space.both(there, fits) != NO and space.minus(there, fits) != there:
            if host.is_open(port) and not _is_catch_all(host, place, rule):
                return port
    return None


def _is_catch_all(host: Host, place: Place, rule: Rule) -> bool:
    """Whether a rule is for more than half of all ports: it is not about this one."""
    conditions = host.tables["filter"].hits[0].chains.conditions
    kinds, space = conditions.kinds, conditions.space
    fits = conditions.of(rule, place)
    level = kinds.fields.level["dport"]
    tried = [n for n in range(1, 65536, 2048) if space.both(space.among(level, [(n, n)]), fits) != NO]
    return len(tried) > 16
