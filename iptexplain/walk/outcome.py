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
    """What a rejected packet's sender is told: "tcp-reset", "icmp 3/3"…; None: nothing, as when there is no way back to it."""
    bridged: bool = False
    branches: tuple[Outcome, ...] = ()

    def same_end(self, other: Outcome, but: frozenset[str] = frozenset()) -> bool:
        """Whether both ended alike; the fields in ``but`` may differ."""
        mine, its = ((o.kind, o.interface, o.answer, _ends(o, but)) for o in (self, other))
        return mine == its


def _ends(outcome: Outcome, but: frozenset[str]) -> Any:
    if outcome.kind in ("dropped", "rejected"):
        return None
    return tuple(outcome.fields.get(k) for k in ("src", "dst", "sport", "dport") if k not in but)


class Trace(NamedTuple):
    """A packet, the steps it took and how it ended; ``unknowns``: the questions that nobody could decide on the way."""

    packet: Packet
    steps: tuple[Step, ...]
    outcome: Outcome
    connection: Connection | None
    state: str | None
    reply: bool
    unknowns: tuple[Unknown, ...] = ()
    bounded: bool = False
    """Whether there were more ways than are followed: an outcome that is not unknown is then that of all that were."""

    assumed: frozenset[str] = frozenset()
    """What would have been unknown, had nobody assumed something: names of matches and targets."""

    found: bool = True
    """Whether conntrack found the connection that the packet was said to belong to: not in another zone."""

    told: Trace | None = None
    """The answer that the host itself sends to the packet: a reset or an ICMP error."""

    settled: bool = True
    """Whether the same rule decides on every way that there is."""

    @property
    def passed(self) -> Place | None:
        """The last rule or policy of filter that let it pass."""
        found = [s.place for s in self.steps if s.place.table == "filter" and s.action == "ACCEPT"]
        return found[-1] if found else None
