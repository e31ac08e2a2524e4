"""-j SYNPROXY"""

from __future__ import annotations

from iptexplain.rules.answer import Packet
from iptexplain.rules.extension import Option, Target
from iptexplain.rules.values import Family, Number


class LowBits(Number):
    """A 32-bit number of which the field keeps the lower bits."""

    def __init__(self, mask: int) -> None:
        super().__init__()
        self.mask = mask

    def parse(self, text: str, family: Family) -> int:
        return super().parse(text, family) & self.mask


class Synproxy(Target):
    """Answers a TCP connection's first packets for the server, and connects to it only when the client is real.

    Against floods of SYN packets: they must be UNTRACKED (``-j CT --notrack`` in raw), and the sysctl
    net.netfilter.nf_conntrack_tcp_loose be 0. A SYN and the client's ACK end here: this host answers them, or drops a
    wrong one. For any other packet the next rule is asked. The options are those that the server itself would name.
    Needs ``-p tcp``, and is valid in INPUT and FORWARD (net/ipv4/netfilter/ipt_SYNPROXY.c).
    """

    name = "SYNPROXY"
    verdict = "UNKNOWN"
    protocols = frozenset({"tcp"})
    chains = frozenset({"INPUT", "FORWARD"})
    options = (
        Option("--sack-perm"),
        Option("--timestamp"),
        Option("--wscale", LowBits(0xFF)),
        Option("--mss", LowBits(0xFFFF)),
        Option("--ecn"),
    )
    __slots__ = ()

    def decide(self, packet: Packet) -> str | None:
        """DROP: the packet itself goes no further."""
        flags = packet.field("flags")
        if not isinstance(flags, frozenset):
            return self.verdict
        return "DROP" if flags & {"SYN", "ACK", "FIN", "RST"} in ({"SYN"}, {"ACK"}) else None
