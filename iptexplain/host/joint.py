"""One host for two rulesets: what both snapshots say of it or, where they say nothing, what both rulesets together let infer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from iptexplain.host.assume import assume
from iptexplain.host.infer import topology_of
from iptexplain.host.snapshot import Snapshot
from iptexplain.host.sysctls import largest
from iptexplain.host.topology import Assumption, Topology
from iptexplain.rules.model import Ruleset

Half = tuple[Snapshot, Ruleset]


def joint_topology(old: Half, new: Half) -> Topology:
    """The host on which two rulesets are compared: all that either of them knows of, and where they contradict each other (two
    values of a sysctl, two routes to one network) what the new one says.

    A fact that one snapshot lacks is taken from the other. ``Assumption.values`` has ``side`` ("old" or "new") where it is of
    one alone.
    """
    joint, other = (_topology(*sides, [sides[1][1]]) for sides in ((new, old), (old, new)))
    joint.addresses += [a for a in other.addresses if not joint.has(a.address, a.interface)]
    known = {r.network for r in joint.routes}
    joint.routes += [r for r in other.routes if r.network not in known]
    joint.endpoints += [e for e in other.endpoints if e not in joint.endpoints]
    joint.bridges |= other.bridges
    joint.ports = {**other.ports, **joint.ports}
    joint.ipsets = joint.ipsets if joint.ipsets.sets else other.ipsets
    joint.assumed = {**other.assumed, **joint.assumed}
    joint.known_addresses = joint.known_addresses or other.known_addresses
    joint.assumptions = _assumptions(joint, _topology(old, new).assumptions, _topology(new, old).assumptions)
    joint.assumptions += [a for a in other.assumptions if a.name in SETTLED and a not in joint.assumptions]
    joint.assumptions += _contradictions(other, joint)
    joint.sysctls = {**other.sysctls, **joint.sysctls}
    return joint


def assume_of_both(old: Snapshot, new: Snapshot, texts: Sequence[str]) -> tuple[Snapshot, Snapshot]:
    """Both with what is assumed of the host, and of conditions that need stand in one of them alone; raises UsageError."""
    together = assume(new._replace(dumps=(*old.dumps, *new.dumps)), texts)
    sysctls = {name: int(value) for name, value in together.assumed.items() if largest(name) is not None}
    before, after = (
        snapshot._replace(
            assumed=together.assumed,
            facts={**snapshot.facts, "sysctls": {**snapshot.facts.get("sysctls", {}), **sysctls}}
            if sysctls
            else snapshot.facts,
        )
        for snapshot in (old, new)
    )
    return before, after


SETTLED = ("assumed", "policy_routing", "other_half", "missing_half")
"""Assumptions that no rule gives cause for."""


def _topology(mine: Half, other: Half, beside: list[Ruleset] | None = None) -> Topology:
    """As ``mine`` knows the host, with the facts that it lacks from the other."""
    snapshot, ruleset = mine
    return topology_of(snapshot._replace(facts={**other[0].facts, **snapshot.facts}), ruleset, beside or [])


def _assumptions(joint: Topology, old: list[Assumption], new: list[Assumption]) -> list[Assumption]:
    """Those of both rulesets together, each with the side that alone gives cause for it."""
    sides = {"old": [_said(a) for a in old], "new": [_said(a) for a in new]}
    found = []
    for assumption in joint.assumptions:
        of = [name for name, said in sides.items() if _said(assumption) in said]
        values = {**assumption.values, "side": of[0]} if len(of) == 1 else assumption.values
        found.append(assumption._replace(values=values))
    return found


def _contradictions(old: Topology, new: Topology) -> list[Assumption]:
    """What the snapshots say otherwise: the new one's counts."""
    changed = sorted(name for name in old.sysctls.keys() & new.sysctls.keys() if old.sysctls[name] != new.sysctls[name])
    found = [Assumption("sysctl_of_new", {"name": name, "value": new.sysctls[name], "side": "new"}) for name in changed]
    if old.ipsets.sets and old.ipsets.sets != new.ipsets.sets:
        found.append(Assumption("sets_of_new", {"side": "new"}))
    return found


def _said(assumption: Assumption) -> tuple[str, dict[str, Any]]:
    """What it says, wherever it was read."""
    return assumption.name, {key: value for key, value in assumption.values.items() if key != "lines"}
