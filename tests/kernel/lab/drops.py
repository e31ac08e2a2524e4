"""Why the kernel threw a packet away: the tracepoint skb/kfree_skb, read as a performance event of this thread.

tracefs is mounted without a place in any tree, so that neither it nor the event outlives the process.
"""

from __future__ import annotations

import bisect
import ctypes
import mmap
import os
import platform
import re
import struct
from functools import cache
from pathlib import Path
from typing import NamedTuple

FSOPEN, FSCONFIG, FSMOUNT = 430, 431, 432
PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241, "riscv64": 241, "s390x": 331, "ppc64le": 319}
FSCONFIG_CMD_CREATE = 6
PERF_TYPE_TRACEPOINT, PERF_SAMPLE_RAW, PERF_RECORD_SAMPLE = 2, 1 << 10, 9
HEAD, TAIL = 1024, 1032
"""Offsets of data_head and data_tail in the event's first page (struct perf_event_mmap_page)."""
PAGES = 64
INTERNET = (0x0800, 0x86DD)

_libc = ctypes.CDLL(None, use_errno=True)


class Drop(NamedTuple):
    """The reason as the kernel names it, and the function that gave up."""

    reason: str
    location: str


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


class Drops:
    """Hears of the packets that the kernel drops while this thread runs. Where events are not allowed it hears nothing."""

    def __init__(self) -> None:
        self._ring: mmap.mmap | None = None
        try:
            self._open()
        except (OSError, KeyError):
            return

    def _open(self) -> None:
        event, form = tracepoint()
        self._at = {name: int(at) for name, at in re.findall(r"\b(location|protocol|reason);\toffset:(\d+)", form)}
        self._reasons = {int(number): name for number, name in re.findall(r'\{ (\d+), "(\w+)" \}', form)}
        attr = struct.pack("=IIQQQ", PERF_TYPE_TRACEPOINT, 128, event, 1, PERF_SAMPLE_RAW).ljust(128, b"\0")
        fd = _call(PERF_EVENT_OPEN[platform.machine()], attr, 0, -1, -1, 0)
        self._ring = mmap.mmap(fd, (1 + PAGES) * mmap.PAGESIZE)
        os.close(fd)

    def close(self) -> None:
        if self._ring:
            self._ring.close()

    def drain(self) -> list[Drop]:
        """The drops of IP packets since the last call."""
        if self._ring is None:
            return []
        head, at = struct.unpack_from("=QQ", self._ring, HEAD)
        found = []
        while at < head:
            kind, _misc, size = struct.unpack("=IHH", self._bytes(at, 8))
            if kind == PERF_RECORD_SAMPLE:
                sample = self._bytes(at + 12, size - 12)
                if struct.unpack_from("=H", sample, self._at["protocol"])[0] in INTERNET:
                    found.append(self._drop(sample))
            at += size
        struct.pack_into("=Q", self._ring, TAIL, at)
        return found

    def _bytes(self, at: int, size: int) -> bytes:
        """Bytes of the ring, which may go around its end."""
        assert self._ring is not None
        room = PAGES * mmap.PAGESIZE
        start = mmap.PAGESIZE + at % room
        first = self._ring[start : min(start + size, mmap.PAGESIZE + room)]
        return first + self._ring[mmap.PAGESIZE : mmap.PAGESIZE + size - len(first)]

    def _drop(self, sample: bytes) -> Drop:
        reason = struct.unpack_from("=I", sample, self._at["reason"])[0]
        location = struct.unpack_from("=Q", sample, self._at["location"])[0]
        return Drop(self._reasons.get(reason, str(reason)), _symbol(location))


@cache
def tracepoint() -> tuple[int, str]:
    """The event's number and its format; raises OSError where tracefs cannot be mounted."""
    filesystem = _call(FSOPEN, b"tracefs", 0)
    _call(FSCONFIG, filesystem, FSCONFIG_CMD_CREATE, None, None, 0)
    mount = _call(FSMOUNT, filesystem, 0, 0)
    texts = []
    for name in ("id", "format"):
        with open(os.open(f"events/skb/kfree_skb/{name}", os.O_RDONLY, dir_fd=mount)) as file:
            texts.append(file.read())
    os.close(mount)
    os.close(filesystem)
    return int(texts[0]), texts[1]


@cache
def _symbols() -> tuple[list[int], list[str]]:
    lines = [line.split() for line in Path("/proc/kallsyms").read_text().splitlines()]
    found = sorted((int(address, 16), name) for address, _, name, *_ in lines)
    return [address for address, _ in found], [name for _, name in found]


def _symbol(address: int) -> str:
    addresses, names = _symbols()
    at = bisect.bisect(addresses, address) - 1
    return names[at] if at >= 0 else ""
