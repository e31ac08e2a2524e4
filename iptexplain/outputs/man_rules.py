"""The rules that man pages show: taken from recorded hosts by what a recogniser says they are for, with its words."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from iptexplain.explain.chains import purpose
from iptexplain.explain.situation import Situation, situations
from iptexplain.explain.words import environment
from iptexplain.host.snapshot import read_snapshot


class Shown(NamedTuple):
    """One rule of a recorded host: its table, its text, and what it is for."""

    table: str
    text: str
    purpose: str


def rules(host: str, *roles: str, bridge: str | None = None) -> list[Shown]:
    """The first rule of each role in templates/man/rules/HOST.v4, of that ``bridge`` where the rule names one.

    Raises LookupError for a role that no rule of the host has, so that the page cannot show what is not there.
    """
    situation = _situation(host)
    found = []
    for role in roles:
        of_role = [f for f in situation.docker.roles.of(role) if bridge in (None, f.values["bridge"])]
        if not of_role:
            raise LookupError(f"{host}: no rule of the role {role}")
        place = of_role[0].place
        found.append(Shown(place.table, situation.text(place), purpose(of_role[0])))
    return found


@cache
def _situation(host: str) -> Situation:
    loader = environment().loader
    assert loader is not None
    text, _, _ = loader.get_source(environment(), f"man/rules/{host}.v4")
    return situations(read_snapshot(text, host))[0]
