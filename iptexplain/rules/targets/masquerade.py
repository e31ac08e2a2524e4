"""-j MASQUERADE"""

from __future__ import annotations

from iptexplain.rules.answer import Packet
from iptexplain.rules.extension import Option
from iptexplain.rules.nat import NatPorts, NatRange, NatTarget


class Masquerade(NatTarget):
    """SNAT to the address that the outgoing interface has at that moment: the one that the host itself would use.

    The kernel takes the address preferred on the way to the next hop, and drops the packet when the interface has none.
    The connections are forgotten when the interface goes down or loses the address. Since Linux 5.0 ``--random`` does
    the same as ``--random-fully`` (net/netfilter/nf_nat_masquerade.c).
    """

    name = "MASQUERADE"
    manip = "src"
    called_by_nft = "masquerade"
    chains = frozenset({"POSTROUTING"})
    options = (
        Option("--to-ports", NatPorts()),
        Option("--random"),
        Option("--random-fully"),
    )
    __slots__ = ()

    def translation(self, packet: Packet) -> NatRange:
        """No address: the kernel takes the outgoing interface's."""
        return self.value("to_ports") or NatRange()
