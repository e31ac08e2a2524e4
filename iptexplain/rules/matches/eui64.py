"""-m eui64"""

from __future__ import annotations

from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match


class Eui64(Match):
    """IPv6 packets whose source address ends in the sender's MAC address, as autoconfiguration makes it (EUI-64).

    The lower 64 bits are the MAC address with ff:fe in the middle and the second lowest bit of its first byte flipped.
    Only packets from an Ethernet interface can match, in PREROUTING, INPUT and FORWARD
    (net/ipv6/netfilter/ip6t_eui64.c).
    """

    name = "eui64"
    families = (6,)
    chains = frozenset({"PREROUTING", "INPUT", "FORWARD"})
    __slots__ = ()

    def answer(self, packet: Packet) -> Answer:
        mac, source = packet.field("mac_src"), packet.field("src")
        if mac is Answer.UNKNOWN or source is Answer.UNKNOWN:
            return Answer.UNKNOWN
        if not mac:
            return Answer.NO
        first, *rest = bytes.fromhex(mac.replace(":", ""))
        expected = bytes((first ^ 2, *rest[:2], 0xFF, 0xFE, *rest[2:]))
        return Answer.of(source.number & 0xFFFFFFFFFFFFFFFF == int.from_bytes(expected, "big"))
