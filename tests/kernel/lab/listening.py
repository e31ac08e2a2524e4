"""Everything that is seen while a packet is under way: both traces, the far ends of the interfaces, the kernel's drops."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.kernel.lab.drops import Drop, Drops
from tests.kernel.lab.legacy_trace import LegacyTrace
from tests.kernel.lab.nft_trace import NftTrace
from tests.kernel.lab.outcome import Capture
from tests.kernel.lab.reading import Read, read
from tests.kernel.lab.visits import Visit

ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 0x0003, 0x0800, 0x86DD
SO_RCVBUFFORCE = 33
WAIT, LOOKS = 0.004, 3
"""Seconds to wait for something to be seen, and after how many vain looks nothing more will come."""
LINK_HEADER = 14


@dataclass
class Traffic:
    """What was seen, of all packets."""

    visits: list[Visit] = field(default_factory=list)
    lines: list[Visit] = field(default_factory=list)
    """Of the legacy trace; each has one line of it."""
    captures: list[Capture] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)

    def seen(self) -> Iterator[Visit | Capture]:
        yield from self.visits
        yield from self.lines
        yield from self.captures

    def of(self, chosen: Callable[[Read], bool]) -> Traffic:
        """The part that is about the chosen packets. Nobody knows which packet was dropped: the drops are all there."""
        return Traffic(
            [v for v in self.visits if chosen(v.packet)],
            [v for v in self.lines if chosen(v.packet)],
            [c for c in self.captures if chosen(c.packet)],
            self.drops,
        )


class Listening:
    """To be made in the namespace where the far ends of the interfaces are."""

    def __init__(self, trace: NftTrace, legacy: LegacyTrace | None) -> None:
        self.trace, self.legacy, self.drops = trace, legacy, Drops()
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self.wire.setblocking(False)
        self._sockets = [self.wire, trace.netlink.socket, *([legacy.netlink.socket] if legacy else [])]

    def close(self) -> None:
        for each in self._sockets:
            each.close()
        self.drops.close()

    def begin(self) -> Traffic:
        """What is left of the packet before. From now on it is about the next one."""
        left = Traffic()
        self._collect(left)
        self.trace.forget()
        return left

    def watch(self, is_over: Callable[[Traffic], bool]) -> Traffic:
        """All that is seen of a packet that was just sent. The kernel does nearly everything inside send(); for what it
        does later this waits, until ``is_over`` or nothing comes any more."""
        traffic, vain = Traffic(), 0
        while vain < LOOKS:
            vain += not self._collect(traffic)
            if traffic.drops or is_over(traffic):
                self._collect(traffic)
                break
            vain += not select.select(self._sockets, [], [], WAIT)[0]
        return traffic

    def _collect(self, traffic: Traffic) -> bool:
        """Take over what lies there; whether there was anything."""
        visits = self.trace.drain()
        lines = self.legacy.drain() if self.legacy else []
        captures = list(self._captures())
        traffic.visits += visits
        traffic.lines += lines
        traffic.captures += captures
        traffic.drops += self.drops.drain()
        return bool(visits or lines or captures)

    def _captures(self) -> Iterator[Capture]:
        while True:
            try:
                frame, (device, _, direction, *_) = self.wire.recvfrom(65536)
            except BlockingIOError:
                return
            kind = struct.unpack("!H", frame[12:LINK_HEADER])[0]
            packet = read(frame[LINK_HEADER:]) if kind in (ETH_P_IP, ETH_P_IPV6) else None
            if packet and direction != socket.PACKET_OUTGOING:
                yield Capture(device, frame[6:12].hex(":"), frame[:6].hex(":"), packet)
