"""Whether a packet that came in on a bridge is switched to another of its ports, and what the rules see of that.

After net/bridge/br_netfilter_hooks.c and net/bridge/br_forward.c.
"""

from __future__ import annotations

from typing import Any

from iptexplain.host.sysctls import BRIDGE_CALL
from iptexplain.host.topology import Endpoint, Topology
from iptexplain.rules.addresses import Address
from iptexplain.rules.matches.physdev import SOME_PORT
from iptexplain.walk.routing import Lost, way_in


class Bridging:
    """What becomes of packets that come in by interface ``name``; nothing, when it is no bridge."""

    def __init__(self, topology: Topology, name: str) -> None:
        self.topology, self.name = topology, name
        self.is_bridge = name in topology.bridges
        self.filtered = self.is_bridge and bool(topology.sysctl(BRIDGE_CALL[topology.family], 1))
        """Whether its packets are shown to iptables while they are switched."""

    def switches(self, fields: dict[str, Any]) -> bool:
        """Whether the packet's frame is meant for another machine on the bridge, not for the host."""
        sent_to = fields.get("mac_dst")
        owner = self.topology.endpoint_at(fields["dst"])
        # A machine has no frame for itself: what it sends to its own address it has sent to the host.
        is_sender = owner is not None and bool(owner.port) and owner.port == fields.get("physin")
        near = owner is not None and owner.interface == self.name and not is_sender
        return self.is_bridge and sent_to != "host" and (near or sent_to is not None)

    def keeps(self, address: Address) -> bool:
        """Whether a packet that was rewritten to ``address`` is switched now: its way leads out by the bridge it came in by."""
        route = self.topology.route(address)
        return bool(route and route.interface == self.name and not self.topology.is_local(address))

    def loses(self, fields: dict[str, Any]) -> str | None:
        """Why a rewritten packet gets to nobody: IPv4 does not let it in, the new address is nobody's, or it lies behind the
        port that it came in by, which only a port in hairpin mode sends out by again."""
        if self.topology.family == 4:
            out = way_in(self.topology, fields, self.name)
            if isinstance(out, Lost) and out.reason != "ttl":
                return out.reason
        owner = self.topology.endpoint_at(fields["dst"])
        if owner is None:
            listed = self.topology.known_addresses and self.topology.endpoints
            return "neighbour" if listed else None
        port = fields["physin"]
        hairpin = self.topology.ports.get(port, ("", False))[1]
        return "other" if owner.port == port and not hairpin else None

    def way_out(self, fields: dict[str, Any]) -> str:
        """The port that the frame leaves by."""
        owner = self._receiver(fields)
        return owner.port if owner and owner.port else SOME_PORT

    def _receiver(self, fields: dict[str, Any]) -> Endpoint | None:
        here = [e for e in self.topology.endpoints if e.interface == self.name]
        by_mac = next((e for e in here if e.mac and e.mac == fields.get("mac_dst")), None)
        return by_mac or next((e for e in here if fields["dst"] in e.addresses), None)
