"""-j REDIRECT"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Packet
from iptexplain.rules.extension import Option, Setting
from iptexplain.rules.nat import NatPorts, NatRange, NatTarget
from iptexplain.rules.values import Family


class Redirect(NatTarget):
    """DNAT to this host itself: to the address of the interface by which the packet came.

    The kernel takes the interface's first address and drops the packet when there is none; packets of this host go to
    127.0.0.1 or ::1 (net/netfilter/nf_nat_redirect.c). Without ``--to-ports`` the port is kept.
    """

    name = "REDIRECT"
    manip = "dst"
    called_by_nft = "redirect"
    chains = frozenset({"PREROUTING", "OUTPUT"})
    options = (
        Option("--to-ports", NatPorts()),
        Option("--random"),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        if "to_ports" in given and given["to_ports"].value.base is not None:
            raise OptionError("REDIRECT: a range of ports cannot be counted from a port, DNAT can")

    def translation(self, packet: Packet) -> NatRange:
        """No address: the kernel takes the incoming interface's."""
        return self.value("to_ports") or NatRange()
