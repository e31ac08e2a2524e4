"""A drop in DOCKER-USER that cuts answers, because nothing accepts the packets of known connections before it.

`DOCKER-USER` is asked about the packets of both directions. A rule that drops everything that comes in by the outside interface, but
for some addresses, drops the answers to what containers ask others for as well: name servers, package mirrors, other services.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.explain.situation import ARRIVED
from iptexplain.host.endpoints import somebody_on
from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host
from iptexplain.lint.host_port_in_docker_user import DUMP as DOCKER
from iptexplain.rules.model import Place
from iptexplain.walk.outcome import Trace

LEVEL = "error"

DROP = "-A DOCKER-USER ! -s 192.0.2.0/24 -i eth0 -j DROP\n"
ANSWERS = "-A DOCKER-USER -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN\n"
DUMP = DOCKER.replace("-A DOCKER-USER -i eth0 -p tcp {} -j DROP\n", "{}")

FIRES = Example(DUMP.format(DROP))

QUIET = Example(DUMP.format(ANSWERS + DROP))

ASKED = (("tcp", 443), ("udp", 53))
"""What containers ask others for."""


def find(host: Host) -> Iterator[Finding]:
    """The rules that drop an answer from outside to a container that was let out."""
    if not any(host.is_own(place) for place, _ in host.places("filter", "DOCKER-USER")):
        return
    chains = host.inside("filter", "DOCKER-USER")
    cut: dict[tuple[Place, bool], dict[str, None]] = {}
    for bridge, comes_in, way in _ways(host):
        answer = host.answer_to(way) if way.outcome.kind in ARRIVED else None
        by = answer.outcome.by if answer and answer.outcome.kind in ("dropped", "rejected") else None
        if isinstance(by, Place) and isinstance(by.rule, int) and by.chain in chains and host.is_own(by):
            cut.setdefault((by, comes_in), {})[bridge] = None
    yield from (Finding(place, (), {"bridges": list(some), "comes_in": c}) for (place, c), some in cut.items())


def _ways(host: Host) -> Iterator[tuple[str, bool, Trace]]:
    """What containers of each network ask of others, and what somebody outside asks of published ports (then true)."""
    for network in host.docker.networks:
        one = somebody_on(network.bridge, host.topology)
        for proto, port in ASKED if one else ():
            assert one is not None
            yield network.bridge, False, host.probe(one, host.end("internet")._replace(port=port), proto)
    for published in host.docker.ports:
        if published.bridge and not published.is_loopback:
            yield published.bridge, True, host.from_outside(published)
