"""What the kernel remembers of a connection: both directions' addresses, and so its NAT."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.rules.addresses import Address
from iptexplain.rules.model import Place
from iptexplain.rules.nat import NatTarget
from iptexplain.walk.packet import OneOf, Packet
from iptexplain.walk.tcp import TABLE, Tcp, kind_of, meet

TRACKED_PORTS = frozenset({"tcp", "udp", "udplite", "sctp", "dccp"})


PINGS = {"icmp": {8: 0, 13: 14, 15: 16, 17: 18}, "ipv6-icmp": {128: 129, 139: 140}}
"""Protocol → type of a question → type of its answer (nf_conntrack_proto_icmp.c, nf_conntrack_proto_icmpv6.c)."""

_ANSWERS = {proto: {**pairs, **{a: q for q, a in pairs.items()}} for proto, pairs in PINGS.items()}

End = tuple["Address | OneOf", "int | OneOf | None"]
"""An address and a port, or for a ping its id."""


KNOWN = ("ESTABLISHED", "RELATED")
"""The states of packets that belong to a connection which is known already, or come because of one."""


class Tuple(NamedTuple):
    """One direction of a connection. For a ping ``sport`` is its id and ``dport`` its type and code, as one number."""

    proto: str
    src: Address | OneOf
    dst: Address | OneOf
    sport: int | OneOf | None = None
    dport: int | OneOf | None = None

    def reversed(self) -> Tuple:
        if self.proto not in PINGS:
            return Tuple(self.proto, self.dst, self.src, self.dport, self.sport)
        kind, code = divmod(self.dport, 256) if isinstance(self.dport, int) else (0, 0)
        answer = _ANSWERS[self.proto].get(kind, kind) << 8 | code
        return Tuple(self.proto, self.dst, self.src, self.sport, answer)

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it is missing: ports, where the protocol has them."""
        return None not in (self.sport, self.dport) or self.proto not in {*TRACKED_PORTS, *PINGS}

    @property
    def origin(self) -> End:
        """The end that NAT of the source rewrites."""
        return self.src, self.sport

    @property
    def target(self) -> End:
        """The end that NAT of the destination rewrites."""
        return self.dst, self.sport if self.proto in PINGS else self.dport


class Connection(NamedTuple):
    """``original``: as its first packet came; ``reply``: what its answers look like when they come. NAT is the difference."""

    original: Tuple
    reply: Tuple
    seen_reply: bool = False
    assured: bool = False
    mark: int = 0
    known: bool = False
    """Whether it was confirmed before the packet that is on its way now."""

    zones: tuple[Any, Any] = (0, 0)
    """In which zone each direction's packets are looked up (CT --zone)."""

    chosen_by: tuple[Place, NatTarget] | None = None
    """The rule that left NAT a choice of addresses to send the packets on to: then ``reply`` comes from one of them."""

    tcp: Tcp = Tcp()
    gone: bool = False
    """Whether conntrack forgot it with its last packet (a RST that is the first answer)."""

    def met_by(self, packet: Packet, reply: bool) -> tuple[str, Connection | None]:
        """The state of a later packet, and the connection as it stands afterwards; None: the packet opens a new one.

        Until an answer was seen a connection stays NEW (resolve_normal_ct). TCP is assured when an established connection
        that both sides have used goes on (nf_conntrack_proto_tcp.c), GRE with the first packet after an answer
        (nf_conntrack_proto_gre.c).
        """
        later = self._replace(known=True, assured=self.assured or (self.original.proto == "gre" and self.seen_reply))
        if self.original.proto == "tcp":
            flags = packet.fields.get("flags", frozenset())
            verdict, tcp = meet(self.tcp, flags, reply, self.seen_reply)
            if verdict == "INVALID":
                return verdict, self
            if verdict == "REOPEN":
                return "NEW", None
            later = later._replace(tcp=tcp)
            if verdict == "ok":
                goes_on = self.tcp.state in ("SYN_RECV", "ESTABLISHED") and tcp.state == "ESTABLISHED"
                assured = self.assured or (self.seen_reply and goes_on)
                later = later._replace(assured=assured, gone=not self.seen_reply and "RST" in flags)
        state = "ESTABLISHED" if reply or self.seen_reply else "NEW"
        return state, later._replace(seen_reply=self.seen_reply or reply)

    def next_flags(self, reply: bool) -> frozenset[str]:
        """Those of the TCP packet that is to be expected next: the SYN again, its answer, and then acknowledgements."""
        if self.seen_reply:
            return frozenset({"ACK"})
        return frozenset({"SYN", "ACK"}) if reply else SYN

    def way_of(self, own: Tuple) -> bool | None:
        """Whether a packet with this tuple goes the answers' way (True) or the other (False); None: it is not of this connection.

        Of a packet to its own sender, the answers' way comes first.
        """
        return True if fits(own, self.reply) else False if own == self.original else None

    def closed(self) -> Connection:
        """After a reset of the host's own (nf_ct_set_closing)."""
        return self._replace(tcp=self.tcp._replace(state="CLOSE"))

    @property
    def is_dnat(self) -> bool:
        if self.original.proto in PINGS:  # their id is an end of the source's alone
            return self.original.dst != self.reply.src
        return self.original.target != self.reply.origin

    @property
    def is_snat(self) -> bool:
        return self.original.origin != self.reply.target

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
        """A field that -m conntrack asks for, such as ``ctorigdstport``; None where this protocol has none, or nobody knows."""
        if name == "ctstatus":
            return self.status
        if name == "ctproto":
            return self.original.proto
        side = self.original if name.startswith("ctorig") else self.reply
        end = {"src": "src", "dst": "dst", "srcport": "sport", "dstport": "dport"}.get(name[6:])
        return getattr(side, end) if end else None

    def destination(self, reply: bool) -> End:
        """Where a packet of this direction really goes: put in before routing."""
        return (self.original if reply else self.reply).origin

    def source(self, reply: bool) -> End:
        """Who a packet of this direction says it is from: put in after routing."""
        return (self.original if reply else self.reply).target


def tuple_of(packet: Packet) -> Tuple:
    """The packet's own tuple, as nf_ct_get_tuple reads it."""
    f = packet.fields
    if f["proto"] in TRACKED_PORTS:
        return Tuple(f["proto"], packet.src, packet.dst, f.get("sport"), f.get("dport"))
    if f["proto"] not in PINGS:
        return Tuple(f["proto"], packet.src, packet.dst)
    kind = f.get("icmp_type", min(PINGS[f["proto"]]))
    return Tuple(f["proto"], packet.src, packet.dst, f.get("icmp_id"), kind << 8 | f.get("icmp_code", 0))


def fits(own: Tuple, expected: Tuple) -> bool:
    """Whether a packet's tuple is the expected one, in which NAT may have left an end open."""
    return all(
        wanted.covers(value) if isinstance(wanted, OneOf) else value == wanted
        for value, wanted in zip(own, expected, strict=True)
    )


def new_connection(packet: Packet) -> Connection:
    """The connection that a packet opens, before any NAT."""
    own = tuple_of(packet)
    opened = meet(Tcp(), packet.fields.get("flags", SYN), False, False).tcp if own.proto == "tcp" else Tcp()
    return Connection(own, own.reversed(), tcp=opened, zones=zones_of(packet))


def zones_of(packet: Packet) -> tuple[Any, Any]:
    """The zones that the rules of raw have put a packet into, one for each direction."""
    return packet.fields.get("zone_orig", 0), packet.fields.get("zone_reply", 0)


SCTP_OPENERS = frozenset({"INIT", "HEARTBEAT", "SHUTDOWN_ACK"})
"""The chunks that open a connection (nf_conntrack_proto_sctp.c)."""

SYN = frozenset({"SYN"})
"""The flags of a TCP packet for which nobody gave any."""

UNPUBLISHED = 61234
"""A port that nobody publishes, for the question who reaches a host or a network at all."""


def opening(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a packet that opens a connection, with what was not said of them: it is a SYN or an echo request, comes
    from a port of a client's and goes to one that nobody publishes. A fragment behind the first one has no ports."""
    proto = fields["proto"]
    usual: dict[str, Any] = {}
    if proto in TRACKED_PORTS and not fields.get("fragment"):
        usual = {"sport": 40000, "dport": UNPUBLISHED}
    if proto == "tcp":
        usual["flags"] = SYN
    if proto in PINGS:
        usual = {"icmp_type": min(PINGS[proto]), "icmp_code": 0, "icmp_id": 1}
    others = {name: value for name, value in fields.items() if name not in usual}
    return {**others, **{name: fields.get(name, value) for name, value in usual.items()}}


def new_state(packet: Packet) -> str:
    """The state of a packet that belongs to no known connection (nf_conntrack_proto_tcp.c with tcp_loose, _icmp.c)."""
    f: dict[str, Any] = dict(packet.fields)
    if f["proto"] == "tcp":
        kind = kind_of(f.get("flags", SYN))
        return "INVALID" if kind is None or TABLE[False][kind]["NONE"] == "INVALID" else "NEW"
    if f["proto"] == "sctp":
        return "NEW" if f.get("chunks", SCTP_OPENERS) & SCTP_OPENERS else "INVALID"
    if f["proto"] == "icmp":
        return "NEW" if f.get("icmp_type", 8) in PINGS["icmp"] else "INVALID"
    if f["proto"] == "ipv6-icmp":
        kind = f.get("icmp_type", 128)
        return "UNTRACKED" if 130 <= kind <= 137 or kind == 143 else "NEW" if kind in PINGS["ipv6-icmp"] else "INVALID"
    return "NEW"
