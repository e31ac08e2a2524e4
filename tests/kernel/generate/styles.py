"""The styles of cases: each makes a host, its rules and sets, and packets for them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from tests.kernel.generate import docker
from tests.kernel.generate.docker_packets import ForDocker
from tests.kernel.generate.loading import saved, saved_sets
from tests.kernel.generate.packets import ForRules, Sender, packets
from tests.kernel.generate.pools import Pools
from tests.kernel.generate.scene import Scene
from tests.kernel.generate.sets import sets
from tests.kernel.generate.tables import ruleset
from tests.kernel.generate.topologies import TOPOLOGIES, Host, bridges, sysctls, with_ipv6
from tests.kernel.lab.laboratory import BACKENDS, DUMPS, Backend
from tests.kernel.lab.topology import with_macs

PACKETS = 120
"""How many packets a case has, at least."""


class Draft(NamedTuple):
    """A case before any iptables has seen it."""

    host: Host
    family: int
    rules: str
    ipset: str
    sender: Sender


def _random(random: Random, family: int) -> Draft:
    host = random.choice(TOPOLOGIES)(random)
    if family == 6:
        host = with_ipv6(host)
    host["sysctls"] = sysctls(random)
    pools = Pools(host, family)
    scene, ipset = Scene(random, pools), ""
    if scene.chance(0.25):
        ipset, scene.sets = sets(scene)
    rules, wanted = ruleset(scene)
    return Draft(host, family, rules, ipset, ForRules(random, pools, wanted))


def _docker(random: Random, rules: Callable[[docker.Engine], str]) -> Draft:
    host = bridges(random)
    host["sysctls"] = sysctls(random, docker=True)
    engine = docker.Engine(random, host)
    text = rules(engine)
    return Draft(host, 4, text, "", ForDocker(random, Pools(host, 4), engine))


STYLES: dict[str, Callable[[Random], Draft]] = {
    "random": lambda random: _random(random, 4),
    "random6": lambda random: _random(random, 6),
    "docker20": lambda random: _docker(random, docker.stage_isolation),
    "docker28": lambda random: _docker(random, docker.forward_ct_bridge),
}


def cases(style: str, seed: int, count: int = PACKETS) -> dict[Backend, dict[str, Any]]:
    """The case of a seed, for each backend with the dump that its own iptables-save prints. Needs root."""
    random = Random(f"{style} {seed}")
    draft = STYLES[style](random)
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
