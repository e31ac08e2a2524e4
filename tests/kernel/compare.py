"""Asks the trace what a case asked the kernel, and holds its answers against the kernel's.

Needs no root: the kernel's answers are a case's ``results``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from ipaddress import ip_address
from itertools import takewhile, zip_longest
from typing import Any, NamedTuple

from iptexplain.explain.situation import Situation
from iptexplain.explain.way import trace_json
from iptexplain.host.snapshot import read_snapshot
from iptexplain.rules.values import Family
from iptexplain.walk.flows import Flows
from tests.kernel.lab.building import CHUNKS, build

GIVEN = (
    "src", "dst", "proto", "sport", "dport", "flags", "icmp_type", "icmp_code", "icmp_id", "ttl", "tos", "mark", "dir",
    "icmp_error", "inner",
)  # fmt: skip
"""The fields of a packet that the trace is given as they are."""
ENDS = ("proto", "src", "dst", "sport", "dport")
NAMED = ("type", "proto", "src", "dst", "sport", "dport", "icmp_type", "icmp_code")
"""What an answer of the host's own is told by."""
ARRIVED = ("forwarded", "sent", "delivered-local")
FACTS = {"ip_addr": "addresses", "ip_route": "routes", "ip6_route": "routes6"}
"""A case's name of a fact → the snapshot's."""
NAMES = {number: name for name, number in CHUNKS.items()}

MSS = 2
"""The kind of TCP's option for the maximum segment size."""
OPEN = re.compile(r"--to-\w+ \S*-|--random")
"""Rules that leave the kernel a choice."""


BEHIND_CHOICE = ("INPUT", "FORWARD", "POSTROUTING")
"""The hooks behind the one at which NAT chooses where a packet is sent on to."""


class Difference(NamedTuple):
    """Something that the kernel and the trace say differently of one packet."""

    about: str
    kernel: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.about}: the kernel says {self.kernel}, the trace {self.ours}"


class Compared(NamedTuple):
    """One packet's result, the trace's answer, and how they differ. ``number``: of the packet in its case."""

    number: int
    result: dict[str, Any]
    answer: dict[str, Any]
    differences: list[Difference]


def compared(case: dict[str, Any]) -> list[Compared]:
    """Every packet of a case that the kernel answered."""
    is_open = any(OPEN.search(case.get(key, "")) for key in ("dump", "dump6"))
    return [Compared(n, result, ours, differences(result, ours, is_open)) for n, result, ours in _answered(case)]


def _answered(case: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any], dict[str, Any]]]:
    """(number, the kernel's result, the trace's answer); the case's rules are read once."""
    text = json.dumps(snapshot_of(case))
    flows: dict[int, tuple[Situation, Flows]] = {}
    places: dict[int, int] = {}
    for number, result in enumerate(case["results"]):
        if "skipped" in result:
            continue
        family: Family = 6 if ":" in result["packet"]["src"] else 4
        if family not in flows:
            situation = Situation(read_snapshot(text, case["name"]), family)
            flows[family] = (situation, Flows(situation.ruleset, situation.topology))
        situation, walker = flows[family]
        packet = packet_of(case, result)
        if "after" in result["packet"]:
            packet["after"] = places[result["packet"]["after"]]
        places[number] = len(walker.sent)
        yield number, result, trace_json(situation, walker.trace(packet))


def snapshot_of(case: dict[str, Any]) -> dict[str, Any]:
    """The host of a case as ``iptexplain capture`` would write it down."""
    interfaces = case["host"]["interfaces"]
    ports = [(i, end) for i in interfaces for end in i.get("containers", [])]
    links = [
        {"ifname": end["port"], "master": i["name"], "hairpin": bool(end.get("hairpin", i.get("hairpin")))}
        for i, end in ports
    ]
    snapshot = {
        "schema": 1,
        "iptables": case.get("dump"),
        "ip6tables": case.get("dump6"),
        "sysctls": case["host"].get("sysctls"),
        "ipsets": case.get("ipset"),
        "bridge_links": links,
        "endpoints": [
            {"name": e["name"], "iface": i["name"], "port": e.get("port"), "mac": e["mac"], "addresses": e["addresses"]}
            for i, e in _ends(case)
        ],
        **{key: case["facts"].get(name) for name, key in FACTS.items()},
    }
    return {key: value for key, value in snapshot.items() if value}


def _ends(case: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(interface, machine behind it)"""
    for interface in case["host"]["interfaces"]:
        for end in interface.get("peers", []) + interface.get("containers", []):
            yield interface, end


def packet_of(case: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """A packet that the kernel was given, as ``trace --packets`` reads it; ``after`` is the caller's to number."""
    sent = result["packet"]
    packet = {key: sent[key] for key in GIVEN if sent.get(key) is not None}
    packet |= {"iif": result.get("in_iface"), "length": len(build(sent))}
    packet |= {"helper": "", **_header(sent)}
    if sent["proto"] == "sctp":
        packet["chunks"] = NAMES[sent.get("sctp_chunk", CHUNKS["INIT"])]
    macs = {end["name"]: end["mac"] for _, end in _ends(case)}
    sender = next((end for _, end in _ends(case) if end["name"] == sent["from"]), None)
    if sender:
        packet["mac_src"] = sent.get("src_mac", sender["mac"])
        if sender.get("port"):
            packet["physin"] = sender["port"]
    if to := sent.get("dst_mac"):
        own = to == "host" or any(i.get("mac") == to for i in case["host"]["interfaces"])
        packet["mac_dst"] = "host" if own else macs.get(to, to)
    return packet


def _header(sent: dict[str, Any]) -> dict[str, Any]:
    """What a packet's header says beside that: its TCP options, the MSS among them, IPsec's SPI."""
    if sent["proto"] in ("esp", "ah"):
        return {"spi": 0}
    if sent["proto"] != "tcp":
        return {}
    options = list(_options(bytes.fromhex(sent.get("tcp_options", ""))))
    found: dict[str, Any] = {"tcp_options": ",".join(str(kind) for kind, _ in options)}
    if MSS in dict(options):
        found["tcpmss"] = int.from_bytes(dict(options)[MSS], "big")
    return found


def _options(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each TCP option, up to the end of the list; 1 fills up."""
    while data and data[0]:
        length = 1 if data[0] == 1 else data[1]
        yield data[0], data[2:length]
        data = data[length:]


def differences(result: dict[str, Any], ours: dict[str, Any], is_open: bool = False) -> list[Difference]:
    """Where the trace's answer is not what the kernel did. ``is_open``: no dump decides it; then one of the ways that the trace
    names has to be the kernel's, as far as NAT's choice the steps are the same, and what comes of it is left open."""
    branches = ours["outcome"].get("branches", []) if is_open else []
    chosen = any(_is_that(branch, result["outcome"]) for branch in branches)
    found = list(_until_choice(result, ours) if chosen else _way(result, ours))
    for key in ("ctstate", "ctdir"):
        if key in result and result[key] != ours[key]:
            found.append(Difference(key, result[key], ours[key]))
    if "replies" in ours and not chosen:
        found += _replies(result.get("replies", []), ours["replies"])
    return found


def _is_that(branch: dict[str, Any], outcome: dict[str, Any]) -> bool:
    """Whether the kernel took this way; the trace names one for all that are lost alike, whatever NAT chose."""
    lost = branch["kind"] not in ARRIVED
    return all(lost and difference.about in ENDS for difference in _end(outcome, branch))


def _until_choice(theirs: dict[str, Any], ours: dict[str, Any]) -> Iterator[Difference]:
    """The steps up to the rule that leaves NAT a choice. What that was decides whether a later packet finds a connection at all:
    of it only raw and mangle of its first hook are sure."""
    steps = ours["steps"]
    end = next((n for n, s in enumerate(steps, 1) if s["table"] == "nat" and OPEN.search(s["text"])), 0)
    if "after" in theirs["packet"] or not end:
        before = takewhile(lambda s: s["table"] in ("raw", "mangle") and s["chain"] not in BEHIND_CHOICE, steps)
        end = len(list(before))
    yield from _differing_step(_steps(theirs["steps"][:end]), _steps(steps[:end]))


def _way(theirs: dict[str, Any], ours: dict[str, Any], whose: str = "") -> Iterator[Difference]:
    """Steps and outcome, of a packet or of an answer to it."""
    yield from _differing_step(_steps(theirs["steps"]), _steps(ours["steps"]), whose)
    yield from _end(theirs["outcome"], ours["outcome"], whose)


def _differing_step(wanted: list[str], got: list[str], whose: str = "") -> Iterator[Difference]:
    if wanted != got:
        pairs = zip_longest(wanted, got, fillvalue="no step")
        at, (kernel, trace) = next((n, pair) for n, pair in enumerate(pairs, 1) if pair[0] != pair[1])
        yield Difference(f"{whose}step {at}", kernel, trace)


def _end(outcome: dict[str, Any], predicted: dict[str, Any], whose: str = "") -> Iterator[Difference]:
    kind = outcome["kind"]
    told = [("outcome", kind, predicted["kind"])]
    if "by" in outcome:
        told.append(("by", _decider(outcome["by"]), _decider(predicted.get("by") or {})))
    if kind == "rejected" and not whose:  # nobody looks what is answered to an answer
        told.append(("with", outcome["with"], predicted.get("with")))
    if kind in ARRIVED:
        told.append(("interface", outcome["iface"], predicted["iface"]))
    ends, ours_at_end = outcome.get("tuple", {}), predicted.get("tuple", {})
    told += [(key, ends[key], ours_at_end.get(key)) for key in ENDS if key in ends]
    yield from (Difference(whose + about, kernel, trace) for about, kernel, trace in told if not _agree(kernel, trace))


def _agree(kernel: Any, trace: Any) -> bool:
    """Whether the kernel's value is the trace's, or one of those that the trace says NAT may choose from."""
    if not isinstance(trace, dict):
        return bool(kernel == trace)
    first, value, last = (
        int(ip_address(n) if isinstance(n, str) else n) for n in (trace["first"], kernel, trace["last"])
    )
    return first <= value <= last


def _steps(steps: list[dict[str, Any]]) -> list[str]:
    return [f"{s['table']} {s['chain']} {s['rule']} {s['action']}" for s in steps]


def _decider(by: dict[str, Any]) -> str:
    """The rule, or the kernel; for what reason the kernel drops a packet has other names here than there."""
    if "table" in by:
        return f"{by['table']} {by['chain']} {by['rule']}"
    return "the kernel" if "kernel" in by else "nothing"


def _replies(theirs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> Iterator[Difference]:
    """What the host itself answers: resets and ICMP errors, with their own ways."""
    told = [[{key: reply.get(key) for key in NAMED} for reply in replies] for replies in (theirs, ours)]
    if len(theirs) != len(ours) or not all(_agree(a[key], b[key]) for a, b in zip(*told, strict=True) for key in NAMED):
        yield Difference(
            "replies", *([" ".join(str(v) for v in r.values() if v is not None) for r in rs] for rs in told)
        )
        return
    for number, (reply, predicted) in enumerate(zip(theirs, ours, strict=True), 1):
        yield from _way(reply, predicted, f"reply {number} ")
