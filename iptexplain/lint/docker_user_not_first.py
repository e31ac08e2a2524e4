"""Rules of FORWARD that accept packets from outside for Docker's networks before DOCKER-USER is asked about them.

What is written into `DOCKER-USER` to close a port then does not hold for those packets. Only the first packets of connections count:
answers are often accepted at the top, and rightly.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host, word
from iptexplain.rules.model import Jump, Place
from iptexplain.sets.fields import ANOTHER
from iptexplain.sets.hits import Hits
from iptexplain.sets.space import NO, Diagram

LEVEL = "warning"

DUMP = """*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-USER - [0:0]
{}-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER-USER -s 203.0.113.0/24 -j DROP
COMMIT
"""

EARLY = "-A FORWARD -i eth0 -o docker0 -j ACCEPT\n"
ASKED = "-A FORWARD -j DOCKER-USER\n"

FIRES = Example(DUMP.format(EARLY + ASKED))

QUIET = Example(DUMP.format(ASKED + EARLY))


def find(host: Host) -> Iterator[Finding]:
    """The jump, and the rules before it that accept what it should be asked about."""
    own = [place for place, _ in host.places("filter", "DOCKER-USER") if host.is_own(place)]
    jump = next((p for p, r in host.places("filter", "FORWARD") if r.target == Jump("DOCKER-USER")), None)
    if own and jump and int(jump.rule) > 1 and host.docker.networks:
        hits = next(h for h in host.tables["filter"].hits if h.hook == "FORWARD")
        before = _accepting(host, jump, hits)
        if before:
            yield Finding(jump, before, {"before": before, "rules": own})


def _accepting(host: Host, jump: Place, hits: Hits) -> tuple[Place, ...]:
    """The rules before the jump, or in chains that are asked before, that accept some of these packets."""
    earlier = [(p, r) for p, r in host.places("filter", "FORWARD") if int(p.rule) < int(jump.rule)]
    called = [host.inside("filter", r.target.chain) for _, r in earlier if isinstance(r.target, Jump)]
    chains = set[str]().union(*called)
    rules = [*earlier, *((p, r) for p, r in host.places() if p.chain in chains)]
    condition = hits.space.exists(hits.chains.conditions.of(host.rule(jump), jump), hits.changed)
    # A chain may be called before the jump and behind it: who comes to the jump was not accepted before.
    never = hits.space.minus(hits.space.both(condition, _from_outside(host, hits)), hits.of.get(jump, NO))
    return tuple(p for p, r in rules if word(r) == "ACCEPT" and hits.space.both(never, hits.of.get(p, NO)) != NO)


def _from_outside(host: Host, hits: Hits) -> Diagram:
    """First packets that come in by no bridge and leave by one of Docker's."""
    kinds, space = hits.chains.conditions.kinds, hits.space
    outside = {r.interface for r in host.topology.routes if not r.network.mask}
    inwards = kinds.one_of("iif", [ANOTHER, *sorted(outside)])
    entering = kinds.one_of("oif", [n.bridge for n in host.docker.networks])
    return space.both(space.both(kinds.value("ctstate", "NEW"), inwards), entering)
