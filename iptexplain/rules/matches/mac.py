"""-m mac"""

from __future__ import annotations

import re

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option
from iptexplain.rules.values import Family, Kind

_MAC = re.compile(r"[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}", re.ASCII | re.IGNORECASE).fullmatch


class MacAddress(Kind):
    """Six bytes in hexadecimal with colons between them, of one or two digits; saved with two."""

    def parse(self, text: str, family: Family) -> str:
        if not _MAC(text):
            raise OptionError(f"'{text}' is not a MAC address (XX:XX:XX:XX:XX:XX)")
        return ":".join(byte.zfill(2) for byte in text.lower().split(":"))


class Mac(Match):
    """The Ethernet address that the packet came from: that of the last hop, not of its first sender.

    It is the neighbour's address where the packet came in. A packet that did not come in by Ethernet (made by this
    host, from the loopback interface, a tunnel or a point-to-point link) never matches, inverted or not
    (net/netfilter/xt_mac.c).
    """

    name = "mac"
    chains = frozenset({"PREROUTING", "INPUT", "FORWARD"})
    options = (Option("--mac-source", MacAddress(), "mac_src", invert=True, required=True, nft="ether saddr"),)
    __slots__ = ()

    def answer(self, packet: Packet) -> Answer:
        """The field ``mac_src`` is empty for a packet without an Ethernet header."""
        no_ethernet = packet.field("mac_src") == "" or packet.field("iif") in ("", "lo")
        return Answer.NO if no_ethernet else super().answer(packet)
