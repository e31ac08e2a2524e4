"""What follows a first packet: a whole life of its connection, answers, ICMP errors about it.

A life is words: ``O:FLAGS`` is a packet of the opener's side, ``A:FLAGS`` of the other, with ``+`` bytes of data, ``=`` where
the sequence number of the packet before is said again; ``AE`` and ``OE`` are ICMP errors that one side sends about what it
got, ``ME`` one of a machine on the way to the other side.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tests.kernel.lab.building import CHUNKS

Packet = dict[str, Any]

OPEN = "A:SYN,ACK O:ACK"
TCP = [
    (40, ""),
    (8, "A:SYN,ACK"),
    (6, f"{OPEN} O:PSH,ACK+20"),
    (4, f"{OPEN} O:PSH,ACK+20 A:ACK A:PSH,ACK+200 O:ACK"),
    (3, f"{OPEN} O:FIN,ACK A:ACK A:FIN,ACK O:ACK O:SYN A:SYN,ACK"),
    (3, f"{OPEN} A:FIN,ACK O:FIN,ACK A:ACK O:ACK O:SYN"),
    (2, f"{OPEN} O:FIN,ACK A:FIN,ACK O:ACK A:SYN"),
    (2, f"{OPEN} O:FIN,ACK A:FIN,ACK O:FIN,ACK A:RST"),
    (3, f"{OPEN} O:RST,ACK O:ACK O:SYN A:SYN,ACK"),
    (3, f"{OPEN} O:PSH,ACK+20 A:ACK A:RST O:SYN"),
    (5, "A:RST,ACK O:SYN A:SYN,ACK"),
    (2, "O:RST A:SYN,ACK O:SYN"),
    (3, "O:SYN= A:SYN,ACK A:SYN,ACK= O:ACK"),
    (2, "A:SYN O:SYN,ACK= A:SYN,ACK= O:ACK"),
    (2, "A:SYN,ACK A:FIN,ACK O:RST"),
    (2, "A:SYN,ACK O:ACK A:SYN,ACK= O:SYN"),
    (1, "A:PSH,ACK+4 O:ACK"),
    (1, "A:SYN,ACK O: O:FIN O:ALL A:NONE"),
    (3, "AE O:SYN= A:SYN,ACK"),
    (2, f"{OPEN} O:PSH,ACK+20 AE OE"),
    (2, "A:SYN,ACK OE ME A:SYN,ACK= O:ACK"),
]  # fmt: skip
"""Of a connection whose first packet was a SYN."""
LIVES: dict[str, list[tuple[int, str]]] = {
    "udp": [(48, ""), (14, "A"), (10, "A O"), (6, "O A O A"), (3, "O O"), (9, "AE"), (3, "ME O"), (3, "A OE"), (2, "A O AE ME")],
    "ping": [(4, ""), (4, "A"), (2, "A O A"), (1, "O O A"), (1, "AE"), (1, "ME A"), (1, "A OE")],
    "sctp": [
        (6, ""), (2, "A:INIT_ACK"),
        (2, "A:INIT_ACK O:COOKIE_ECHO A:COOKIE_ACK O:DATA A:SACK"),
        (1, "A:INIT_ACK O:COOKIE_ECHO A:COOKIE_ACK O:SHUTDOWN A:SHUTDOWN_ACK O:SHUTDOWN_COMPLETE O:INIT"),
        (1, "A:INIT_ACK O:COOKIE_ECHO A:COOKIE_ACK A:HEARTBEAT O:HEARTBEAT_ACK O:ABORT"),
        (1, "A:ABORT O:INIT"), (1, "AE"),
    ],
    "other": [(6, ""), (2, "A"), (2, "A O A"), (1, "AE"), (1, "O ME")],
}  # fmt: skip
MIDSTREAM = [
    (4, ""),
    (2, "O:ACK A:ACK O:PSH,ACK+8 A:PSH,ACK+8"),
    (2, "A:ACK O:PSH,ACK+4"),
    (1, "A:RST O:SYN"),
    (1, "O:FIN,ACK A:FIN,ACK O:ACK"),
    (1, "A:SYN,ACK O:SYN"),
]
"""Of a connection whose first packet was something else."""
ERRORS = {
    4: [(6, (3, 1)), (6, (3, 3)), (2, (3, 0)), (2, (3, 4)), (1, (3, 13)), (1, (3, 10)), (1, (4, 0)), (1, (5, 1)),
        (2, (11, 0)), (1, (11, 1)), (1, (12, 0))],
    6: [(6, (1, 3)), (6, (1, 4)), (2, (1, 0)), (1, (1, 1)), (2, (2, 0)), (2, (3, 0)), (1, (3, 1)), (1, (4, 1))],
}  # fmt: skip
ON_THE_WAY = {4: "198.51.100.254", 6: "2001:db8:ffff::fe"}
"""A machine that is not an end of the connection."""
ASKING = (8, 13, 128)


def follow_ups(random: Random, packet: Packet, number: int, family: int) -> list[Packet]:
    """The packets after ``packet``, which is the case's ``number``-th; often none."""
    lives = _lives(packet)
    made: list[Packet] = []
    last = {"O": number}
    for word in random.choices([life for _, life in lives], [weight for weight, _ in lives])[0].split():
        at = number + len(made) + 1
        if word[-1] == "E":
            made.append(_error(random, word, last, family))
            continue
        side, _, said = word.partition(":")
        made.append({**_place(side, last), **_said(packet["proto"], said)})
        last[side] = at
    return made


def _lives(packet: Packet) -> list[tuple[int, str]]:
    if packet["proto"] == "tcp":
        return TCP if packet.get("flags") == "SYN" else MIDSTREAM
    if packet["proto"] in ("icmp", "icmpv6"):
        return LIVES["ping"] if packet.get("icmp_type") in ASKING else [(1, "")]
    return LIVES.get(packet["proto"], LIVES["other"])


def _place(side: str, last: dict[str, int]) -> Packet:
    """Each side answers what it got last; the opener repeats itself where it got nothing."""
    if side == "A":
        return {"after": last["O"]}
    return {"after": last["A"]} if "A" in last else {"after": last["O"], "dir": "same"}


def _said(protocol: str, text: str) -> Packet:
    if protocol == "sctp":
        return {"sctp_chunk": CHUNKS[text]} if text else {}
    if protocol != "tcp":
        return {}
    flags, _, length = text.rstrip("=").partition("+")
    flags = {"ALL": "FIN,SYN,RST,PSH,ACK,URG", "NONE": ""}.get(flags, flags)
    data = {"payload_len": int(length)} if length else {}
    return {"flags": flags, **data, **({"again": True} if text.endswith("=") else {})}


def _error(random: Random, word: str, last: dict[str, int], family: int) -> Packet:
    """``A`` and ``M`` tell the opener of its last packet, ``O`` the other side."""
    kinds = ERRORS[family]
    kind = random.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]
    return {
        "after": last["A" if word == "OE" else "O"],
        "icmp_error": list(kind),
        **({"relay": ON_THE_WAY[family]} if word == "ME" else {}),
    }
