"""What connection tracking makes of a packet on its way (net/netfilter/nf_conntrack_core.c)."""

from __future__ import annotations

from typing import Any

from iptexplain.rules.answer import Answer
from iptexplain.walk.conntrack import Connection, new_connection, new_state, zones_of
from iptexplain.walk.packet import Packet

WITHOUT = ("INVALID", "UNTRACKED", None)
"""The states of a packet that carries no connection; None: it was not looked up yet."""


class Tracking:
    """``given``: the state that somebody says it has; ``connection``: the known one that the packet belongs to, ``reply``: whether
    it goes the connection's other way.

    ``settled``: for an answer that the host itself sends, the ends of the connection that NAT has looked at already; such a
    packet carries the connection with it, RELATED (nf_ct_attach). None: an ordinary packet, which is looked up.
    """

    def __init__(
        self, given: str | None, connection: Connection | None, reply: bool, settled: frozenset[str] | None
    ) -> None:
        self.given, self.connection, self.reply = given, connection, reply
        self.attached = settled is not None
        self.settled = set({"src", "dst"} if settled is None and connection else settled or ())
        self.fresh = connection is None or (self.attached and not connection.known)
        """Whether the packet is the connection's first, which nobody knows before it was confirmed."""
        self.found = connection is not None
        """Whether the connection that was given is the packet's: not in another zone."""
        self.confirmed = False
        self.state: str | None = "RELATED" if self.attached else None
        self.first_state = self.state
        """What it was when the packet set out; an INVALID one is looked up again when it comes back by lo."""

    def look_up(self, packet: Packet) -> None:
        """At the hook of conntrack, behind raw, whose rules can exempt the packet (its field ``ctstate``)."""
        if self.attached:
            return
        if self.connection and self.connection.zones[self.reply] != zones_of(packet)[self.reply]:
            self.found = False
            self._forget(packet)
            self.given = None
        self.state = packet.fields.get("ctstate") or self.given or self._met(packet)
        self.first_state = self.first_state or self.state
        if self.connection is None and self.state not in WITHOUT:
            self.connection = new_connection(packet)

    def _met(self, packet: Packet) -> str:
        """The state that the packet finds; afterwards the connection stands as it leaves it."""
        if self.connection:
            state, met = self.connection.met_by(packet, self.reply)
            if met:
                self.connection = met
                return state
            self._forget(packet)
        return new_state(packet)

    def _forget(self, packet: Packet) -> None:
        packet.fields["connmark"] = 0
        self.connection, self.reply, self.fresh, self.settled = None, False, True, set()

    def confirm(self) -> None:
        """At the last hook of the way the connection is kept, unless the packet only answers (nf_confirm)."""
        if self.attached and self.reply:
            return
        self.confirmed = True
        if self.connection:
            self.connection = self.connection._replace(known=True)

    def remembered(self, mark: int) -> Connection | None:
        """The connection as it is known when the packet has passed; None: not at all, or no longer."""
        known = self.connection if self.confirmed or not self.fresh else None
        return None if known is None or known.gone else known._replace(mark=mark)

    def field(self, name: str) -> Any:
        """A field of the packet's entry, such as ``ctstate``."""
        if name == "ctstate":
            return self.state or "INVALID"
        if name == "ctdir":
            return "REPLY" if self.reply else "ORIGINAL"
        value = self.connection.field(name) if self.connection else None
        return Answer.UNKNOWN if value is None else value
