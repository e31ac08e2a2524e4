"""Overlay networks in the host's own rules: swarm's encrypted ones, and those of old kernels that Docker runs on the host."""

from __future__ import annotations

import re
from typing import NamedTuple

from iptexplain.recognise.shape import Found, Roles, Shape

MARK = "MARK --set-xmark 0xd0c4e3/0xffffffff"
"""The mark by which Docker's IPsec policies know the packets."""
U32 = '-m u32 --u32 "0x0>>0x16&0x3c@0xc&0xffffff00={vni}"'
BPF = "-m bpf --bytecode {program}"

SHAPES = (
    Shape("overlay-mark-u32", "mangle", f"OUTPUT -p udp -m udp --dport {{port}} {U32} -j {MARK}"),
    Shape("overlay-mark-bpf", "mangle", f"OUTPUT -p udp -m udp --dport {{port}} {BPF} -j {MARK}"),
    *(
        Shape(role, "filter", f"INPUT -p udp{policy} -m udp --dport {{port}} {match} -j {verdict}")
        for match in (U32, BPF)
        for role, policy, verdict in (
            ("overlay-plain", " -m policy --dir in --pol none", "DROP"),
            ("overlay-ipsec", " -m policy --dir in --pol ipsec", "ACCEPT"),
            ("overlay-plain", "", "DROP"),
        )
    ),
    Shape("jump-overlay", "filter", "FORWARD -j DOCKER-OVERLAY"),
    Shape("jump-overlay", "filter", "OUTPUT -j DOCKER-OVERLAY"),
    Shape("overlay-to", "filter", "DOCKER-OVERLAY -o {bridge} -j {netid}"),
    Shape("overlay-end", "filter", "DOCKER-OVERLAY -j RETURN"),
    Shape("overlay-inside", "filter", "{netid} -i {bridge} -j ACCEPT", "overlay"),
    Shape("overlay-others", "filter", "{netid} -j DROP", "overlay"),
)  # fmt: skip

ENCRYPTED = ("overlay-mark-u32", "overlay-mark-bpf", "overlay-plain", "overlay-ipsec")


class Encrypted(NamedTuple):
    """An encrypted overlay network: the number that its packets carry (VNI) and the UDP port of its tunnel."""

    vni: int
    port: int
    lines: list[int]


def recognise(roles: Roles) -> list[Encrypted]:
    """The encrypted overlay networks in the order of the dump."""
    found: dict[tuple[int, int], list[int]] = {}
    for f in roles.of(*ENCRYPTED):
        found.setdefault((vni_of(f), int(str(f.values["port"]))), []).append(f.place.line)
    return [Encrypted(vni, port, sorted(lines)) for (vni, port), lines in found.items()]


def vni_of(found: Found) -> int:
    """The network's number: u32 compares the header's upper 24 bits, the BPF program has it as a plain comparison (jeq: 21)."""
    if found.values["vni"]:
        return int(found.values["vni"], 16) >> 8
    compared = re.findall(r"\b21 \d+ \d+ (\d+)", found.values["program"] or "")
    return int(compared[-1]) if compared else 0
