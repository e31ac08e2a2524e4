"""-m physdev"""

from __future__ import annotations

from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.model import Rule
from iptexplain.rules.values import Family, InterfaceName

SOME_PORT = "/"
"""A port of a bridge whose name nobody gave; no interface can be called so."""


class Physdev(Match):
    """The bridge's ports that a packet comes in and leaves by; ``-i`` and ``-o`` name the bridge itself.

    The kernel knows the port that a packet came in by while it is in this host, and the port that it leaves by only
    when it is bridged, from FORWARD on (``--physdev-is-bridged``). A packet that did not come in on a bridge matches
    when all options are inverted, and else never. Of one that did, ``--physdev-out`` never matches while the outgoing
    port is not known, inverted or not. Bridged packets come to iptables only where net.bridge.bridge-nf-call-iptables
    is on (net/netfilter/xt_physdev.c).
    """

    name = "physdev"
    needs_any = True
    options = (
        Option("--physdev-is-in", invert=True),
        Option("--physdev-in", InterfaceName(), "physin", invert=True),
        Option("--physdev-is-out", invert=True),
        Option("--physdev-out", InterfaceName(), "physout", invert=True),
        Option("--physdev-is-bridged", invert=True),
    )
    __slots__ = ()

    def refuse(self, rule: Rule, table: str, family: Family) -> str | None:
        """In OUTPUT nobody knows yet by which port the packet will leave."""
        bridged = self.get("physdev_is_bridged")
        asks_out = self.get("physdev_out") or self.get("physdev_is_out")
        if rule.chain == "OUTPUT" and asks_out and (bridged is None or bridged.inverted):
            return f"{asks_out.option.name} is not valid in OUTPUT"
        return super().refuse(rule, table, family)

    def answer(self, packet: Packet) -> Answer:
        """The fields ``physin`` and ``physout`` are empty where no port of a bridge is concerned."""
        unbridged = Answer.of(all(s.inverted for s in self.settings))
        entered = packet.field("physin")
        if entered == "":
            return unbridged
        bridged = super().answer(packet)
        is_known = entered is not Answer.UNKNOWN or packet.field("physout") not in ("", Answer.UNKNOWN)
        return bridged if is_known or bridged is unbridged else Answer.UNKNOWN

    def holds(self, setting: Setting, packet: Packet) -> Answer:
        """Of a packet that came in on a bridge."""
        option, _, inverted = setting
        if option.key == "physdev_is_in":
            return Answer.of(not inverted)
        port = packet.field("physin" if option.key == "physdev_in" else "physout")
        if option.kind is None and port is not Answer.UNKNOWN:
            return Answer.of((port != "") != inverted)
        if port == SOME_PORT:
            return Answer.UNKNOWN
        return Answer.NO if port == "" else super().holds(setting, packet)
