"""A rule in INPUT that is to close a published port, or to open it to some only, and cannot.

What is sent to a published port is rewritten before it is routed, and is then forwarded: `INPUT` never sees it. Docker's own rules in
`FORWARD` let it in, whatever `INPUT` says. `DOCKER-USER` is the place for such a rule. Only what really gets in from outside is told:
what containers or the host itself send to the port, or somebody sends to 127.0.0.1, is another matter.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.explain.situation import decider
from iptexplain.host.topology import Topology
from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import REFUSES, Host, word
from iptexplain.lint.host_port_in_docker_user import DUMP, at_host
from iptexplain.rules.addresses import Address
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
    arriving = _arriving(host, kinds)
    ports = [(p, kinds.space.both(at_host(kinds, p), arriving)) for p in host.docker.ports if not p.is_loopback]
    for place, rule in host.places():
        if place.chain in chains and host.is_own(place):
            fits = _meant(host, place, rule, chain.policy == "DROP")
            port = next((p for p, its in ports if kinds.space.both(fits, its) != NO and host.is_open(p)), None)
            if port:
                by = decider(host.from_outside(port))
                source = rule.parameters.get("s")
                named = source.text if source and not source.inverted else "NETWORK"
                values = {"port": port, "opens": word(rule) == "ACCEPT", "by": by, "source": named}
                yield Finding(place, tuple(p for p in (port.dnat.place, by) if p), values)


def _arriving(host: Host, kinds: Kinds) -> Diagram:
    """What comes in by none of Docker's bridges for an address of the host: of that Docker rewrites what is for a published port."""
    inner = {"", "lo", *(n.bridge for n in host.docker.networks)}
    outer = kinds.one_of("iif", [name for name in kinds.fields.interfaces.names if name not in inner])
    addresses = kinds.places.split(lambda address: _may_be_own(kinds.topology, address))
    return kinds.space.both(outer, kinds.space.among(kinds.fields.level["dst"], addresses.get(True, ())))


def _may_be_own(topology: Topology, address: Address) -> bool:
    """Whether an address is the host's on a network; where nobody listed those, any one may be that is of one machine alone."""
    if topology.known_addresses:
        return topology.has(address) and not topology.is_loopback(address)
    return Topology(topology.family).address_type(address) == "UNICAST"


def _meant(host: Host, place: Place, rule: Rule, closed: bool) -> Diagram:
    """The packets of a rule that is about some ports: one that refuses them, or that accepts them from somebody whom it names."""
    conditions = host.tables["filter"].hits[0].chains.conditions
    kinds, space = conditions.kinds, conditions.space
    fits = conditions.of(rule, place)
    names_source = space.depends(fits, [kinds.fields.level["src"]])
    names_port = space.depends(fits, [kinds.fields.level["dport"]])
    meant = word(rule) in REFUSES or (word(rule) == "ACCEPT" and closed and names_source)
    return fits if meant and names_port and not _is_broad(kinds, fits) else NO


def _is_broad(kinds: Kinds, fits: Diagram) -> bool:
    """Whether a rule is for more than half of all ports: then it is about none of them."""
    level = kinds.fields.level["dport"]
    tried = [n for n in range(1, 65536, 2048) if kinds.space.both(fits, kinds.space.among(level, [(n, n)])) != NO]
    return len(tried) > 16
