"""A packet as the rules see it while it is on its way: what the walk knows of it is answered when a rule asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from iptexplain.host.topology import Topology
from iptexplain.rules.answer import Answer
from iptexplain.walk.conntrack import KNOWN
from iptexplain.walk.packet import OneOf, Packet
from iptexplain.walk.routing import way_back


class Seen(Packet):
    """``topology`` answers for addresses and sets, ``tracked`` for the fields of the packet's connection."""

    __slots__ = ("topology", "tracked")

    def __init__(self, fields: dict[str, Any], topology: Topology, tracked: Callable[[str], Any]) -> None:
        super().__init__(fields)
        self.topology, self.tracked = topology, tracked

    def _is_rewritten(self) -> bool:
        """Whether somebody says that it is an answer, or that NAT rewrites it, and not of which connection."""
        status = str(self.fields.get("ctstatus", "")).split(",")
        is_said = self.fields.get("ctdir") == "REPLY" or not {"SNAT", "DNAT"}.isdisjoint(status)
        return is_said and self.tracked("ctstate") in KNOWN

    def field(self, name: str) -> Any:
        if name in self.fields:
            value = self.fields[name]
            return Answer.UNKNOWN if isinstance(value, OneOf) else value
        if name.startswith("ct"):
            value = (
                Answer.UNKNOWN if name.startswith(("ctorig", "ctrepl")) and self._is_rewritten() else self.tracked(name)
            )
            return Answer.UNKNOWN if isinstance(value, OneOf) else value
        if name.startswith("set:"):
            if any(isinstance(self.fields.get(end), OneOf) for end in ("src", "dst", "sport", "dport")):
                return Answer.UNKNOWN
            _, title, sides = name.split(":", 2)
            member = self.topology.ipsets.contains(title, sides.split(","), self.fields)
            return Answer.UNKNOWN if member is None else member
        if name == "pkttype":
            return self.topology.frame_kind(self.fields["dst"], self.fields["iif"])
        if name.startswith("way_back:") and self.topology.known_addresses and self.topology.routes:
            return way_back(self.topology, self.fields["src"], self.fields["iif"], "loose" in name, "local" in name)
        kind, _, interface = name.partition("@")
        if kind in ("src_type", "dst_type"):
            address = self.fields[kind[:3]]
            if isinstance(address, OneOf):
                return Answer.UNKNOWN
            found = self.topology.type_at(address, interface) if interface else self.topology.address_type(address)
            return found or Answer.UNKNOWN
        return super().field(name)
