"""A Docker network to whose containers everybody on the same link can open any port, published or not.

Up to 27 Docker relies on the policy of `FORWARD` to refuse what is sent straight to a container's address. Where that policy is ACCEPT
(Docker sets it to DROP only when it switches forwarding on itself) or a rule accepts it, a neighbour needs no more than a route. Engines before
1.13 always leave it so; that is told as good to know. Gateway mode `nat-unprotected` opens the ports on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.explain.situation import decider
from iptexplain.host.endpoints import somebody_on
from iptexplain.lint.bridge_without_masquerade import DUMP
from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host
from iptexplain.recognise.docker_network import Network
from iptexplain.rules.model import Place

LEVEL = "warning"

MASQUERADE = "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\n"

FIRES = Example(DUMP.format(MASQUERADE).replace(":FORWARD DROP", ":FORWARD ACCEPT"))

QUIET = Example(DUMP.format(MASQUERADE))

LEFT_OPEN = frozenset({"nat-only", "filter-chain", "subnet-isolation", "isolation"})
"""The layouts of engines that do not touch the policy of FORWARD; of 1.10 to 17.05 those before 1.13."""


def find(host: Host) -> Iterator[Finding]:
    """By what decides: the networks that are open."""
    found: dict[Place, list[str]] = {}
    for network in host.docker.networks:
        by = _opened_by(host, network)
        if by:
            found.setdefault(by, []).append(network.bridge)
    old = host.docker.layout is not None and host.docker.layout.name in LEFT_OPEN
    for by, bridges in found.items():
        level = "info" if old and by.rule == "policy" else None
        yield Finding(by, (), {"bridges": bridges, "is_policy": by.rule == "policy"}, level)


def _opened_by(host: Host, network: Network) -> Place | None:
    """The rule or policy that lets a packet from outside to a port that nobody publishes."""
    somebody = somebody_on(network.bridge, host.topology)
    if somebody is None or network.internal or network.gateway_mode == "nat-unprotected":
        return None
    way = host.probe(host.end("internet"), somebody)
    if way.outcome.kind != "forwarded":
        return None
    by = decider(way)
    if by and by.rule == "policy":
        return by if by.line else None  # a dump without the chain's line does not tell its policy
    return by if by and host.is_own(by) else None
