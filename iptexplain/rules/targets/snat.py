"""-j SNAT"""

from __future__ import annotations

from iptexplain.rules.answer import Packet
from iptexplain.rules.extension import Option
from iptexplain.rules.nat import NatRange, NatRangeKind, NatTarget


class Snat(NatTarget):
    """Rewrites the source, after the packet is routed, so that the answers come to that address.

    The rules are asked for a connection's first packet; its later packets are rewritten alike, and the answers get the
    old address back as their destination. The port is kept where it is free, and is otherwise replaced by one of the
    same class: below 512, 512 to 1023, or above. ``--random`` and ``--random-fully`` (since Linux 3.14) choose it at
    random, ``--persistent`` gives one client always the same address. Valid in INPUT since Linux 2.6.36
    (net/netfilter/nf_nat_core.c).
    """

    name = "SNAT"
    manip = "src"
    called_by_nft = "snat"
    chains = frozenset({"POSTROUTING", "INPUT"})
    options = (
        Option("--to-source", NatRangeKind(), required=True),
        Option("--random"),
        Option("--random-fully"),
        Option("--persistent"),
    )
    __slots__ = ()

    def translation(self, packet: Packet) -> NatRange:
        chosen: NatRange = self.value("to_source")
        return chosen
