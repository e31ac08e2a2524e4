"""What became of a packet, from the tables that it passed, what its receivers saw, and what the kernel dropped."""

from __future__ import annotations

import errno
from typing import Any, NamedTuple

from tests.kernel.lab import LabError
from tests.kernel.lab.checkpoints import DELIVERED, MADE_HERE, SENT, TRACKED, hook_of
from tests.kernel.lab.drops import Drop
from tests.kernel.lab.reading import Read, tuple_of
from tests.kernel.lab.topology import Topology
from tests.kernel.lab.visits import OWN_TABLE, Step, Visit

BY_RULE = "NETFILTER_DROP"
"""The reason of a drop that a hook asked for."""
NO_NEIGHBOUR = "NEIGH_FAILED"


class Capture(NamedTuple):
    """A frame that came out at the far end of an interface."""

    device: str
    src_mac: str
    dst_mac: str
    packet: Read


class Answer(NamedTuple):
    """A packet's steps and its end, as a case keeps them. ``routed``: it reached its receiver with the host's own MAC address."""

    steps: list[Step]
    outcome: dict[str, Any]
    ctstate: str | None = None
    reply: bool | None = None
    hops: tuple[dict[str, Any], ...] = ()
    routed: bool = False


class Evidence(NamedTuple):
    """All that was seen of one packet. ``visits``: in the dump's tables; ``checkpoints``: in the laboratory's own."""

    visits: list[Visit]
    checkpoints: list[Visit]
    captures: list[Capture]
    drops: list[Drop]
    error: int = 0
    """What send() said (errno), for a packet of the host's own."""


def answer(seen: Evidence, topology: Topology, replies: list[dict[str, Any]]) -> Answer:
    """What became of the packet that ``seen`` is about. ``replies``: what the host itself answered, as a case keeps it."""
    steps = [step for visit in seen.visits for step in visit.steps]
    tracked = next((v for v in seen.checkpoints if v.chain in TRACKED), None)
    state = (tracked.ctstate or "INVALID") if tracked else None  # the trace has no state for INVALID packets
    outcome, routed = _outcome(seen, topology, steps, replies)
    return Answer(steps, outcome, state, tracked.reply if tracked else None, _hops(seen.checkpoints), routed)


def _outcome(
    seen: Evidence, topology: Topology, steps: list[Step], replies: list[dict[str, Any]]
) -> tuple[dict[str, Any], bool]:
    at = {visit.chain: visit for visit in seen.checkpoints}
    drops = next((step for step in steps if step.drops), None)
    if drops:
        return _ended_by(drops, seen.visits, replies), False
    if DELIVERED in at:
        last = at[DELIVERED]
        return {"kind": "delivered-local", "iface": last.iif, **_packet(last)}, False
    if SENT in at and at[SENT].oif != "lo":
        last = at[SENT]
        outcome: dict[str, Any] = {"kind": "sent" if MADE_HERE in at else "forwarded", "iface": last.oif}
        return _with_receiver(outcome, _packet(last), seen, topology)
    if seen.captures and not seen.checkpoints:
        outcome = {"kind": "forwarded", "iface": topology.interface_of(seen.captures[0].device), "bridged": True}
        return _with_receiver(outcome, {}, seen, topology)
    return _lost(seen, replies), False


def _packet(last: Visit) -> dict[str, Any]:
    """The packet at the end. Its mark, TTL and TOS are sure at a checkpoint alone: nf_tables' trace tells of a packet with
    the first rule that it met, when that rule has changed it already."""
    mark = {"mark": last.mark} if last.mark else {}
    return {"tuple": tuple_of(last.packet), "ttl": last.packet["ttl"], "tos": last.packet["tos"], **mark}


def _ended_by(step: Step, visits: list[Visit], replies: list[dict[str, Any]]) -> dict[str, Any]:
    """Dropped or rejected by a rule: with the packet as it came into the table that ended it."""
    by = {"table": step.table, "chain": step.chain, "rule": step.rule}
    ends = tuple_of(next(v for v in reversed(visits) if v.table == step.table).packet)
    if step.action != "REJECT":
        return {"kind": "dropped", "by": by, "tuple": ends}
    said = None
    if replies:
        first = replies[0]
        reset = first["type"] == "tcp-reset"
        said = "tcp-reset" if reset else f"{first['proto']} {first['icmp_type']}/{first['icmp_code']}"
    return {"kind": "rejected", "by": by, "with": said, "tuple": ends}


def _with_receiver(
    outcome: dict[str, Any], packet: dict[str, Any], seen: Evidence, topology: Topology
) -> tuple[dict[str, Any], bool]:
    """The outcome with who got the frame, and whether the host had put its own MAC address on it."""
    outcome["to"] = None
    if not seen.captures:
        other = [drop.reason for drop in seen.drops if drop.reason != BY_RULE]
        return outcome | ({"not_seen": other[0]} if other else {}) | packet, False
    got = [(c, topology.at(c.device, c.dst_mac)) for c in seen.captures]
    capture, receiver = next(((c, e) for c, e in got if e), got[-1])
    outcome["to"] = receiver.name if receiver else None
    came_out = topology.interface_of(capture.device)
    if came_out != outcome["iface"]:
        outcome["captured_on"] = came_out
    routed = topology.is_own(capture.src_mac)
    if outcome["kind"] == "forwarded" and not routed:
        outcome["bridged"] = True
    wire = {"tuple": tuple_of(capture.packet), "ttl": capture.packet["ttl"], "tos": capture.packet["tos"]}
    if packet and packet["tuple"] != wire["tuple"]:
        raise LabError(f"POSTROUTING let go {packet['tuple']}, on the wire is {wire['tuple']}")
    return outcome | packet | wire, routed


def _lost(seen: Evidence, replies: list[dict[str, Any]]) -> dict[str, Any]:
    """Dropped by the kernel itself, behind the last hook that saw the packet."""
    last = seen.checkpoints[-1] if seen.checkpoints else None
    by: dict[str, Any] = {"kernel": None, "after": hook_of(last.chain) if last else None}
    drops = [drop for drop in seen.drops if drop.reason != BY_RULE] or seen.drops
    if replies:  # the answer may have died of it, not the packet
        drops = [drop for drop in drops if drop.reason != NO_NEIGHBOUR] or drops
    if seen.error:
        by["kernel"] = f"errno {errno.errorcode.get(seen.error, seen.error)}"
    elif drops:
        by |= {"kernel": drops[0].reason, "location": drops[0].location}
    return {"kind": "dropped", "by": by, **(_packet(last) if last else {})}


def _hops(checkpoints: list[Visit]) -> tuple[dict[str, Any], ...]:
    """Where the packet changed on its way: the checkpoints at which it was not what it was before."""
    hops: list[dict[str, Any]] = []
    for visit in checkpoints:
        mark = {"mark": visit.mark} if visit.mark else {}
        state = {"iif": visit.iif, "oif": visit.oif, **mark, **tuple_of(visit.packet)}
        if not hops or {k: v for k, v in hops[-1].items() if k != "at"} != state:
            hops.append({"at": visit.chain, **state})
    return tuple(hops)


def split(visits: list[Visit]) -> tuple[list[Visit], list[Visit]]:
    """(visits to the dump's tables, visits to the checkpoints)"""
    return [v for v in visits if v.table != OWN_TABLE], [v for v in visits if v.table == OWN_TABLE]
