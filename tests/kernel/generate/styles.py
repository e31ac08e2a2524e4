"""The styles of cases: each makes a host, its rules and sets, and packets for them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from tests.kernel.generate import docker, people
from tests.kernel.generate.docker_packets import ForDocker
from tests.kernel.generate.loading import saved, saved_sets
from tests.kernel.generate.packets import ForRules, Sender, packets
from tests.kernel.generate.pools import Pools
from tests.kernel.generate.routes import ForRoutes, crossroads
from tests.kernel.generate.scene import Scene
from tests.kernel.generate.sets import sets
from tests.kernel.generate.tables import MOSTLY_NAT, ruleset
from tests.kernel.generate.topologies import TOPOLOGIES, Host, bridges, sysctls, with_ipv6
from tests.kernel.lab.laboratory import BACKENDS, DUMPS, Backend
from tests.kernel.lab.topology import with_macs

PACKETS = 120
"""How many packets a case has, at least."""


MakeHost = Callable[[Random, int], Host]


class Draft(NamedTuple):
    """A case before any iptables has seen it."""

    host: Host
    family: int
    rules: str
    ipset: str
    sender: Sender


def _usual(random: Random, family: int) -> Host:
    host = random.choice(TOPOLOGIES)(random)
    if family == 6:
        host = with_ipv6(host)
    return host | {"sysctls": sysctls(random)}


def _random(
    random: Random, family: int, make_host: MakeHost = _usual, sender: type[ForRules] = ForRules, rare: bool = False
) -> Draft:
    host = make_host(random, family)
    pools = Pools(host, family)
    scene, ipset = Scene(random, pools, rare=rare), ""
    if scene.chance(0.25):
        ipset, scene.sets = sets(scene)
    rules, wanted = ruleset(scene)
    return Draft(host, family, rules, ipset, sender(random, pools, wanted))


def _nat(random: Random, family: int) -> Draft:
    host = _usual(random, family)
    pools = Pools(host, family)
    rules, wanted = ruleset(Scene(random, pools, ranges=True), MOSTLY_NAT)
    return Draft(host, family, rules, "", ForRules(random, pools, wanted))


def _people(random: Random, family: int) -> Draft:
    host = _usual(random, family)
    pools = Pools(host, family)
    pools.remote = [*pools.remote, people.SERVICE[family]]
    rules, wanted = people.ruleset(random, pools)
    return Draft(host, family, rules, "", ForRules(random, pools, wanted))


def _docker(random: Random, rules: Callable[[docker.Engine], str]) -> Draft:
    host = bridges(random)
    host["sysctls"] = sysctls(random, docker=True)
    engine = docker.Engine(random, host)
    text = rules(engine)
    return Draft(host, 4, text, "", ForDocker(random, Pools(host, 4), engine))


STYLES: dict[str, tuple[int, Callable[[Random], Draft]]] = {
    "random": (4, lambda random: _random(random, 4)),
    "random6": (4, lambda random: _random(random, 6)),
    "docker20": (3, lambda random: _docker(random, docker.stage_isolation)),
    "docker28": (3, lambda random: _docker(random, docker.forward_ct_bridge)),
    "people": (3, lambda random: _people(random, 4)),
    "people6": (2, lambda random: _people(random, 6)),
    "routes": (0, lambda random: _random(random, 4, crossroads, ForRoutes)),
    "routes6": (0, lambda random: _random(random, 6, crossroads, ForRoutes)),
    "nat": (0, lambda random: _nat(random, 4)),
    "nat6": (0, lambda random: _nat(random, 6)),
    "rare": (0, lambda random: _random(random, 4, rare=True)),
    "rare6": (0, lambda random: _random(random, 6, rare=True)),
}
"""Name → how often it has its turn (0: only when it is asked for), and what drafts a case of it."""
TURNS = [style for style, (weight, _) in STYLES.items() for _ in range(weight)]


def cases(style: str, seed: int, count: int = PACKETS) -> dict[Backend, dict[str, Any]]:
    """The case of a seed, for each backend with the dump that its own iptables-save prints. Needs root."""
    random = Random(f"{style} {seed}")
    draft = STYLES[style][1](random)
    asked = packets(draft.sender, count)
    counters = random.random() < 0.2
    case: dict[str, Any] = {
        "name": f"{style}-{seed}",
        "seed": seed,
        "style": style,
        "host": with_macs(draft.host),
        "packets": asked,
    }
    if draft.ipset:
        case["ipset"] = saved_sets(draft.ipset)
    made: dict[Backend, dict[str, Any]] = {}
    for backend in BACKENDS:
        dump = saved(draft.rules, case.get("ipset", ""), draft.family, backend, counters)
        made[backend] = case | {"backend": backend, DUMPS[draft.family]: dump}
    return made
