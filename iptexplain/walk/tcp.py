"""How connection tracking follows a TCP connection: the table of states, and what each packet means for it.

After net/netfilter/nf_conntrack_proto_tcp.c (Linux 6.x). Sequence numbers are not known here: every packet counts as one
inside the window.
"""

from __future__ import annotations

from typing import NamedTuple

STATES = (
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
)

_WORDS = {
    "no": "NONE", "ss": "SYN_SENT", "sr": "SYN_RECV", "es": "ESTABLISHED", "fw": "FIN_WAIT", "cw": "CLOSE_WAIT",
    "la": "LAST_ACK", "tw": "TIME_WAIT", "cl": "CLOSE", "s2": "SYN_SENT2", "iv": "INVALID", "ig": "IGNORE",
}  # fmt: skip


def _row(words: str) -> dict[str, str]:
    return dict(zip(STATES, (_WORDS[w] for w in words.split()), strict=True))


TABLE: dict[bool, dict[str, dict[str, str]]] = {
    False: {
        "syn":     _row("ss ss ig ig ig ig ig ss ss s2"),
        "syn-ack": _row("iv iv sr iv iv iv iv iv iv sr"),
        "fin":     _row("iv iv fw fw la la la tw cl iv"),
        "ack":     _row("es iv es es cw cw tw tw cl iv"),
        "rst":     _row("iv cl cl cl cl cl cl cl cl cl"),
    },
    True: {
        "syn":     _row("iv s2 iv iv iv iv iv ss iv s2"),
        "syn-ack": _row("iv sr ig ig ig ig ig ig ig sr"),
        "fin":     _row("iv iv fw fw la la la tw cl iv"),
        "ack":     _row("iv ig sr es cw cw tw tw cl ig"),
        "rst":     _row("iv cl cl cl cl cl cl cl cl cl"),
    },
}  # fmt: skip
"""Is it the answering side? → kind of packet → state so far → state afterwards; INVALID: not of this connection, IGNORE: let pass."""

UNANSWERED = ("SYN_SENT", "CLOSE")
"""In these the opener cannot acknowledge anything before the other side has sent something."""

_VALID = [
    {"SYN"}, {"SYN", "URG"}, {"SYN", "ACK"}, {"RST"}, {"RST", "ACK"},
    {"FIN", "ACK"}, {"FIN", "ACK", "URG"}, {"ACK"}, {"ACK", "URG"},
]  # fmt: skip


def kind_of(flags: frozenset[str]) -> str | None:
    """The kind of packet (a key of TABLE); None for flags that no TCP sends together (tcp_valid_flags)."""
    if flags - {"ECE", "CWR", "PSH"} not in _VALID:
        return None
    if "RST" in flags:
        return "rst"
    if "SYN" in flags:
        return "syn-ack" if "ACK" in flags else "syn"
    return "fin" if "FIN" in flags else "ack"


class Tcp(NamedTuple):
    """What is remembered of a TCP connection beside its addresses."""

    state: str = "NONE"
    closing: tuple[bool, bool] = (False, False)
    """Which side, the opener or the answerer, closed it first."""
    last: tuple[str, bool] | None = None
    """The kind of the last packet, and whether the answering side sent it."""
    both_opened: bool = False
    """Both sides sent a SYN (simultaneous open)."""
    midway: bool = False
    """Its first packet was no SYN: then conntrack takes any sequence number."""


class Met(NamedTuple):
    """What a packet means. ``verdict``: ok; IGNORED, let pass without believing it; INVALID, not of this connection; REOPEN,
    the old connection is forgotten and this packet opens a new one."""

    verdict: str
    tcp: Tcp


def meet(tcp: Tcp, flags: frozenset[str], reply: bool, answered: bool) -> Met:
    """The connection as it stands after a packet with these flags, of the answering side when ``reply``.

    ``answered``: that side has sent something already.
    """
    kind = kind_of(flags)
    if kind is None:
        return Met("INVALID", tcp)
    new = TABLE[reply][kind][tcp.state]
    if new == "INVALID" or (not (answered or reply or tcp.midway) and "ACK" in flags and tcp.state in UNANSWERED):
        return Met("INVALID", tcp)
    if new == "SYN_SENT" and tcp.state in ("TIME_WAIT", "CLOSE"):
        if any(tcp.closing) or tcp.last == ("rst", reply):
            return Met("REOPEN", tcp)
        new = "IGNORE"
    if new == "IGNORE":
        if kind == "syn-ack" and tcp.last == ("syn", not reply):
            return Met("ok", tcp._replace(state="SYN_RECV", last=(kind, reply)))
        return Met("IGNORED", tcp._replace(last=(kind, reply)))
    if new == "SYN_RECV" and reply and kind == "ack" and tcp.both_opened:
        new = "ESTABLISHED"
    closing = tcp.closing
    if new == "FIN_WAIT" != tcp.state:
        closing = (closing[0] or not reply, closing[1] or reply)
    midway = tcp.midway or (tcp.state == "NONE" and kind == "ack")
    return Met("ok", Tcp(new, closing, (kind, reply), tcp.both_opened or new == "SYN_SENT2", midway))
