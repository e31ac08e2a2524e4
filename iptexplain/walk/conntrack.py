"""What the kernel remembers of a connection: both directions' addresses, and so its NAT."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.rules.addresses import Address
from iptexplain.walk.packet import Packet

TRACKED_PORTS = frozenset({"tcp", "udp", "udplite", "sctp", "dccp"})


class Tuple(NamedTuple):
    """One direction of a connection. For ICMP, ``sport`` is the echo's id and ``dport`` its type and code."""

    proto: str
    src: Address
    dst: Address
    sport: int | None = None
    dport: int | None = None

    def reversed(self) -> Tuple:
        return Tuple(self.proto, self.dst, self.src, self.dport, self.sport)


class Connection(NamedTuple):
    """``original``: as its first packet came; ``reply``: what its answers look like when they come. NAT is the difference."""

    original: Tuple
    reply: Tuple
    seen_reply: bool = False
    by_syn: bool = False
    """Whether it is a TCP connection whose first packet was a SYN."""

    assured: bool = False
    mark: int = 0
    known: bool = False
    """Whether it was confirmed before the packet that is on its way now."""

    def met_by(self, packet: Packet, reply: bool) -> Connection:
        """The connection as a later packet finds it, after conntrack has looked at the packet.

        TCP is assured when a plain ACK follows an answer (nf_conntrack_proto_tcp.c).
        """
        flags = packet.fields.get("flags", frozenset())
        plain = "ACK" in flags and not {"SYN", "FIN", "RST"} & flags
        assured = self.assured or (self.original.proto == "tcp" and self.seen_reply and plain)
        return self._replace(assured=assured, seen_reply=self.seen_reply or reply, known=True)

    def state(self, packet: Packet, reply: bool) -> str:
        """The state of a later packet (resolve_normal_ct; the TCP table in nf_conntrack_proto_tcp.c).

        Until an answer was seen a connection stays NEW, and after its SYN the opener may send no ACK or FIN yet.
        """
        if reply or self.seen_reply:
            return "ESTABLISHED"
        flags = packet.fields.get("flags", frozenset())
        early = self.by_syn and not {"SYN", "RST"} & flags
        return "INVALID" if early else "NEW"

    @property
    def is_dnat(self) -> bool:
        return (self.original.dst, self.original.dport) != (self.reply.src, self.reply.sport)

    @property
    def is_snat(self) -> bool:
        return (self.original.src, self.original.sport) != (self.reply.dst, self.reply.dport)

    @property
    def status(self) -> str:
        """The names of ctstatus that hold, as a comma list."""
        names = [
            ("SEEN_REPLY", self.seen_reply),
            ("ASSURED", self.assured),
            ("CONFIRMED", self.known),
            ("SNAT", self.is_snat),
            ("DNAT", self.is_dnat),
        ]
        return ",".join(n for n, holds in names if holds) or "NONE"

    def field(self, name: str) -> Any:
        """A field that -m conntrack asks for, such as ``ctorigdstport``; None where this protocol has none."""
        if name == "ctstatus":
            return self.status
        if name == "ctproto":
            return self.original.proto
        side = self.original if name.startswith("ctorig") else self.reply
        return getattr(side, {"src": "src", "dst": "dst", "srcport": "sport", "dstport": "dport"}[name[6:]])

    def destination(self, reply: bool) -> tuple[Address, int | None]:
        """Where a packet of this direction really goes: put in before routing."""
        back = self.original if reply else self.reply
        return back.src, back.sport

    def source(self, reply: bool) -> tuple[Address, int | None]:
        """Who a packet of this direction says it is from: put in after routing."""
        back = self.original if reply else self.reply
        return back.dst, back.dport


def tuple_of(packet: Packet) -> Tuple:
    """The packet's own tuple, as nf_ct_get_tuple reads it."""
    f = packet.fields
    if f["proto"] in TRACKED_PORTS:
        return Tuple(f["proto"], packet.src, packet.dst, f.get("sport"), f.get("dport"))
    return Tuple(f["proto"], packet.src, packet.dst, f.get("icmp_id"), f.get("icmp_id"))


def new_state(packet: Packet) -> str:
    """The state of a packet that belongs to no known connection (nf_conntrack_proto_tcp.c with tcp_loose, _icmp.c)."""
    f: dict[str, Any] = dict(packet.fields)
    if f["proto"] == "tcp":
        flags = f.get("flags", frozenset({"SYN"})) - {"PSH", "URG"}
        return "NEW" if flags in ({"SYN"}, {"ACK"}) else "INVALID"
    if f["proto"] == "icmp":
        return "NEW" if f.get("icmp_type", 8) in (8, 13, 15, 17) else "INVALID"
    if f["proto"] == "ipv6-icmp":
        kind = f.get("icmp_type", 128)
        return "UNTRACKED" if 130 <= kind <= 137 or kind == 143 else "NEW" if kind in (128, 139) else "INVALID"
    return "NEW"
