"""Netlink with netfilter: requests, and messages that the kernel sends by itself."""

from __future__ import annotations

import os
import select
import socket
import struct
import time
from collections.abc import Iterator

from tests.kernel.lab import LabError

NETLINK_NETFILTER, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, SO_RCVBUFFORCE = 12, 270, 1, 33
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
HEADER = struct.Struct("=IHHII")
PATIENCE = 10
"""Seconds until an answer is given up."""
ROOM = 64 << 20
"""Bytes of messages that may wait to be read."""


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, value) of each attribute."""
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            return
        yield kind & 0x3FFF, data[at + 4 : at + length]
        at += length + 3 & ~3


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def text(value: bytes) -> str:
    return value.split(b"\0", 1)[0].decode()


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + HEADER.size <= len(data):
        length, kind, _flags, _seq, _port = HEADER.unpack_from(data, at)
        if length < HEADER.size:
            return
        yield kind, data[at + HEADER.size : at + length]
        at += length + 3 & ~3


class Netlink:
    """A socket to netfilter in the namespace that the thread is in; ``group``: the messages that it listens to."""

    def __init__(self, group: int = 0) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
        self.socket.bind((0, 0))
        if group:
            self.socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        self.socket.setblocking(False)

    def request(self, kind: int, body: bytes, flags: int = NLM_F_ACK) -> list[bytes]:
        """Send a request; the messages up to its acknowledgement or the end of the dump. Raises OSError as the kernel says."""
        self.socket.send(HEADER.pack(HEADER.size + len(body), kind, NLM_F_REQUEST | flags, 1, 0) + body)
        found: list[bytes] = []
        end = time.monotonic() + PATIENCE
        while True:
            if not select.select([self.socket], [], [], max(0.0, end - time.monotonic()))[0]:
                raise LabError("netlink: no answer")
            for answer, data in _messages(self.socket.recv(1 << 18)):
                if answer == NLMSG_ERROR:
                    error = -struct.unpack_from("=i", data)[0]
                    if error:
                        raise OSError(error, f"netlink: {os.strerror(error)}")
                    return found
                if answer == NLMSG_DONE:
                    return found
                found.append(data)

    def waiting(self) -> Iterator[tuple[int, bytes]]:
        """(type, body) of the messages that lie there; does not wait for more."""
        while True:
            try:
                data = self.socket.recv(1 << 18)
            except BlockingIOError:
                return
            yield from _messages(data)

    def close(self) -> None:
        self.socket.close()
