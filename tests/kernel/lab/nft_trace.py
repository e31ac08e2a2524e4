"""The trace of nf_tables: what the kernel sends to the group of nft monitor trace."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping

from tests.kernel.lab import LabError
from tests.kernel.lab.netlink import NLM_F_DUMP, Netlink, attributes, text
from tests.kernel.lab.reading import read
from tests.kernel.lab.rules import Tables, action
from tests.kernel.lab.visits import OWN_TABLE, Step, Visit

SUBSYSTEM, GETRULE, TRACE = 10 << 8, 7, 17
GROUP = 9
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
TABLE, CHAIN, HANDLE, KIND, VERDICT, ID, NETWORK, TRANSPORT, IIF, OIF, MARK, POLICY, CT_DIRECTION, CT_STATE = (
    1, 2, 3, 4, 5, 6, 8, 9, 10, 12, 14, 16, 19, 21,
)  # fmt: skip
"""Attributes of a trace event (enum nft_trace_attributes)."""
POLICY_EVENT = 1
DROP, ACCEPT = 0, 1
LAST_OWN_VERDICT = 0xFFFFFFFB
"""nf_tables' own verdicts (continue, break, jump, goto, return) are -1 to -5."""
STATES = ((1, "INVALID"), (2, "ESTABLISHED"), (4, "RELATED"), (8, "NEW"), (64, "UNTRACKED"))
"""Bits of the state of a connection (NF_CT_STATE_BIT)."""

Positions = dict[tuple[str, int], tuple[str, int]]
"""(table, handle of a rule) → (chain, number of the rule in it)."""


def _number(value: bytes) -> int:
    return int.from_bytes(value, "big")


def positions(netlink: Netlink, family: int, tables: Tables) -> Positions:
    """Where each rule of the dump stands by its handle; raises LabError where kernel and dump count differently."""
    found: Positions = {}
    counted: dict[tuple[str, str], int] = {}
    for message in netlink.request(SUBSYSTEM | GETRULE, struct.pack("!BBH", FAMILIES[family], 0, 0), NLM_F_DUMP):
        values = dict(attributes(message[4:]))
        table, chain = text(values[1]), text(values[2])
        number = counted[table, chain] = counted.get((table, chain), 0) + 1
        found[table, _number(values[3])] = (chain, number)
    for table, chains in tables.items():
        for chain, (_, rules) in chains.items():
            loaded = counted.get((table, chain), 0)
            if loaded != len(rules):
                raise LabError(f"{table} {chain}: {len(rules)} rules in the dump, {loaded} loaded")
    return found


class NftTrace:
    """Reads trace events into visits. ``links``: the interfaces' names by their index."""

    def __init__(self, tables: Mapping[int, Tables], links: Mapping[int, str], rules: Mapping[int, Positions]) -> None:
        self.netlink = Netlink(GROUP)
        self._tables, self._links, self._rules = tables, links, rules
        self._open: dict[bytes, Visit] = {}

    def drain(self) -> list[Visit]:
        """The visits that began since the last call; later events add their steps to them."""
        begun = []
        for kind, message in self.netlink.waiting():
            if kind != SUBSYSTEM | TRACE:
                continue
            event = dict(attributes(message[4:]))
            if NETWORK in event:
                visit = self._visit(event)
                if visit is None:
                    continue
                self._open[event[ID]] = visit
                begun.append(visit)
            elif event[ID] not in self._open:
                raise LabError("a trace event whose packet was not told before")
            self._add(self._open[event[ID]], event, 6 if message[0] == socket.AF_INET6 else 4)
        return begun

    def forget(self) -> None:
        """The packets so far are gone; their numbers may come again."""
        self._open.clear()

    def _visit(self, event: dict[int, bytes]) -> Visit | None:
        packet = read(event[NETWORK], event.get(TRANSPORT, b""))
        if packet is None:
            return None
        state = _number(event.get(CT_STATE, b""))
        return Visit(
            text(event[TABLE]),
            text(event[CHAIN]),
            packet,
            self._links.get(_number(event.get(IIF, b""))),
            self._links.get(_number(event.get(OIF, b""))),
            _number(event.get(MARK, b"")),
            next((name for bit, name in STATES if state & bit), None),
            bool(event[CT_DIRECTION][0]) if CT_DIRECTION in event else None,
        )

    def _add(self, visit: Visit, event: dict[int, bytes], family: int) -> None:
        if visit.table == OWN_TABLE:
            return
        verdict, chain = self._verdict(event), text(event[CHAIN])
        if _number(event[KIND]) == POLICY_EVENT:
            name = {DROP: "DROP", ACCEPT: "ACCEPT"}[verdict]
            visit.steps.append(Step(visit.table, chain, "policy", name, verdict == DROP))
        elif HANDLE in event:
            place, number = self._rules[family][visit.table, _number(event[HANDLE])]
            if place != chain:
                raise LabError(f"{visit.table}: a rule of {place} was traced in {chain}")
            does = action(self._tables[family], visit.table, chain, number)
            visit.steps.append(Step(visit.table, chain, number, does, verdict == DROP))

    def _verdict(self, event: dict[int, bytes]) -> int:
        """DROP, ACCEPT or what else a rule or policy said. A drop can carry an error in its upper half."""
        said = dict(attributes(event[VERDICT]))[1] if VERDICT in event else event.get(POLICY, b"")
        return _number(said) if _number(said) >= LAST_OWN_VERDICT else _number(said) & 0xFF
