"""A rule in INPUT that is to close a published port, or to open it to some only, and cannot.

What is sent to a published port is rewritten before it is routed, and is then forwarded: `INPUT` never sees it. Docker's own rules in
`FORWARD` let it in, whatever `INPUT` says. `DOCKER-USER` is the place for such a rule. Only what really gets in from outside is told.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.explain.situation import decider
from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import REFUSES, Host, word
from iptexplain.lint.host_port_in_docker_user import DUMP, at_host
from iptexplain.recognise.docker_port import Port
from iptexplain.rules.model import Place, Rule
from iptexplain.sets.kinds import Kinds
from iptexplain.sets.space import NO, Diagram

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
    kinds = host.tables["filter"].hits[0].chains.conditions.kinds
    published = kinds.space.union([at_host(kinds, p) for p in host.docker.ports if not p.is_loopback])
    for place, rule in host.places():
        if place.chain in chains and host.is_own(place):
            port = _open_port(host, place, rule, chain.policy == "DROP", published)
            if port:
                by = decider(host.from_outside(port))
                source = rule.parameters.get("s")
                named = source.text if source and not source.inverted else "NETWORK"
                values = {"port": port, "opens": word(rule) == "ACCEPT", "by": by, "source": named}
                yield Finding(place, tuple(p for p in (port.dnat.place, by) if p), values)


def _open_port(host: Host, place: Place, rule: Rule, closed: bool, published: Diagram) -> Port | None:
    """The port of all that are ``published`` that the rule names and that is open to everybody; a rule that accepts must name who
    may come."""
    conditions = host.tables["filter"].hits[0].chains.conditions
    kinds, space = conditions.kinds, conditions.space
    fits = conditions.of(rule, place)
    names_source = space.depends(fits, [kinds.fields.level["src"]])
    meant = word(rule) in REFUSES or (word(rule) == "ACCEPT" and closed and names_source)
    names_port = space.depends(fits, [kinds.fields.level["dport"]])
    if not (meant and names_port) or space.both(fits, published) == NO or _is_broad(kinds, fits):
        return None
    ports = [p for p in host.docker.ports if not p.is_loopback]
    named = (p for p in ports if space.both(fits, at_host(kinds, p)) != NO)
    return next((p for p in named if host.is_open(p)), None)


def _is_broad(kinds: Kinds, fits: Diagram) -> bool:
    """Whether a rule is for more than half of all ports: then it is about none of them."""
    level = kinds.fields.level["dport"]
    tried = [n for n in range(1, 65536, 2048) if kinds.space.both(fits, kinds.space.among(level, [(n, n)])) != NO]
    return len(tried) > 16
