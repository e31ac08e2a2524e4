"""-m icmp6"""

from __future__ import annotations

from iptexplain.rules.extension import Option
from iptexplain.rules.matches.icmp import IcmpMatch, IcmpType, IcmpTypeKind

NAMES = {
    "destination-unreachable": IcmpType(1),
    "no-route": IcmpType(1, 0), "communication-prohibited": IcmpType(1, 1), "beyond-scope": IcmpType(1, 2),
    "address-unreachable": IcmpType(1, 3), "port-unreachable": IcmpType(1, 4), "failed-policy": IcmpType(1, 5),
    "reject-route": IcmpType(1, 6),
    "packet-too-big": IcmpType(2),
    "time-exceeded": IcmpType(3), "ttl-exceeded": IcmpType(3),
    "ttl-zero-during-transit": IcmpType(3, 0), "ttl-zero-during-reassembly": IcmpType(3, 1),
    "parameter-problem": IcmpType(4), "bad-header": IcmpType(4, 0), "unknown-header-type": IcmpType(4, 1),
    "unknown-option": IcmpType(4, 2),
    "echo-request": IcmpType(128), "ping": IcmpType(128),
    "echo-reply": IcmpType(129),
    "router-solicitation": IcmpType(133), "router-advertisement": IcmpType(134),
    "neighbour-solicitation": IcmpType(135), "neighbor-solicitation": IcmpType(135),
    "neighbour-advertisement": IcmpType(136), "neighbor-advertisement": IcmpType(136),
    "redirect": IcmpType(137),
}  # fmt: skip


class Icmp6(IcmpMatch):
    """The type of an ICMPv6 message, by number or name, and its code; loaded by ``-p ipv6-icmp`` itself.

    A type without a code stands for all of its codes. Fragments after the first carry no ICMPv6 header: they never
    match (net/ipv6/netfilter/ip6_tables.c).
    """

    name = "icmp6"
    kind = IcmpTypeKind(NAMES)
    families = (6,)
    protocols = frozenset({"ipv6-icmp"})
    options = (Option("--icmpv6-type", kind, invert=True, required=True),)
    __slots__ = ()
