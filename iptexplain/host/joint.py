"""One host for two rulesets: what both snapshots say of it or, where they say nothing, what both rulesets let infer."""

from __future__ import annotations

from typing import Any

from iptexplain.host.infer import topology_of
from iptexplain.host.snapshot import Snapshot
from iptexplain.host.topology import Assumption, Topology
from iptexplain.rules.model import Ruleset


def joint_topology(old: tuple[Snapshot, Ruleset], new: tuple[Snapshot, Ruleset]) -> Topology:
    """The host on which two rulesets are compared: all that either of them knows of, and where they contradict each other (two
    values of a sysctl, two routes to one network) what the new one says. An example stands in only where neither knows better.

    A fact that one snapshot lacks is taken from the other. ``Assumption.values`` has ``side`` ("old" or "new") where it is of
    one alone.
    """
    facts = [{**other[0].facts, **mine[0].facts} for mine, other in ((new, old), (old, new))]
    last, first = (
        topology_of(snapshot._replace(facts=known), ruleset)
        for known, (snapshot, ruleset) in zip(facts, (new, old), strict=True)
    )
    joint = Topology(last.family)
    for topology, other in ((last, first), (first, last)):
        _add(joint, topology, _guesses(topology) and not _guesses(other))
    joint.sysctls = {**first.sysctls, **last.sysctls}
    joint.ipsets = last.ipsets if last.ipsets.sets else first.ipsets
    joint.assumed = {**first.assumed, **last.assumed}
    joint.known_addresses = last.known_addresses or first.known_addresses
    joint.assumptions = _assumptions(first, last)
    return joint


def _guesses(topology: Topology) -> bool:
    """Whether an example stands for the host's own address."""
    return any(a.name == "host_address" for a in topology.assumptions)


def _add(joint: Topology, more: Topology, guessed: bool) -> None:
    """Add what is not there yet; ``guessed``: without the example that stands for the host's own address."""
    outside = {a.values["interface"] for a in more.assumptions if a.name == "host_address"} if guessed else set()
    joint.addresses += [
        a for a in more.addresses if not joint.has(a.address, a.interface) and a.interface not in outside
    ]
    known = {r.network for r in joint.routes}
    joint.routes += [r for r in more.routes if r.network not in known]
    joint.endpoints += [e for e in more.endpoints if e not in joint.endpoints]
    joint.bridges |= more.bridges
    joint.ports = {**more.ports, **joint.ports}


def _assumptions(old: Topology, new: Topology) -> list[Assumption]:
    """Those of the new ruleset, then those of the old one that it does not share."""
    guessed = _guesses(old) != _guesses(new)
    shown = [[a for a in topology.assumptions if not (guessed and a.name == "host_address")] for topology in (old, new)]
    said = [[_said(a) for a in side] for side in shown]
    found = []
    for side, name in ((1, "new"), (0, "old")):
        for assumption in shown[side]:
            is_shared = _said(assumption) in said[1 - side]
            if not is_shared:
                found.append(assumption._replace(values={**assumption.values, "side": name}))
            elif name == "new":
                found.append(assumption)
    changed = sorted(name for name in old.sysctls.keys() & new.sysctls.keys() if old.sysctls[name] != new.sysctls[name])
    found += [
        Assumption("sysctl_of_new", {"name": name, "value": new.sysctls[name], "side": "new"}) for name in changed
    ]
    if old.ipsets.sets and new.ipsets.sets and old.ipsets.sets != new.ipsets.sets:
        found.append(Assumption("sets_of_new", {"side": "new"}))
    return found


def _said(assumption: Assumption) -> tuple[str, dict[str, Any]]:
    """What it says, wherever it was read."""
    return assumption.name, {key: value for key, value in assumption.values.items() if key != "lines"}
