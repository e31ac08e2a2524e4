"""The kernel's TRACE lines: read one by one, and put together as packets (walk/kernel_log.py, walk/recorded.py)."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest

from iptexplain.walk.kernel_log import read_log
from iptexplain.walk.recorded import Recorded, recorded

FIXTURES = Path(__file__).parent.parent / "fixtures" / "annotate"
CASES = sorted(p.parent for p in FIXTURES.glob("*/trace.log"))
LINE = (
    "TRACE: filter:INPUT:rule:2 IN=eth0 OUT= MAC=02:42:c0:00:02:0a:02:42:c0:00:02:32:08:00 SRC=192.0.2.50 DST=192.0.2.10 LEN=60 "
    "TOS=0x00 PREC=0x00 TTL=64 ID=5282 DF PROTO=TCP SPT=41000 DPT=22 SEQ=7 ACK=0 WINDOW=64240 RES=0x00 SYN URGP=0 MARK=0x16 "
)


@pytest.mark.parametrize(
    "before",
    [
        "",
        "[13084.351465] ",
        "[Tue Nov 24 11:51:43 2026] ",
        "Nov 24 11:51:43 host kernel: [13084.351465] ",
        "2026-11-24T11:51:43.123456+01:00 host kernel: ",
        "<4>[13084.351465] ",
        "kern  :warn  : [13084.351465] ",
    ],
)
def test_what_stands_before_a_line_does_not_matter(before: str) -> None:
    assert read_log(before + LINE).events == read_log(LINE).events
    assert read_log(LINE).ignored == []


READ = {
    "x_tables": (LINE, {"iif": "eth0", "oif": "", "src": "192.0.2.50", "dst": "192.0.2.10", "proto": "tcp", "sport": 41000,
                        "dport": 22, "flags": {"SYN"}, "mark": 0x16, "length": 60, "ttl": 64}),
    "bare words": (LINE.replace("SYN URGP", "ACK PSH FIN URGP"), {"flags": {"ACK", "PSH", "FIN"}}),
    "no mark": (LINE.partition("MARK")[0], {"mark": 0}),
    "echo": ("TRACE: raw:OUTPUT:policy:1 IN= OUT=eth0 SRC=192.0.2.10 DST=192.0.2.50 LEN=84 TOS=0x00 PREC=0xC0 TTL=64 ID=9 "
             "PROTO=ICMP TYPE=8 CODE=0 ID=77 SEQ=1", {"proto": "icmp", "icmp_type": 8, "icmp_id": 77, "iif": ""}),
    "error": ("TRACE: raw:OUTPUT:policy:1 IN= OUT=eth0 SRC=192.0.2.10 DST=192.0.2.50 LEN=62 TOS=0x00 PREC=0xC0 TTL=64 ID=9 "
              "PROTO=ICMP TYPE=3 CODE=3 [SRC=192.0.2.50 DST=192.0.2.10 LEN=34 TOS=0x00 PREC=0x00 TTL=64 ID=8 DF "
              "PROTO=UDP SPT=41003 DPT=53 LEN=14 ] MARK=0x7", {"src": "192.0.2.10", "icmp_code": 3, "length": 62, "mark": 7}),
    "ipv6": ("TRACE: raw:OUTPUT:policy:1 IN= OUT=eth0 SRC=2001:0db8:0001:0000:0000:0000:0000:0010 "
             "DST=ff02:0000:0000:0000:0000:0000:0000:0016 LEN=96 TC=0 HOPLIMIT=1 FLOWLBL=0 OPT ( ) PROTO=ICMPv6 TYPE=143 CODE=0",
             {"src": "2001:db8:1::10", "proto": "ipv6-icmp", "ttl": 1, "icmp_type": 143}),
    "a bridge": (LINE.replace("OUT= ", "OUT= PHYSIN=veth1 "), {"physin": "veth1", "iif": "eth0"}),
    "a tunnel without MAC": (LINE.replace("MAC=02:42:c0:00:02:0a:02:42:c0:00:02:32:08:00 ", "MAC= "), {"sport": 41000}),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_headers(name: str) -> None:
    line, wanted = READ[name]
    [event] = read_log(line).events
    assert event.header
    fields = {k: str(v) if k in ("src", "dst") else v for k, v in event.header.fields.items()}
    assert {k: fields[k] for k in wanted} == wanted


@pytest.mark.parametrize(
    "line",
    [
        LINE.replace("filter", "bogus"),
        LINE.replace("rule:2", "rule:"),
        LINE.replace("SRC=192.0.2.50", "SRC=192.0..50"),
        LINE.partition(" SRC")[0],
        LINE.replace("LEN=60", f"LEN={'9' * 5000}"),
        "closed: IN=eth0 OUT= SRC=192.0.2.50 DST=192.0.2.10 LEN=60 PROTO=TCP SPT=41000 DPT=22",
        "TRACE: IN=eth0 OUT= SRC=192.0.2.50 DST=192.0.2.10 LEN=60 PROTO=TCP SPT=41000 DPT=22",
        " TRACE: 7 e2e60951 filter:FORWARD:policy:ACCEPT ",
        "PACKET: 2 e2e60951 IN=eth0 ",
        " EVENT: -4 -t filter -N TCP",
        "eth0: renamed from veth1",
    ],
)
def test_other_lines_are_passed_over(line: str) -> None:
    assert read_log(line) == ([], [1])


@pytest.mark.parametrize(
    ("line", "kind", "verdict", "text"),
    [
        (
            "raw:PREROUTING:rule:0x2:CONTINUE  -4 -t raw -A PREROUTING -j TRACE",
            "rule",
            "CONTINUE",
            "-A PREROUTING -j TRACE",
        ),
        ("nat:A:rule:0x6:JUMP:B  -4 -t nat -A A -j B", "rule", "JUMP:B", "-A A -j B"),
        ("filter:A:rule:0x6:0xfffffffb  -4 -t filter [5:300] -A A -j RETURN", "rule", "RETURN", "-A A -j RETURN"),
        ("mangle:A:rule:0x2:0x18003  -4 -t mangle -A A -j NFQUEUE", "rule", "QUEUE", "-A A -j NFQUEUE"),
        ("filter:A:rule:0xe:ACCEPT  -4 -t filter Error: match extension not found", "rule", "ACCEPT", ""),
        ("filter:INPUT:policy:DROP ", "policy", "DROP", ""),
        ("filter:A:return:", "return", "", ""),
    ],
)
def test_lines_of_xtables_monitor(line: str, kind: str, verdict: str, text: str) -> None:
    [event] = read_log(f" TRACE: 2 e2e60951 {line}").events
    assert (event.kind, event.verdict, event.text) == (kind, verdict, text)
    assert (event.family, event.trace_id, event.table) == (4, "e2e60951", line.partition(":")[0])


# -- packets


def way(packet: Recorded) -> tuple[Any, ...]:
    first = packet.headers[0].fields
    ends = (
        str(first["src"]),
        first.get("sport"),
        str(first["dst"]),
        first.get("dport"),
        *sorted(first.get("flags", ())),
    )
    return *ends, *((e.table, e.chain, e.kind, e.number, e.text) for e in packet.events)


def threads(log: str) -> list[list[str]]:
    """The lines of a log by packet. Packets that share a trace id, or look alike in all that does not change, are one thread."""
    lines = log.splitlines()
    found: dict[frozenset[str], list[str]] = {}
    for packet in recorded(read_log(log).events):
        numbers = [n for e in packet.events for n in (e.line - 1, e.line) if n == e.line or "PACKET:" in lines[n - 1]]
        ids = frozenset({repr(packet.headers[0].same), *(e.trace_id or str(e.line) for e in packet.events)})
        shared = [key for key in found if ids & key]
        before = [line for key in shared for line in found.pop(key)]
        found[ids.union(*shared)] = before + [lines[n - 1] for n in numbers]
    return list(found.values())


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.name)
def test_packets_that_come_at_the_same_time_are_told_apart(case: Path) -> None:
    log = (case / "trace.log").read_text()
    wanted = sorted(map(repr, map(way, recorded(read_log(log).events))))
    for seed in range(20):
        merged, left = [], [list(t) for t in threads(log)]
        choose = random.Random(seed)
        while left := [t for t in left if t]:
            merged.append(choose.choice(left).pop(0))
        found = recorded(read_log("\n".join(merged)).events)
        assert sorted(map(repr, map(way, found))) == wanted, f"seed {seed}"
        assert [p.events[0].line for p in found] == sorted(p.events[0].line for p in found)


def test_the_packet_below_its_first_line() -> None:
    """Before iptables 1.8.7 xtables-monitor prints the packet below the first rule of a chain, and none with a policy."""
    log = (FIXTURES / "docker-nft" / "trace.log").read_text()
    older = re.sub(
        r"^PACKET: 2( .* ID=\d+) (.*)\n( TRACE: .*:rule:.*)\n", r"\3\nPACKET: 0\1\2\n\n", log, flags=re.MULTILINE
    )
    older = re.sub(r"^PACKET: 2 .*\n", "", older, flags=re.MULTILINE)
    assert 0 < older.count("PACKET") < log.count("PACKET")
    assert [way(p) for p in recorded(read_log(older).events)] == [way(p) for p in recorded(read_log(log).events)]
