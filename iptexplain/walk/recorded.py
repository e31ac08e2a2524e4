"""Packets put together from the events of the kernel's TRACE lines (walk/kernel_log.py)."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Any, NamedTuple

from iptexplain.rules.answer import Backend
from iptexplain.rules.values import Family
from iptexplain.walk.hooks import HOOKS
from iptexplain.walk.kernel_log import Event, Header

NEXT_HOOKS: dict[str, tuple[str, ...]] = {
    "PREROUTING": ("INPUT", "FORWARD", "POSTROUTING"),
    "INPUT": (),
    "FORWARD": ("POSTROUTING",),
    "OUTPUT": ("POSTROUTING",),
    "POSTROUTING": (),
}
"""Where a packet can be seen after a hook; one that has no chains is not seen."""

ENDED = ("ACCEPT", "DROP", "QUEUE", "STOLEN")
"""The verdicts after which a table asks no further rule."""

ALIKE = 4
"""How many packets that look alike (an IPv6 connection's acknowledgements) are taken to be on their way at a time."""


class Run:
    """One packet's way through one table at one hook (None where the log begins too late to tell)."""

    def __init__(self, first: Event, header: Header | None) -> None:
        self.table, self.header = first.table, header
        self.hook: str | None = None
        self.events: list[Event] = []
        self.add(first)

    def add(self, event: Event) -> None:
        self.events.append(event)
        if event.is_base:
            self.hook = event.chain

    @property
    def last(self) -> Event:
        return self.events[-1]

    def goes_on_with(self, event: Event) -> bool:
        """Whether ``event`` can be the next one of this run: a base chain is entered only once."""
        ended = event.backend is Backend.NFT and (self.last.kind == "policy" or self.last.verdict in ENDED)
        if event.table != self.table or ended:
            return False
        if not event.is_base or self.hook is None:
            return True
        before = next((e for e in reversed(self.events) if e.is_base), None)
        return event.chain == self.hook and not (before and event.number and event.number <= before.number)


class Recorded:
    """One packet of a log: its runs, in order."""

    def __init__(self, first: Run) -> None:
        self.runs = [first]

    @property
    def family(self) -> Family:
        return self.runs[0].last.family

    @property
    def headers(self) -> list[Header]:
        return [r.header for r in self.runs if r.header]

    @property
    def events(self) -> list[Event]:
        return [e for r in self.runs for e in r.events]

    def goes_on_with(self, run: Run) -> bool:
        """Whether ``run`` can be the next one of this packet."""
        before = self.runs[-1]
        known = self.headers[-1] if self.headers else None
        if before.last.verdict == "DROP" or (known and run.header and not meets(known, run.header)):
            return False
        if before.hook is None or run.hook is None:
            return before.hook is None and run.table != before.table
        if before.hook == run.hook:
            seen = [r.table for r in self.runs if r.hook == run.hook]
            order = HOOKS[run.hook]
            return run.table not in seen and (run.hook == "INPUT" or order.index(run.table) > order.index(before.table))
        return run.hook in NEXT_HOOKS[before.hook] or (run.hook == "PREROUTING" and self._through_loopback(run))

    def _through_loopback(self, run: Run) -> bool:
        """What this host sends to itself comes in again by lo."""
        comes_in = run.header and run.header.fields["iif"] == "lo"
        return bool(comes_in) and self.runs[0].hook == "OUTPUT" and all(r.hook != "PREROUTING" for r in self.runs)


def meets(one: Header, other: Header) -> bool:
    """Whether both show the same packet: NAT changes one end of it at a time."""
    a, b = one.fields, other.fields
    return one.same == other.same and any(
        (a[end], a.get(port)) == (b[end], b.get(port)) for end, port in (("src", "sport"), ("dst", "dport"))
    )


def recorded(events: Iterable[Event]) -> list[Recorded]:
    """The packets of a log in the order of their first lines.

    xtables-monitor's trace id alone does not tell a packet: it can change on the way (it is computed from where the packet lies
    in memory, nf_tables_trace.c), and the next packet of a connection often gets the same one. So the packet's own
    header and the order of the hooks decide, and the id only where both fit.
    """
    found: list[Recorded] = []
    by_id: dict[str, Recorded] = {}
    by_header: dict[Hashable, deque[Recorded]] = {}
    for run in _runs(events):
        same = run.header.same if run.header else None
        alike = by_header.setdefault(same, deque(maxlen=ALIKE)) if same else deque()
        candidates = [p for p in (by_id.get(run.last.trace_id), *reversed(alike)) if p]
        packet = next((p for p in candidates if p.goes_on_with(run)), None)
        if packet:
            packet.runs.append(run)
        else:
            packet = Recorded(run)
            found.append(packet)
        if packet not in alike:
            alike.append(packet)
        if run.last.trace_id:
            by_id[run.last.trace_id] = packet
    return found


def _runs(events: Iterable[Event]) -> list[Run]:
    """The events of one packet in one table at one hook belong together, whatever stands between them in the log."""
    found: list[Run] = []
    latest: dict[Any, Run] = {}
    waiting: dict[str, Header | None] = {}
    for event in events:
        key = event.trace_id or (event.header and event.header.same)
        run = latest.get(key)
        if event.kind == "packet":
            # Before iptables 1.8.7 the packet stands below the first line of a run, later above it.
            above = run and run is found[-1] and len(run.events) == 1 and run.last.line == event.line - 1
            if run and above and run.header is None:
                run.header = event.header
            else:
                waiting[event.trace_id] = event.header
            continue
        if event.kind == "return" and event.is_base:
            continue  # the line of the policy follows
        shown = waiting.pop(event.trace_id, None)
        if run and not shown and run.goes_on_with(event):
            run.add(event)
        else:
            latest[key] = Run(event, shown or event.header)
            found.append(latest[key])
    return found


class Kin(NamedTuple):
    """The packet of the log (its number, from 1) whose connection another one belongs to, and how.

    ``relation``: later, answer, error (an ICMP error about it), or again (the same SYN once more).
    """

    number: int
    relation: str


def kin(packets: list[Recorded]) -> list[Kin | None]:
    """For each packet the one before it with whose ends it goes together, either way and before or after NAT."""
    came: dict[Hashable, int] = {}
    went: dict[Hashable, int] = {}
    found: list[Kin | None] = []
    for number, packet in enumerate(packets, 1):
        first, last, about = _ends(packet)
        earlier = (
            ("later", came.get(first)),
            ("answer", went.get(_turned(first)) or came.get(_turned(last))),
            ("error", went.get(about) or came.get(about)),
        )
        one = next((Kin(n, relation) for relation, n in earlier if n), None)
        if one and one.relation == "later" and _opens(packet) and _opens(packets[one.number - 1]):
            one = one._replace(relation="again")
        if one is None and first and last:
            came.setdefault(first, number)
            went.setdefault(last, number)
        found.append(one)
    return found


Ends = tuple[str | None, tuple[Any, int], tuple[Any, int]]


def _ends(packet: Recorded) -> tuple[Ends | None, Ends | None, Ends | None]:
    """The packet's ends where it is seen first and last, and those of the packet that it is an error about."""
    shown = packet.headers
    if not shown:
        return None, None, None
    return _tuple(shown[0].fields), _tuple(shown[-1].fields), _tuple(shown[0].inner or {})


def _tuple(fields: dict[str, Any]) -> Ends | None:
    """Both addresses with their ports, or with the id of an echo; None where there is neither."""
    source, target = (fields.get(port, fields.get("icmp_id")) for port in ("sport", "dport"))
    if source is None or target is None:
        return None
    return fields.get("proto"), (fields["src"], source), (fields["dst"], target)


def _turned(ends: Ends | None) -> Ends | None:
    return ends and (ends[0], ends[2], ends[1])


def _opens(packet: Recorded) -> bool:
    return packet.headers[0].fields.get("flags") == frozenset({"SYN"})
