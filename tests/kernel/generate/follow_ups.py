"""What follows a first packet: answers, later packets, resets, ICMP errors about it."""

from __future__ import annotations

from random import Random
from typing import Any

Packet = dict[str, Any]
UNREACHABLE = {4: {"host": [3, 1], "port": [3, 3]}, 6: {"host": [1, 3], "port": [1, 4]}}


def follow_ups(random: Random, packet: Packet, number: int, family: int) -> list[Packet]:
    """The packets after ``packet``, which is the case's ``number``-th; often none."""
    answer: Packet = {"after": number}
    same: Packet = {"after": number, "dir": "same"}
    ways: list[tuple[int, list[Packet]]]
    if packet["proto"] == "tcp" and packet.get("flags") == "SYN":
        data = {"after": number + 1, "dir": "same", "flags": "PSH,ACK", "payload_len": 20}
        reset = {"after": number, "flags": "RST,ACK"}
        error = {"after": number, "icmp_error": UNREACHABLE[family]["host"]}
        ways = [(8, [answer, same, data]), (17, [answer, same]), (15, [answer]), (5, [reset]), (5, [error]), (50, [])]
    elif packet["proto"] == "udp":
        error = {"after": number, "icmp_error": UNREACHABLE[family]["port"]}
        ways = [(15, [answer, same]), (20, [answer]), (13, [error]), (52, [])]
    elif packet.get("icmp_type") in (8, 128):
        ways = [(1, [answer]), (1, [])]
    elif packet["proto"] == "sctp":
        ways = [(3, [answer]), (7, [])]
    else:
        return []
    return random.choices([after for _, after in ways], [weight for weight, _ in ways])[0]
