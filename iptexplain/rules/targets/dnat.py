"""-j DNAT"""

from __future__ import annotations

from iptexplain.rules.answer import Packet
from iptexplain.rules.extension import Option
from iptexplain.rules.nat import NatRange, NatRangeKind, NatTarget


class Dnat(NatTarget):
    """Rewrites the destination, before the packet is routed: this is how a port of the host is published.

    The rules are asked for a connection's first packet; its later packets are rewritten alike, and the answers get the
    old address back as their source. Of several addresses one is chosen by a hash of source and destination
    (``--persistent``: of the source alone), of several ports the first that is free, or one at random (``--random``).
    ``PORT-PORT/BASE`` shifts: the packet's port minus BASE is where in the range to go (since Linux 4.18). Without an
    address, or without a port, that part is kept (net/netfilter/nf_nat_core.c).
    """

    name = "DNAT"
    manip = "dst"
    called_by_nft = "dnat"
    chains = frozenset({"PREROUTING", "OUTPUT"})
    options = (
        Option("--to-destination", NatRangeKind(shifted=True), required=True),
        Option("--random"),
        Option("--persistent"),
    )
    __slots__ = ()

    def translation(self, packet: Packet) -> NatRange:
        chosen: NatRange = self.value("to_destination")
        return chosen
