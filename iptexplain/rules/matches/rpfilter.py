"""-m rpfilter"""

from __future__ import annotations

from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import no_form
from iptexplain.rules.values import Family


class Rpfilter(Match):
    """The reverse path test: would an answer to this packet leave by the interface that it came in on?

    A packet with a forged source address mostly fails it. ``--loose`` is content with a route by any interface,
    ``--validmark`` looks the route up with the packet's mark, ``--accept-local`` also takes packets whose source is an
    address of this host, and ``--invert`` matches the packets that fail. Packets from the loopback interface always
    pass; everything else depends on the routes. Only in PREROUTING of raw and mangle, since Linux 3.3
    (net/ipv4/netfilter/ipt_rpfilter.c, net/ipv6/netfilter/ip6t_rpfilter.c).
    """

    name = "rpfilter"
    tables = frozenset({"raw", "mangle"})
    chains = frozenset({"PREROUTING"})
    options = (
        Option("--loose"),
        Option("--validmark"),
        Option("--accept-local"),
        Option("--invert"),
    )
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> list[str]:
        if self.get("accept_local"):
            raise no_form("--accept-local")
        mark, by = " . mark" * bool(self.get("validmark")), " . iif" * (not self.get("loose"))
        return [f"fib saddr{mark}{by} oif {'missing' if self.get('invert') else 'exists'}"]

    def answer(self, packet: Packet) -> Answer:
        """The field ``way_back:OPTIONS`` says whether the test passes with the options loose and accept-local."""
        asked = ",".join(s.option.name[2:] for s in self.settings if s.option.key in ("loose", "accept_local"))
        passes = packet.field(f"way_back:{asked}")
        passes = (
            Answer.YES if packet.field("iif") == "lo" else passes if passes is Answer.UNKNOWN else Answer.of(passes)
        )
        return ~passes if self.get("invert") else passes
