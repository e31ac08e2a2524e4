"""-m dccp"""

from __future__ import annotations

from iptexplain.rules.extension import Option
from iptexplain.rules.headers import TransportMatch
from iptexplain.rules.values import Flags, Number, PortRange

TYPES = Flags(
    "REQUEST", "RESPONSE", "DATA", "ACK", "DATAACK", "CLOSEREQ", "CLOSE", "RESET", "SYNC", "SYNCACK", "INVALID"
)


class Dccp(TransportMatch):
    """The ports, packet types and options of DCCP, datagrams with congestion control (RFC 4340).

    Loaded by ``-p dccp`` itself when one of its options is used. INVALID stands for the type numbers that nobody uses.
    Linux itself no longer speaks DCCP since 6.16, but routers still filter it (net/netfilter/xt_dccp.c).
    """

    name = "dccp"
    protocols = frozenset({"dccp"})
    options = (
        Option("--sport", PortRange(ordered=False), "sport", invert=True, aliases=("--source-port",), nft="dccp sport"),
        Option(
            "--dport", PortRange(ordered=False), "dport", invert=True, aliases=("--destination-port",), nft="dccp dport"
        ),
        Option("--dccp-types", TYPES, invert=True),
        Option("--dccp-option", Number(1, 255), invert=True),
    )
    __slots__ = ()
