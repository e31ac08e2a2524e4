"""-m multiport"""

from __future__ import annotations

from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import compared
from iptexplain.rules.values import Family, PortList


class Multiport(Match):
    """Up to fifteen ports or ranges of ports (a range counts as two) at once; the rule names the protocol.

    ``--ports`` asks whether the source or the destination is one of them; inverted, neither is. Fragments after the
    first carry no ports: they never match (net/netfilter/xt_multiport.c).
    """

    name = "multiport"
    reads_header = True
    needs = ("ports",)
    protocols = frozenset({"tcp", "udp", "udplite", "sctp", "dccp"})
    options = (
        Option("--sports", PortList(), "sport", invert=True, aliases=("--source-ports",), group="ports"),
        Option("--dports", PortList(), "dport", invert=True, aliases=("--destination-ports",), group="ports"),
        Option("--ports", PortList(), invert=True, group="ports"),
    )
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> list[str]:
        """``--ports`` are two alternatives, of which the second asks that the first fails."""
        setting = self.settings[0]
        asked, refused = setting._replace(inverted=False), setting._replace(inverted=True)
        ends = [f"{rule.parameters.protocol} {end}" for end in ("sport", "dport")]
        if setting.option.key != "ports":
            return [compared(setting, family, ends[setting.option.key == "dports"])]
        neither = " ".join(compared(refused, family, end) for end in ends)
        one, other = (compared(asked, family, end) for end in ends)
        return [neither] if setting.inverted else [one, f"{compared(refused, family, ends[0])} {other}"]

    def holds(self, setting: Setting, packet: Packet) -> Answer:
        option, _, inverted = setting
        if option.field is not None:
            return super().holds(setting, packet)
        ends = (setting._replace(option=option._replace(field=field), inverted=False) for field in ("sport", "dport"))
        source, destination = (super(Multiport, self).holds(end, packet) for end in ends)
        return ~(source | destination) if inverted else source | destination
