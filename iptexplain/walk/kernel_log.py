"""The kernel's own TRACE lines, read into events: what ``xtables-monitor --trace`` prints, and x_tables' lines in the kernel log.

One line becomes one event, and nothing is looked up: walk/recorded.py makes packets of them.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Backend
from iptexplain.rules.model import BASE_CHAINS
from iptexplain.rules.values import Family
from iptexplain.walk.packet import read_fields

_TABLES = "|".join(BASE_CHAINS)
_X_TABLES = re.compile(rf"TRACE: ({_TABLES}):(\S+):(rule|policy|return):(\d{{1,9}}) (IN=.*)")
"""``TRACE: TABLE:CHAIN:KIND:NUMBER`` and the packet, behind any prefix (trace_packet in ip_tables.c, nf_log_syslog.c)."""

_NFT = re.compile(
    rf"TRACE: (\d+) ([0-9a-f]{{8}}) ({_TABLES}):(\S+?):(?:rule:0x[0-9a-f]+:(\S+)|(policy):(\S+)|(return):\S*)"
    r"(?: +-[46] -t \S+ (?:\[\d+:\d+\] )?(-A .*))?"
)
"""``TRACE: FAMILY ID TABLE:CHAIN:…`` (xtables-monitor.c): a rule with its handle, its verdict and its text."""

_NFT_PACKET = re.compile(r"PACKET: \d+ ([0-9a-f]{8}) (.*)")
_NO_SPACE = re.compile(r"( ID=\d+)(?=[A-Z])")
"""Before iptables 1.8.7 xtables-monitor prints none behind the ID: ``ID=38349DF``."""

_FAMILIES: dict[str, Family] = {"2": 4, "10": 6}
"""AF_INET and AF_INET6. The others (bridges, ARP) are none of iptables'."""

_FIELDS = {
    "IN": "iif", "OUT": "oif", "PHYSIN": "physin", "PHYSOUT": "physout", "SRC": "src", "DST": "dst", "PROTO": "proto",
    "SPT": "sport", "DPT": "dport", "SPORT": "sport", "DPORT": "dport", "TYPE": "icmp_type", "CODE": "icmp_code",
    "TTL": "ttl", "HOPLIMIT": "ttl", "LEN": "length", "MARK": "mark",
}  # fmt: skip
"""The words of a line that are fields of a packet. (Not TOS: the kernel log leaves out a bit of it.)"""

_SAME = ("PROTO", "SEQ", "ACK", "TYPE", "CODE")
"""The words that no rule changes, by which packets are told apart; beside the ID of IPv4, or IPv6's flow label and length."""

_INNER = re.compile(r"(.* PROTO=ICMP.*)\[(SRC=[^]]*)\](.*)")
"""An ICMP error and the packet that it is about."""

FLAGS = ("SYN", "ACK", "FIN", "RST", "PSH", "URG")


class Header(NamedTuple):
    """A packet as a line shows it: its ``fields``, and in ``same`` what stays the same on its whole way.

    ``inner``: the fields of the packet that an ICMP error is about; the kernel log shows them.
    """

    fields: dict[str, Any]
    same: tuple[Any, ...]
    inner: dict[str, Any] | None = None


class Event(NamedTuple):
    """One line of a log; ``kind`` is rule, policy, return, or packet for xtables-monitor's line that shows only the packet.

    x_tables tells the ``number`` of the rule and shows the packet in every line (``header``). xtables-monitor tells the
    packet's ``trace_id``, the ``verdict`` and the ``text`` of the rule.
    """

    line: int
    backend: Backend
    kind: str
    family: Family = 4
    table: str = ""
    chain: str = ""
    number: int = 0
    trace_id: str = ""
    verdict: str = ""
    text: str = ""
    header: Header | None = None

    @property
    def is_base(self) -> bool:
        return self.chain in BASE_CHAINS[self.table]


class Log(NamedTuple):
    """The events of a log in their order; ``ignored``: the numbers of the lines that are none (blank ones left out)."""

    events: list[Event]
    ignored: list[int]


def read_log(text: str) -> Log:
    """All TRACE lines of ``text``, whatever stands before them in their lines; never raises."""
    log = Log([], [])
    for number, line in enumerate(text.split("\n"), 1):
        event = _x_tables_event(number, line) or _nft_event(number, line) or _nft_packet(number, line)
        if event is not None:
            log.events.append(event)
        elif line.strip():
            log.ignored.append(number)
    return log


def _x_tables_event(line: int, text: str) -> Event | None:
    found = _X_TABLES.search(text)
    header = read_header(found[5]) if found else None
    if not (found and header):
        return None
    table, chain, kind, number = found.groups()[:4]
    family = header.fields["src"].family
    return Event(line, Backend.LEGACY, kind, family, table, chain, int(number), header=header)


def _nft_event(line: int, text: str) -> Event | None:
    found = _NFT.search(text)
    family = _FAMILIES.get(found[1]) if found else None
    if not (found and family):
        return None
    _, trace_id, table, chain, of_rule, policy, of_policy, end, rule = found.groups()
    verdict = _verdict(of_rule or of_policy or "")
    kind = policy or end or "rule"
    return Event(line, Backend.NFT, kind, family, table, chain, 0, trace_id, verdict, (rule or "").strip())


def _verdict(text: str) -> str:
    """A verdict by its name; xtables-monitor has only the number of some: NFT_RETURN, and NF_QUEUE with its queue."""
    if not re.fullmatch("0x[0-9a-f]{1,8}", text):
        return text
    return {0xFFFFFFFB: "RETURN"}.get(int(text, 16), "QUEUE" if int(text, 16) & 0xFF == 3 else text)


def _nft_packet(line: int, text: str) -> Event | None:
    found = _NFT_PACKET.search(text)
    header = read_header(_NO_SPACE.sub(r"\1 ", found[2])) if found else None
    if not (found and header):
        return None
    return Event(line, Backend.NFT, "packet", header.fields["src"].family, trace_id=found[1], header=header)


def read_header(text: str) -> Header | None:
    """The packet that ``IN=… OUT=… SRC=…`` shows; None where its ends cannot be read."""
    about = _INNER.search(text)
    if about:
        text = about[1] + about[3]
    words: dict[str, str] = {}
    bare = set()
    for word in text.split():
        name, equals, value = word.partition("=")
        if equals:
            words[f"{name} again" if name in words else name] = value  # the LEN of UDP, the ID of an echo
        else:
            bare.add(name)
    names = _FIELDS | {"ID" if ":" in words.get("SRC", "") else "ID again": "icmp_id"}
    try:
        fields = read_fields({field: words[name] for name, field in names.items() if words.get(name)})
    except OptionError:  # a line that was cut or garbled
        return None
    if not {"src", "dst"} <= fields.keys():
        return None
    inner = read_header(about[2]) if about else None
    return _header(fields, words, bare)._replace(inner=inner and inner.fields)


def _header(fields: dict[str, Any], words: dict[str, str], bare: set[str]) -> Header:
    family = fields["src"].family
    flags = bare.intersection(FLAGS)
    if flags:
        fields |= {"flags": frozenset(flags), "proto": "tcp"}
    if family == 6 and "PROTO" not in words:
        fields.pop("length", None)  # xtables-monitor counts a header of IPv4
    same = [words.get("ID" if family == 4 else "FLOWLBL"), *(words.get(name) for name in _SAME)]
    if family == 6:
        same.append(words.get("LEN"))
    fragment = [b for b in bare if b.startswith("FRAG:")]
    return Header({"iif": "", "oif": "", "mark": 0, **fields}, (family, *same, *fragment, *sorted(flags)))
