"""-m helper"""

from __future__ import annotations

from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option
from iptexplain.rules.matches.conntrack import NO_CONNECTION
from iptexplain.rules.values import Family, Text


class HelperName(Text):
    """A helper's name, cut off after 29 bytes, perhaps with a port behind it (``ftp-2121``); empty: any helper."""

    def parse(self, text: str, family: Family) -> str:
        return text.encode(errors="surrogateescape")[:29].decode(errors="surrogateescape")

    def contains(self, value: str, actual: str) -> bool:
        return actual != "" and value.startswith(actual) if value else actual != ""


class Helper(Match):
    """Connections that a helper of connection tracking announced, such as the data connections of FTP.

    The helper is the one of the connection that announced this one; the packets of that connection itself do not match.
    The name matches when it begins with the helper's name. Without such a helper only an inverted match holds
    (net/netfilter/xt_helper.c).
    """

    name = "helper"
    options = (Option("--helper", HelperName(), "helper", invert=True, required=True),)
    __slots__ = ()

    def answer(self, packet: Packet) -> Answer:
        """The field ``helper`` is empty for a connection that no helper announced; a packet without one has none."""
        if packet.field("ctstate") in NO_CONNECTION:
            return Answer.of(self.settings[0].inverted)
        return super().answer(packet)
