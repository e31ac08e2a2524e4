"""Packets read back from their bytes, as far as a case speaks of them."""

from __future__ import annotations

import socket
import struct
from typing import Any

from tests.kernel.lab.building import PROTOCOLS

Read = dict[str, Any]
"""v, src, dst, proto (a number), id, ttl, tos, len and what the protocol has: sport, dport, flags, icmp_type, inner_id …"""

NAMES = {number: name for name, number in PROTOCOLS.items()}
WITH_PORTS = (6, 17, 132, 136)
SHOWN = ("sport", "dport", "icmp_type", "icmp_code", "icmp_id")
ICMP_ERRORS = (3, 4, 5, 11, 12)
FIRST_INFORMATIONAL = 128
"""ICMPv6 types below are errors."""
CHATTER = (130, 131, 132, 133, 134, 135, 136, 137, 143)
"""ICMPv6 types of multicast listeners, neighbour discovery and redirects."""


def read(data: bytes, transport: bytes | None = None) -> Read | None:
    """The packet at the start of ``data``; None when there is none. ``transport``: what follows the IP header, if it lies apart."""
    if len(data) < 20 or data[0] >> 4 not in (4, 6) or (data[0] >> 4 == 6 and len(data) < 40):
        return None
    found, header = _internet(data)
    _transport(found, data[header:] if transport is None else transport)
    return found


def _internet(data: bytes) -> tuple[Read, int]:
    """The fields of the IP header, and its length in bytes."""
    if data[0] >> 4 == 4:
        length, ident = struct.unpack("!HH", data[2:6])
        fields = {"v": 4, "tos": data[1], "len": length, "id": ident, "ttl": data[8], "proto": data[9]}
        src, dst = (socket.inet_ntop(socket.AF_INET, data[at : at + 4]) for at in (12, 16))
        return fields | {"src": src, "dst": dst}, (data[0] & 15) * 4
    word, length = struct.unpack("!IH", data[:6])
    fields = {
        "v": 6,
        "tos": word >> 20 & 255,
        "len": 40 + length,
        "id": word & 0xFFFFF,
        "ttl": data[7],
        "proto": data[6],
    }
    src, dst = (socket.inet_ntop(socket.AF_INET6, data[at : at + 16]) for at in (8, 24))
    return fields | {"src": src, "dst": dst}, 40


def _transport(found: Read, data: bytes) -> None:
    protocol = found["proto"]
    if protocol in WITH_PORTS and len(data) >= 4:
        found["sport"], found["dport"] = struct.unpack("!HH", data[:4])
        if protocol == 6 and len(data) >= 14:
            found["flags"] = data[13]
    if protocol not in (1, 58) or len(data) < 4:
        return
    found["icmp_type"], found["icmp_code"] = data[0], data[1]
    if data[0] in ICMP_ERRORS if protocol == 1 else data[0] < FIRST_INFORMATIONAL:
        found["inner_id"] = _ident(data[8:])
    elif len(data) >= 8:
        found["icmp_id"] = struct.unpack("!H", data[4:6])[0]


def _ident(quoted: bytes) -> int | None:
    """The id of the packet that an ICMP error quotes, of which a trace may have the first bytes only."""
    if len(quoted) < 8:
        return None
    head, ident = struct.unpack("!IH", quoted[:6])
    return int(ident if head >> 28 == 4 else head & 0xFFFFF)


def tuple_of(found: Read) -> dict[str, Any]:
    """What names a packet in an answer: protocol, addresses, ports or ICMP's numbers."""
    ends = {"proto": NAMES.get(found["proto"], str(found["proto"])), "src": found["src"], "dst": found["dst"]}
    return ends | {key: found[key] for key in SHOWN if key in found}


def is_chatter(found: Read | None) -> bool:
    """IGMP, multicast listener and neighbour discovery: what a host says of itself, and no answer to anybody."""
    return found is None or found["proto"] in (0, 2) or (found["proto"] == 58 and found.get("icmp_type") in CHATTER)
