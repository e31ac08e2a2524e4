"""One packet's result as a case keeps it: its own way, and what the host answered by itself."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

from tests.kernel.lab import LabError
from tests.kernel.lab.building import Fields, number_of
from tests.kernel.lab.legacy_trace import joined
from tests.kernel.lab.listening import Traffic
from tests.kernel.lab.outcome import Answer, Evidence, answer, split
from tests.kernel.lab.reading import Read, is_chatter, tuple_of
from tests.kernel.lab.topology import Topology

RST = 4
Kind = tuple[str, ...]


def belongs_to(packet: Fields, ident: int) -> Callable[[Read], bool]:
    """Whether what was seen is this packet. Rewriting changes its addresses, never its id."""
    version, protocol = 6 if ":" in packet["src"] else 4, number_of(packet["proto"])

    def belongs(seen: Read) -> bool:
        same = (seen["v"], seen["id"], seen["proto"]) == (version, ident, protocol)
        return same and ("icmp_type" not in seen or seen["icmp_type"] == packet.get("icmp_type"))

    return belongs


def _answers(packet: Fields, ident: int) -> Callable[[Read], Kind | None]:
    """The kind of answer of the host to this packet that something seen is; None: none."""

    def kind(seen: Read) -> Kind | None:
        if seen.get("inner_id") == ident:
            return ("icmp-error", str(seen["icmp_type"]), str(seen["icmp_code"]))
        is_reset = seen["proto"] == number_of("tcp") and seen.get("flags", 0) & RST and seen["id"] != ident
        return ("tcp-reset",) if is_reset and packet["proto"] == "tcp" else None

    return kind


def result_of(
    packet: Fields, ident: int, traffic: Traffic, error: int, topology: Topology
) -> tuple[Answer, dict[str, Any]]:
    """The answer about ``packet``, and the result with everything else that a case says. ``error``: errno of send()."""
    mine, kind = belongs_to(packet, ident), _answers(packet, ident)
    others = traffic.of(lambda seen: not mine(seen))
    kinds = list(dict.fromkeys(k for seen in others.seen() if (k := kind(seen.packet))))
    strange = [s.packet for s in others.seen() if not kind(s.packet) and not is_chatter(s.packet)]
    if strange := [tuple_of(p) for p in strange if not (kinds and "inner_id" in p)]:
        raise LabError(f"packets of nobody: {strange}")
    replies = [_reply(_of_kind(others, kind, each), each[0], topology) for each in kinds]
    found = answer(_evidence(traffic.of(mine), error), topology, replies)
    result: dict[str, Any] = {"packet": packet}
    if packet["from"] != "host":
        result["in_iface"] = topology.endpoints[packet["from"]].interface["name"]
    if found.ctstate:
        result["ctstate"] = found.ctstate
    if found.reply is not None:
        result["ctdir"] = "reply" if found.reply else "original"
    result |= {"steps": [step.json() for step in found.steps], "hops": list(found.hops)}
    if error and found.outcome["kind"] in ("dropped", "rejected"):
        result["errno"] = errno.errorcode.get(error, str(error))
    result["outcome"] = found.outcome
    return found, result | ({"replies": replies} if replies else {})


def _of_kind(traffic: Traffic, kind: Callable[[Read], Kind | None], wanted: Kind) -> Traffic:
    return traffic.of(lambda seen: kind(seen) == wanted)


def _evidence(traffic: Traffic, error: int = 0) -> Evidence:
    visits, checkpoints = split(traffic.visits)
    return Evidence(visits + joined(traffic.lines), checkpoints, traffic.captures, traffic.drops, error)


def _reply(traffic: Traffic, kind: str, topology: Topology) -> dict[str, Any]:
    """An answer of the host itself, with its own way out."""
    ends = tuple_of(next(traffic.seen()).packet)
    if not traffic.visits and traffic.captures:
        # A reset for a bridged packet leaves by the port that the packet came in by, past all hooks.
        capture = traffic.captures[0]
        to = topology.at(capture.device, capture.dst_mac)
        outcome = {"kind": "sent", "iface": topology.interface_of(capture.device), "to": to.name if to else None}
        return {"type": kind, **ends, "steps": [], "outcome": outcome | {"unhooked": True, "tuple": ends}}
    found = answer(_evidence(traffic)._replace(drops=[]), topology, [])
    return {"type": kind, **ends, "steps": [s.json() for s in found.steps], "outcome": found.outcome}
