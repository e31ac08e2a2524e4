"""-j NETMAP"""

from __future__ import annotations

from iptexplain.rules.addresses import BITS, Address, Network, NetworkKind, to_network
from iptexplain.rules.answer import Packet
from iptexplain.rules.extension import Option
from iptexplain.rules.nat import NatRange, NatTarget
from iptexplain.rules.values import Family


class MappedNetwork(NetworkKind):
    """``ADDRESS[/MASK]``; a mask that is no prefix counts as one of the whole address (libxtables)."""

    def parse(self, text: str, family: Family) -> Network:
        network = super().parse(text, family)
        return network if network.prefix is not None else to_network(text.partition("/")[0], family)


class Netmap(NatTarget):
    """Maps a network onto another, one to one: the network part of the address is replaced, the host part is kept.

    Before routing (PREROUTING, OUTPUT) it is the destination that is rewritten, after it (INPUT, POSTROUTING) the
    source (net/netfilter/xt_NETMAP.c).
    """

    name = "NETMAP"
    chains = frozenset({"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"})
    options = (Option("--to", MappedNetwork(), required=True),)
    __slots__ = ()

    def translation(self, packet: Packet) -> NatRange:
        """The one address that the packet's is mapped to; where its field ``hook`` is not known, the whole network."""
        network: Network = self.value("to")
        host = network.mask ^ (1 << BITS[network.family]) - 1
        side = {"PREROUTING": "dst", "OUTPUT": "dst", "INPUT": "src", "POSTROUTING": "src"}.get(packet.field("hook"))
        old = packet.field(side) if side else None
        if not isinstance(old, Address):
            return NatRange(Address(network.family, network.number), Address(network.family, network.number | host))
        new = Address(network.family, network.number | old.number & host)
        return NatRange(new, new)
