"""Packets that follow an earlier one: answers, later packets of the same connection, ICMP errors about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.kernel.lab.building import CHUNKS, Fields, Place, flag_bits
from tests.kernel.lab.outcome import Answer

ENDS = ("from", "src", "dst", "sport", "dport", "icmp_id", "icmp_type", "icmp_code", "dst_mac", "src_mac")
QUOTED = ("src", "dst", "sport", "dport", "proto", "icmp_type", "icmp_code", "icmp_id", "flags")
ICMP_REPLIES = {8: 0, 13: 14, 15: 16, 17: 18, 128: 129}
SYN, ACK, FIN_OR_SYN = 2, 16, 3
FIRST = (1000, 900000)
"""The first sequence numbers of the two sides of a connection."""


@dataclass
class Flow:
    """What both sides of a connection have sent so far: the next sequence number of its opener, and of the other."""

    seq: list[int] = field(default_factory=lambda: list(FIRST))
    last: list[int] = field(default_factory=lambda: [0, 0])
    """How much of that each side's last packet was."""

    def place(self, way: int, flags: int, again: bool = False) -> Place:
        """``again``: the packet repeats the one before."""
        return Place(self.seq[way] - (self.last[way] if again else 0), self.seq[1 - way] if flags & ACK else 0)

    def sent(self, way: int, fields: Fields) -> None:
        if not fields.get("again"):
            self.last[way] = int(fields.get("payload_len", 0)) + bool(flag_bits(fields.get("flags")) & FIN_OR_SYN)
            self.seq[way] += self.last[way]


class Sent(NamedTuple):
    """A packet that was sent, its answer, and its place: ``way`` 0 goes with the connection's opener, 1 against it."""

    fields: Fields
    answer: Answer
    flow: Flow
    way: int


class Skipped(NamedTuple):
    """A packet that could not be sent, and why."""

    why: str


def following(packet: Fields, earlier: Sent | Skipped) -> tuple[Fields, Flow, int] | Skipped:
    """The whole packet that ``packet`` (with ``after`` and perhaps ``dir``, and the fields it states) stands for."""
    if isinstance(earlier, Skipped):
        return Skipped(f"packet {packet['after']} was skipped")
    way = packet.get("dir", "reply")
    made = _same(earlier) if way == "same" else _back(packet, earlier)
    if isinstance(made, Skipped):
        return made
    if earlier.fields["proto"] != "tcp":
        made.pop("flags", None)
    fields = made | {key: value for key, value in packet.items() if key != "dir"} | {"dir": way}
    return fields, earlier.flow, earlier.way if way == "same" else 1 - earlier.way


def _same(earlier: Sent) -> Fields:
    kept = {key: earlier.fields[key] for key in ENDS if key in earlier.fields}
    return {"proto": earlier.fields["proto"], **kept, "flags": "ACK"}


def _back(packet: Fields, earlier: Sent) -> Fields | Skipped:
    outcome, ends = earlier.answer.outcome, earlier.answer.outcome.get("tuple", {})
    sender = "host" if outcome["kind"] == "delivered-local" else outcome.get("to")
    if outcome["kind"] not in ("delivered-local", "forwarded", "sent") or not sender:
        return Skipped(f"packet {packet['after']} did not arrive anywhere")
    fields: dict[str, Any] = {"from": sender, "src": ends["dst"], "dst": ends["src"]}
    if earlier.answer.routed and sender != "host":
        fields["dst_mac"] = "host"  # the sender saw the host's MAC address, and answers to that
    if "icmp_error" in packet:
        relayed = {"src": packet["relay"]} if "relay" in packet and sender != "host" else {}
        return fields | relayed | _error(packet, {**earlier.fields, **ends})
    fields["proto"] = earlier.fields["proto"]
    if "sport" in ends:
        fields |= {"sport": ends["dport"], "dport": ends["sport"]}
    if "icmp_type" in ends:
        if ends["icmp_type"] not in ICMP_REPLIES:
            return Skipped(f"nothing answers ICMP type {ends['icmp_type']}")
        fields |= {"icmp_type": ICMP_REPLIES[ends["icmp_type"]], "icmp_code": 0, "icmp_id": ends["icmp_id"]}
    flags = flag_bits(earlier.fields.get("flags"))
    fields["flags"] = "SYN,ACK" if flags & SYN and not flags & ACK else "ACK"
    if fields["proto"] == "sctp":
        fields["sctp_chunk"] = CHUNKS["INIT_ACK"]
    return fields


def _error(packet: Fields, about: Fields) -> Fields:
    kind, code = packet["icmp_error"]
    inner = {key: about[key] for key in QUOTED if key in about}
    return {"proto": "icmpv6" if ":" in about["src"] else "icmp", "icmp_type": kind, "icmp_code": code, "inner": inner}
