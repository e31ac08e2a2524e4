"""Packets as bytes, from the fields of a case."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from ipaddress import ip_address
from typing import Any, NamedTuple

Fields = dict[str, Any]
"""A packet as a case writes it: src, dst, proto, sport, dport, flags ("SYN,ACK"), icmp_type, icmp_code, icmp_id, ttl, tos, payload_len …"""

PROTOCOLS = {
    "icmp": 1, "igmp": 2, "ipencap": 4, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "icmpv6": 58, "sctp": 132, "udplite": 136,
}  # fmt: skip
FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECE": 64, "CWR": 128}
ECHO_REQUEST = {"icmp": 8, "icmpv6": 128}
CHUNKS = {
    "DATA": 0, "INIT": 1, "INIT_ACK": 2, "SACK": 3, "HEARTBEAT": 4, "HEARTBEAT_ACK": 5, "ABORT": 6, "SHUTDOWN": 7,
    "SHUTDOWN_ACK": 8, "ERROR": 9, "COOKIE_ECHO": 10, "COOKIE_ACK": 11, "SHUTDOWN_COMPLETE": 14,
}  # fmt: skip
TAG = 0x1234
"""The verification tag of both sides of an SCTP connection."""
QUOTED = 8
"""Bytes of the transport header that an ICMP error quotes of the packet it is about."""


class Place(NamedTuple):
    """Where in its TCP connection a packet stands."""

    seq: int = 0
    ack: int = 0


def number_of(protocol: str) -> int:
    """The number of a protocol that is told by name or by number."""
    return PROTOCOLS[protocol] if protocol in PROTOCOLS else int(protocol)


def flag_bits(text: str | None) -> int:
    """The TCP flags of "SYN,ACK" as bits; none in "" and "NONE"."""
    return sum(FLAGS[name] for name in (text or "").upper().split(",") if name and name != "NONE")


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@cache
def _crc32c_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


def crc32c(data: bytes) -> int:
    """The checksum of SCTP (RFC 9260, appendix A)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _crc32c_table()[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _summed(fields: Fields, segment: bytes, at: int, pseudo: bool = True) -> bytes:
    """The segment with its checksum written at an offset; over the pseudo header as well where the protocol wants it."""
    head = b""
    if pseudo:
        src, dst = ip_address(fields["src"]).packed, ip_address(fields["dst"]).packed
        numbers = struct.pack("!IxxxB", len(segment), number_of(fields["proto"]))
        head = src + dst + numbers
    value = checksum(head + segment)
    if number_of(fields["proto"]) in (17, 136):
        value = value or 0xFFFF
    return segment[:at] + struct.pack("!H", value) + segment[at + 2 :]


def _payload(fields: Fields) -> bytes:
    return b"x" * int(fields.get("payload_len", 0))


def _tcp(fields: Fields, place: Place, _quoted: bytes) -> bytes:
    flags = flag_bits(fields.get("flags", "SYN"))
    options = bytes.fromhex(fields.get("tcp_options", ""))
    options += b"\0" * (-len(options) % 4)
    offset = (20 + len(options)) // 4 << 4
    urgent = 1 if flags & FLAGS["URG"] else 0
    numbers = (place.seq & 0xFFFFFFFF, place.ack & 0xFFFFFFFF, offset, flags, 64240, 0, urgent)
    header = struct.pack("!HHIIBBHHH", fields["sport"], fields["dport"], *numbers)
    return _summed(fields, header + options + _payload(fields), 16)


def _udp(fields: Fields, _place: Place, _quoted: bytes) -> bytes:
    data = _payload(fields)
    return _summed(fields, struct.pack("!HHHH", fields["sport"], fields["dport"], 8 + len(data), 0) + data, 6)


def _icmp(fields: Fields, _place: Place, quoted: bytes) -> bytes:
    kind = fields.get("icmp_type", ECHO_REQUEST[fields["proto"]])
    if quoted:
        rest = struct.pack("!I", fields.get("icmp_rest", 0)) + quoted
    else:
        rest = struct.pack("!HH", fields.get("icmp_id", 0), fields.get("icmp_seq", 1)) + _payload(fields)
    message = struct.pack("!BBH", kind, fields.get("icmp_code", 0), 0) + rest
    return _summed(fields, message, 2, pseudo=fields["proto"] == "icmpv6")


def _sctp(fields: Fields, _place: Place, _quoted: bytes) -> bytes:
    """One chunk in the shape of an INIT, whatever its type."""
    chunk = fields.get("sctp_chunk", CHUNKS["INIT"])
    tag = 0 if chunk == CHUNKS["INIT"] else TAG
    packet = struct.pack("!HHII", fields["sport"], fields["dport"], tag, 0)
    packet += struct.pack("!BBHIIHHI", chunk, 0, 20, TAG, 65536, 1, 1, 1)
    return packet[:8] + struct.pack("<I", crc32c(packet)) + packet[12:]


def _other(fields: Fields, _place: Place, _quoted: bytes) -> bytes:
    return _payload(fields) or bytes(16)


TRANSPORTS: dict[int, Callable[[Fields, Place, bytes], bytes]] = {
    1: _icmp, 6: _tcp, 17: _udp, 58: _icmp, 132: _sctp, 136: _udp,
}  # fmt: skip


def _internet(fields: Fields, ident: int, segment: bytes) -> bytes:
    """The IP header before a segment. ``ident`` is the IP id (16 bits), in IPv6 the flow label (20 bits)."""
    src, dst = ip_address(fields["src"]), ip_address(fields["dst"])
    protocol, ttl, tos = number_of(fields["proto"]), fields.get("ttl", 64), fields.get("tos", 0)
    if src.version == 6:
        head = struct.pack("!IHBB", 6 << 28 | tos << 20 | ident & 0xFFFFF, len(segment), protocol, ttl)
        return head + src.packed + dst.packed + segment
    fragments = 0x4000 if fields.get("df") else 0
    head = struct.pack("!BBHHHBBH", 0x45, tos, 20 + len(segment), ident & 0xFFFF, fragments, ttl, protocol, 0)
    head += src.packed + dst.packed
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + segment


def quoted(fields: Fields, place: Place = Place()) -> bytes:  # noqa: B008
    """What an ICMP error says of the packet it is about: its IP header and the first bytes of what follows."""
    segment = TRANSPORTS.get(number_of(fields["proto"]), _other)(fields, place, b"")
    header = 40 if ":" in fields["src"] else 20
    return _internet(fields, 0x0BAD, segment)[: header + QUOTED]


def build(fields: Fields, ident: int = 0, place: Place = Place(), about: Place = Place()) -> bytes:  # noqa: B008
    """The packet of ``fields`` as it goes over the wire, without link layer. ``about``: the place of the packet in ``inner``."""
    inner = quoted(fields["inner"], about) if "inner" in fields else b""
    segment = TRANSPORTS.get(number_of(fields["proto"]), _other)(fields, place, inner)
    return _internet(fields, ident, segment)
