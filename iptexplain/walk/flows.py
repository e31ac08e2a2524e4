"""Packets from JSON, one after the other, with the connections that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from iptexplain.errors import OptionError
from iptexplain.host.topology import Topology
from iptexplain.rules.model import Ruleset
from iptexplain.rules.values import Family
from iptexplain.walk.conntrack import Connection, Tuple, opening, tuple_of
from iptexplain.walk.outcome import Trace
from iptexplain.walk.packet import Packet, read_fields
from iptexplain.walk.trace import trace

ABOUT_OTHERS = ("after", "dir", "icmp_error", "inner")
DIRECTIONS = ("same", "reply")


T = TypeVar("T")


def earlier(after: object, packets: Sequence[T]) -> T:
    """The packet, of those so far, that ``after`` numbers; raises OptionError when there is none."""
    if not isinstance(after, int) or not 0 <= after < len(packets):
        raise OptionError(f"after: there is no earlier packet {after}; {len(packets)} stand before this one")
    return packets[after]


class Sent(NamedTuple):
    """A packet that was traced: the first one of its flow, its connection's original tuple, whether it went the other way."""

    first: int
    connection: Tuple | None
    reply: bool


class Flows:
    """Traces packets through one ruleset, and what the other backend holds ``beside`` it. A packet with ``after`` follows an
    earlier one, and meets the connections that the packets of that flow have opened; flows do not know each other."""

    def __init__(self, ruleset: Ruleset, topology: Topology, beside: Ruleset | None = None) -> None:
        self.ruleset, self.topology, self.beside = ruleset, topology, beside
        self.sent: list[Sent] = []
        """The packets so far."""
        self._known: dict[int, dict[Tuple, Connection]] = {}
        """First packet of a flow → the flow's connections as they stand now, by their original tuple."""

    def trace(self, packet: dict[str, Any]) -> Trace:
        """The way of a packet as JSON has it: its fields, and ``after`` (the number of an earlier packet), ``dir`` (same or reply,
        which it is without), ``icmp_error`` and ``inner`` (the fields of the packet that the error quotes). What it leaves out
        of a first packet, and the flags of a later one, are filled in.

        Raises OptionError for what it cannot be.
        """
        if not isinstance(packet, dict):
            raise OptionError("a packet is a JSON object")
        _check_about(packet, self.topology.family)
        typed = _typed({k: v for k, v in packet.items() if k not in ABOUT_OTHERS}, self.topology.family)
        if packet.get("after") is None:
            typed = Packet(opening(typed.fields))
        answers = packet.get("after") is not None and packet.get("dir", "reply") == "reply"
        if answers and typed.fields["proto"] == "sctp":
            typed = typed.with_fields(chunks=typed.fields.get("chunks", frozenset({"INIT_ACK"})))
        first = self._flow(packet.get("after"))
        connection, reply = self._connection(packet, typed, first)
        if connection and typed.fields["proto"] == "tcp" and "flags" not in typed.fields:
            typed = typed.with_fields(flags=connection.next_flags(reply))
        if connection and packet.get("icmp_error"):
            typed = typed.with_fields(ctstate="RELATED")
        taken = [
            end for c in self._known.get(first, {}).values() if c is not connection for end in (c.original, c.reply)
        ]
        answer = trace(self.ruleset, self.topology, typed, connection, reply, taken, self.beside)
        self.sent.append(Sent(first, answer.connection.original if answer.connection else None, answer.reply))
        known = self._known.setdefault(first, {})
        if connection and answer.found:
            known.pop(connection.original, None)
        if answer.connection:
            known[answer.connection.original] = answer.connection
        return answer

    def _flow(self, after: Any) -> int:
        """The first packet of the flow that a packet belongs to: its own number when it opens one."""
        if after is None:
            return len(self.sent)
        return earlier(after, self.sent).first

    def _connection(self, packet: dict[str, Any], typed: Packet, first: int) -> tuple[Connection | None, bool]:
        """The connection that a packet belongs to as it stands now, and whether the packet goes its other way.

        The kernel finds it by the packet's own ends, for an ICMP error by those of the packet that it quotes (``inner``), turned
        around, which must have come from where the error goes to (nf_conntrack_inet_error). Where they are not given in
        full it is the connection of the packet that this one follows.
        """
        after, known = packet.get("after"), self._known.get(first, {})
        if after is None:
            return None, False
        quoted = packet.get("inner") if packet.get("icmp_error") else None
        own = tuple_of(_quoted(quoted, typed.dst.family)).reversed() if quoted else tuple_of(typed)
        if (quoted or not packet.get("icmp_error")) and own.is_whole:
            return self._found(own, known) if not quoted or own.dst == typed.dst else (None, False)
        earlier = self.sent[after]
        found = known.get(earlier.connection) if earlier.connection else None
        return found, bool(found) and (packet.get("dir", "reply") == "reply") != earlier.reply

    def _found(self, own: Tuple, known: dict[Tuple, Connection]) -> tuple[Connection | None, bool]:
        """The connection one of whose directions is ``own``."""
        for connection in known.values():
            reply = connection.way_of(own)
            if reply is not None:
                # An answer shows what NAT has chosen.
                return (connection._replace(reply=own), True) if reply else (connection, False)
        return None, False


def _check_about(packet: dict[str, Any], family: Family) -> None:
    """What a packet says of an earlier one; raises OptionError. An ICMP error may quote (``inner``) what nobody has sent."""
    if packet.get("dir") not in (None, *DIRECTIONS):
        raise OptionError(f"dir: {packet['dir']!r} is neither of {' and '.join(DIRECTIONS)}")
    alone = next((k for k in ("dir", "icmp_error") if packet.get(k) and packet.get("after") is None), None)
    if alone:
        raise OptionError(f"{alone} is about an earlier packet: say with after which one")
    if packet.get("inner") is not None:
        _quoted(packet["inner"], family)


def _typed(packet: dict[str, Any], family: Family) -> Packet:
    """A packet by its fields, of which null is none; raises OptionError."""
    wrong = [k for k in ("src", "dst") if not isinstance(packet.get(k), str)]
    if wrong:
        raise OptionError(f"{wrong[0]} must be an address, as a text")
    if not isinstance(packet.get("iif"), str | None):
        raise OptionError("iif must be an interface, as a text")
    fields = read_fields({k: v for k, v in packet.items() if v is not None})
    if "proto" not in fields:
        raise OptionError("a packet needs proto")
    for end in ("src", "dst"):
        if fields[end].family != family:
            raise OptionError(f"{end}: {fields[end]} is IPv{fields[end].family}, but the rules asked are IPv{family}")
    return Packet({"iif": "", **fields})


def _quoted(inner: Any, family: Family) -> Packet:
    """The packet that an ICMP error quotes; raises OptionError."""
    if not isinstance(inner, dict):
        raise OptionError("inner: the quoted packet is a JSON object")
    try:
        return _typed(inner, family)
    except OptionError as e:
        raise OptionError(f"inner: {e.message}") from None
