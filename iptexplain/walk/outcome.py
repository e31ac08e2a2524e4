"""What a trace answers: the steps, and how it ended."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.rules.model import Place
from iptexplain.walk.conntrack import Connection
from iptexplain.walk.decide import Unknown
from iptexplain.walk.packet import Packet
from iptexplain.walk.table import Step


class Outcome(NamedTuple):
    """How it ended. ``kind``: delivered-local, forwarded, sent, dropped, rejected or unknown (then ``branches``).

    ``by`` is the rule or policy that decided, or the kernel's own reason as text; ``fields`` the packet at the end.
    """

    kind: str
    by: Place | str | None
    interface: str | None
    fields: dict[str, Any]
    answer: str | None = None
    """What a rejected packet's sender is told: "tcp-reset", "icmp 3/3"…"""
    bridged: bool = False
    branches: tuple[Outcome, ...] = ()

    def same_end(self, other: Outcome) -> bool:
        return (self.kind, self.interface, self.answer, _ends(self)) == (
            other.kind,
            other.interface,
            other.answer,
            _ends(other),
        )


def _ends(outcome: Outcome) -> Any:
    if outcome.kind in ("dropped", "rejected"):
        return None
    return tuple(outcome.fields.get(k) for k in ("src", "dst", "sport", "dport"))


class Trace(NamedTuple):
    """A packet, the steps it took and how it ended; ``unknowns``: the conditions that nobody could decide on the way."""

    packet: Packet
    steps: tuple[Step, ...]
    outcome: Outcome
    connection: Connection | None
    state: str | None
    reply: bool
    unknowns: tuple[Unknown, ...] = ()
