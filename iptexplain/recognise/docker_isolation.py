"""What keeps Docker's networks apart, and internal networks closed."""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.recognise.shape import Roles, Shape
from iptexplain.rules.model import Place

SHAPES = (
    Shape(
        "isolation-leaving", "filter", "DOCKER-ISOLATION-STAGE-1 -i {bridge} ! -o {bridge} -j DOCKER-ISOLATION-STAGE-2"
    ),
    Shape("isolation-entering", "filter", "DOCKER-ISOLATION-STAGE-2 -o {bridge} -j DROP"),
    Shape("isolation-end", "filter", "DOCKER-ISOLATION-STAGE-1 -j RETURN"),
    Shape("isolation-end", "filter", "DOCKER-ISOLATION-STAGE-2 -j RETURN"),
    Shape("internal-in", "filter", "DOCKER-ISOLATION-STAGE-1 ! -s {subnet} -o {bridge} -j DROP"),
    Shape("internal-out", "filter", "DOCKER-ISOLATION-STAGE-1 ! -d {subnet} -i {bridge} -j DROP"),
    Shape("internal-in", "filter", "DOCKER-ISOLATION-STAGE-1 ! -s {subnet} ! -i {bridge} -o {bridge} -j DROP"),
    Shape("internal-out", "filter", "DOCKER-ISOLATION-STAGE-1 ! -d {subnet} -i {bridge} ! -o {bridge} -j DROP"),
    Shape("internal-in", "filter", "DOCKER-INTERNAL ! -s {subnet} -o {bridge} -j DROP"),
    Shape("internal-out", "filter", "DOCKER-INTERNAL ! -d {subnet} -i {bridge} -j DROP"),
    Shape("internal-in", "filter", "DOCKER-INTERNAL ! -s {subnet} ! -i {bridge} -o {bridge} -j DROP"),
    Shape("internal-out", "filter", "DOCKER-INTERNAL ! -d {subnet} -i {bridge} ! -o {bridge} -j DROP"),
)


class Barrier(NamedTuple):
    """Packets from ``leaving`` to ``entering`` are dropped: the rule that sends them on, and the one that drops them."""

    leaving: str
    entering: str
    first: Place
    decides: Place


def recognise(roles: Roles) -> list[Barrier]:
    """Every ordered pair of bridges that the two stages keep apart."""
    return [
        Barrier(str(a.values["bridge"]), str(b.values["bridge"]), a.place, b.place)
        for a in roles.of("isolation-leaving")
        for b in roles.of("isolation-entering")
        if a.values["bridge"] != b.values["bridge"] and roles.is_reached(a.place) and roles.is_reached(b.place)
    ]
