"""DOCKER-USER: the administrator's own rules, which Docker asks first and leaves alone; and what strays in Docker's chains."""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.recognise.docker_chains import docker_chains
from iptexplain.recognise.shape import Roles, Shape
from iptexplain.rules.model import Place, Rule, Ruleset

SHAPES = (Shape("user-end", "filter", "DOCKER-USER -j RETURN"),)


class Foreign(NamedTuple):
    """A rule that Docker did not write, in a chain of Docker's."""

    place: Place
    rule: Rule


def recognise(ruleset: Ruleset, roles: Roles) -> tuple[list[Foreign], list[Foreign]]:
    """The rules of DOCKER-USER, and the rules in Docker's other chains, that Docker did not write."""
    own: list[Foreign] = []
    stray: list[Foreign] = []
    for table, name in docker_chains(ruleset):
        for place, rule in ruleset.tables[table].chains[name].placed(table):
            if place not in roles.by_place:
                (own if name == "DOCKER-USER" else stray).append(Foreign(place, rule))
    return own, stray
