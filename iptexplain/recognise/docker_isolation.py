"""What keeps Docker's networks apart, and internal networks closed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from iptexplain.recognise.docker_network import Network
from iptexplain.recognise.shape import Roles, Shape
from iptexplain.rules.model import Place

SHAPES = (
    Shape("subnet-pair", "filter", "FORWARD -s {subnet} -d {other_subnet} -j DROP", "pair"),
    Shape("isolation-pair", "filter", "DOCKER-ISOLATION -i {bridge} -o {other} -j DROP"),
    Shape("isolation-end-old", "filter", "DOCKER-ISOLATION -j RETURN"),
    Shape("isolation-leaving", "filter", "DOCKER-ISOLATION-STAGE-1 -i {bridge} ! -o {bridge} -j DOCKER-ISOLATION-STAGE-2"),
    Shape("isolation-entering", "filter", "DOCKER-ISOLATION-STAGE-2 -o {bridge} -j DROP"),
    Shape("isolation-end", "filter", "DOCKER-ISOLATION-STAGE-1 -j RETURN"),
    Shape("isolation-end", "filter", "DOCKER-ISOLATION-STAGE-2 -j RETURN"),
    Shape("routed-answers", "filter", "DOCKER-ISOLATION-STAGE-1 -i {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    Shape("routed-entering", "filter", "DOCKER-ISOLATION-STAGE-1 -o {bridge} -j RETURN"),
    *(
        shape
        for chain in ("DOCKER-ISOLATION", "DOCKER-ISOLATION-STAGE-1", "DOCKER-INTERNAL")
        for shape in (
            Shape("internal-in", "filter", chain + " ! -s {subnet} -o {bridge} -j DROP"),
            Shape("internal-out", "filter", chain + " ! -d {subnet} -i {bridge} -j DROP"),
            Shape("internal-in-both", "filter", chain + " ! -s {subnet} ! -i {bridge} -o {bridge} -j DROP"),
            Shape("internal-out-both", "filter", chain + " ! -d {subnet} -i {bridge} ! -o {bridge} -j DROP"),
        )
    ),
)  # fmt: skip


class Barrier(NamedTuple):
    """Packets from ``leaving`` to ``entering`` are dropped: the rule that sends them on, and the one that drops them."""

    leaving: str
    entering: str
    first: Place
    decides: Place


def recognise(roles: Roles, networks: list[Network]) -> list[Barrier]:
    """Every ordered pair of bridges that Docker's isolation keeps apart."""
    apart = [*_by_stages(roles), *_by_pairs(roles), *_by_subnets(roles, networks)]
    return [b for b in apart if roles.is_reached(b.first) and roles.is_reached(b.decides)]


def _by_stages(roles: Roles) -> Iterator[Barrier]:
    """What leaves one bridge for elsewhere, and enters another (unless that one is routed)."""
    routed = {f.values["bridge"] for f in roles.of("routed-entering")}
    for a in roles.of("isolation-leaving"):
        for b in roles.of("isolation-entering"):
            leaving, entering = str(a.values["bridge"]), str(b.values["bridge"])
            if leaving != entering and entering not in routed:
                yield Barrier(leaving, entering, a.place, b.place)


def _by_pairs(roles: Roles) -> Iterator[Barrier]:
    for f in roles.of("isolation-pair"):
        yield Barrier(str(f.values["bridge"]), str(f.values["other"]), f.place, f.place)


def _by_subnets(roles: Roles, networks: list[Network]) -> Iterator[Barrier]:
    bridges = {s: n.bridge for n in networks for s in n.subnets}
    for f in roles.of("subnet-pair"):
        leaving, entering = bridges.get(str(f.values["subnet"])), bridges.get(str(f.values["other_subnet"]))
        if leaving and entering:
            yield Barrier(leaving, entering, f.place, f.place)
