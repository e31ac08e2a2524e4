"""Packets from JSON, one after the other, with the connections that they belong to."""

from __future__ import annotations

from typing import Any

from iptexplain.errors import OptionError
from iptexplain.host.topology import Topology
from iptexplain.rules.model import Ruleset
from iptexplain.walk.conntrack import Connection, Tuple
from iptexplain.walk.outcome import Trace
from iptexplain.walk.packet import Packet, read_fields
from iptexplain.walk.trace import trace

ABOUT_OTHERS = ("after", "dir", "icmp_error", "inner")


class Flows:
    """Traces packets of one ruleset; a packet with ``after`` belongs to the connection of an earlier one."""

    def __init__(self, ruleset: Ruleset, topology: Topology) -> None:
        self.ruleset, self.topology = ruleset, topology
        self.traces: list[Trace] = []
        self.known: dict[Tuple, Connection] = {}
        """The connections by their first packet, as they stand after the last packet."""

    def trace(self, packet: dict[str, Any]) -> Trace:
        """One packet as design section 6 of the JSON writes it; raises OptionError for what it cannot be."""
        if not isinstance(packet, dict):
            raise OptionError("a packet is a JSON object")
        wrong = [k for k in ("src", "dst") if not isinstance(packet.get(k), str)]
        if wrong:
            raise OptionError(f"{wrong[0]} must be an address, as a text")
        fields = {k: v for k, v in packet.items() if k not in ABOUT_OTHERS and v is not None}
        typed = Packet({"iif": "", **read_fields(fields)})
        missing = [k for k in ("src", "dst", "proto") if k not in typed.fields]
        if missing:
            raise OptionError(f"a packet needs {', '.join(missing)}")
        connection, reply = self._connection(packet)
        about = connection is not None and bool(packet.get("icmp_error"))
        if connection and about:
            typed = typed.with_fields(ctstate="RELATED")
        elif connection:
            connection = connection.met_by(typed, reply)
        answer = trace(self.ruleset, self.topology, typed, connection, reply)
        self.traces.append(answer)
        if answer.connection and answer.state not in ("INVALID", "UNTRACKED"):
            self.known[answer.connection.original] = answer.connection
        return answer

    def _connection(self, packet: dict[str, Any]) -> tuple[Connection | None, bool]:
        """The connection that a packet belongs to as it stands now, and whether the packet goes its other way."""
        after = packet.get("after")
        if after is None:
            return None, False
        if not isinstance(after, int) or not 0 <= after < len(self.traces):
            raise OptionError(f"after: there is no earlier packet {after}")
        earlier = self.traces[after]
        reply = (packet.get("dir", "reply") == "reply") != earlier.reply
        if earlier.connection is None:
            return None, False
        return self.known.get(earlier.connection.original, earlier.connection), reply
