"""A Docker network from which packets leave the host with the container's private address, so that no answer finds back.

Docker writes a MASQUERADE rule for each network unless `com.docker.network.bridge.enable_ip_masquerade` is false; who flushes the nat
table loses them until Docker is restarted. A network in gateway mode `routed` has none on purpose and is not told.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.host.endpoints import somebody_on
from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host
from iptexplain.recognise.docker_network import Network
from iptexplain.rules.addresses import Address, to_network
from iptexplain.rules.nat import NatTarget
from iptexplain.walk.packet import OneOf

LEVEL = "warning"

DUMP = """*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
{}-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
"""

FIRES = Example(DUMP.format(""))

QUIET = Example(DUMP.format("-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n"))

PRIVATE = tuple(map(to_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))
"""Addresses that nobody outside sends an answer to."""


def find(host: Host) -> Iterator[Finding]:
    """The networks whose containers keep a private address on the way out."""
    chain = host.ruleset.chain("nat", "POSTROUTING")
    for network in host.docker.networks if chain else ():
        assert chain is not None
        if network.internal or network.gateway_mode == "routed":
            continue
        source = _leaves_with(host, network)
        if source or _is_forgotten(host, network):
            subnet = next(iter(network.subnets), None)
            lines = host.docker.roles.of("outgoing", "all-outgoing", bridge=network.bridge)
            values = {"bridge": network.bridge, "subnet": subnet, "source": source}
            yield Finding(host.whole("nat", chain), tuple(f.place for f in lines), values)


def _leaves_with(host: Host, network: Network) -> Address | None:
    """The private source with which a container's first packet leaves by no bridge."""
    one = somebody_on(network.bridge, host.topology)
    if one is None:
        return None
    outcome = host.probe(one, host.end("internet")).outcome
    source = outcome.fields["src"]
    gone = outcome.kind == "forwarded" and outcome.interface not in host.topology.bridges
    private = not isinstance(source, OneOf) and any(n.family == source.family and n.covers(source) for n in PRIVATE)
    return source if gone and private and source == one.address else None


def _is_forgotten(host: Host, network: Network) -> bool:
    """Whether no rule tells the subnet, as its MASQUERADE would, and each one that rewrites a source is Docker's for another
    network: what gets out does so with the container's address."""
    roles = host.docker.roles
    rewriting = [p for p, r in host.places("nat") if isinstance(r.target, NatTarget) and r.target.manip == "src"]
    others = all(p in roles.by_place and roles.by_place[p].values["bridge"] != network.bridge for p in rewriting)
    lets_out = bool(roles.of("outgoing", "all-outgoing", bridge=network.bridge))
    return host.family == 4 and not network.subnets and network.masquerade is False and lets_out and others
