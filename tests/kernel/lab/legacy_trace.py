"""The trace of x_tables: its TRACE lines, which nfnetlink_log is made to send instead of the kernel's log."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping

from tests.kernel.lab.netlink import Netlink, attribute, attributes, text
from tests.kernel.lab.netns import NetNS
from tests.kernel.lab.reading import read
from tests.kernel.lab.rules import Tables, action
from tests.kernel.lab.visits import Step, Visit

SUBSYSTEM, PACKET, CONFIG = 4 << 8, 0, 1
COMMAND, MODE, QUEUE_THRESHOLD = 1, 2, 5
BIND, PF_BIND = b"\x01", b"\x03"
COPY_PACKET = 2
COPIED = 128
"""Bytes of each packet that are sent along."""
PACKET_HEADER, MARK, PAYLOAD, PREFIX = 1, 2, 9, 10
HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")


class LegacyTrace:
    """Reads TRACE lines into visits; to be made in the namespace whose packets are traced."""

    def __init__(self, namespace: NetNS, tables: Mapping[int, Tables]) -> None:
        self._tables = tables
        self.netlink = Netlink()
        for family in (socket.AF_INET, socket.AF_INET6):
            namespace.sysctl(f"net/netfilter/nf_log/{int(family)}", "nfnetlink_log")
            self._configure(family, COMMAND, PF_BIND)
        self._configure(0, COMMAND, BIND)
        self._configure(0, MODE, struct.pack("!IBB", COPIED, COPY_PACKET, 0))
        self._configure(0, QUEUE_THRESHOLD, struct.pack("!I", 1))

    def _configure(self, family: int, kind: int, value: bytes) -> None:
        self.netlink.request(SUBSYSTEM | CONFIG, struct.pack("!BBH", family, 0, 0) + attribute(kind, value))

    def drain(self) -> list[Visit]:
        """The visits since the last call. Each is of one line; ``joined`` makes them whole."""
        found = []
        for kind, message in self.netlink.waiting():
            values = dict(attributes(message[4:]))
            prefix = text(values.get(PREFIX, b""))
            packet = read(values.get(PAYLOAD, b""))
            if kind != SUBSYSTEM | PACKET or not prefix.startswith("TRACE: ") or packet is None:
                continue
            hook = HOOKS[values[PACKET_HEADER][2]]
            table, chain, kind_of, number = prefix.removeprefix("TRACE: ").strip().split(":")
            step = self._step(packet["v"], table, chain, kind_of, int(number))
            found.append(Visit(table, hook, packet, steps=[step] if step else []))
        return found

    def _step(self, family: int, table: str, chain: str, kind: str, number: int) -> Step | None:
        """The step that a line tells of. x_tables calls every unconditional ACCEPT, DROP and RETURN rule "policy" or
        "return"; the real policy, and the return at a chain's end, have the number after the last rule."""
        tables = self._tables[family]
        policy, rules = tables[table][chain]
        if number <= len(rules):
            does = action(tables, table, chain, number)
            return Step(table, chain, number, does, does in ("DROP", "REJECT"))
        return Step(table, chain, "policy", policy, policy == "DROP") if kind == "policy" and policy else None


def joined(lines: list[Visit]) -> list[Visit]:
    """One visit for each table at each hook, of the lines of one packet."""
    visits: list[Visit] = []
    for line in lines:
        if visits and (visits[-1].table, visits[-1].chain) == (line.table, line.chain):
            visits[-1].steps += line.steps
        else:
            visits.append(line)
    return visits
