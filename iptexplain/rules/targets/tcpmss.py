"""-j TCPMSS"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Option, Setting, Target
from iptexplain.rules.matches.tcpmss import MSS
from iptexplain.rules.model import Rule
from iptexplain.rules.values import Family, Number

WITHOUT: dict[int, int] = {4: 536, 6: 1220}
"""The largest segment that a receiver must take when nobody told a size (RFC 9293)."""


class TcpmssTarget(Target):
    """Lowers the maximum segment size that the two ends of a TCP connection tell each other; the next rule is asked.

    It is how much data one packet may carry. ``--clamp-mss-to-pmtu`` fits it to the smallest packet size (MTU) on the
    way out and back that this host knows of, less the headers; it needs a route and so FORWARD, OUTPUT or POSTROUTING.
    It is never raised; where a SYN names none, one is added, of at most 536 (IPv6: 1220). The last option given counts.
    iptables-legacy takes it only with a match of SYN packets (net/netfilter/xt_TCPMSS.c).
    """

    name = "TCPMSS"
    protocols = frozenset({"tcp"})
    needs = ("mss",)
    options = (
        Option("--set-mss", Number(0, 65515), group="mss"),
        Option("--clamp-mss-to-pmtu", group="mss"),
    )
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> str:
        """Where a SYN names no size, nft adds none."""
        return f"tcp option maxseg size set {'rt mtu' if self.get('clamp_mss_to_pmtu') else self.value('set_mss')}"

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        limit = {4: 65515, 6: 65495}[family]
        if "set_mss" in given and given["set_mss"].value > limit:
            raise OptionError(f"TCPMSS: --set-mss is out of range 0-{limit}")
        for key in list(given)[:-1]:
            del given[key]

    def refuse(self, rule: Rule, table: str, family: Family) -> str | None:
        if self.get("clamp_mss_to_pmtu") and rule.chain in ("PREROUTING", "INPUT"):
            return f"--clamp-mss-to-pmtu is only valid in FORWARD, OUTPUT or POSTROUTING, not in {rule.chain}"
        return super().refuse(rule, table, family)

    def changes(self, packet: Packet) -> Mapping[str, Any]:
        """A segment that has no such option gets it, with at most what a receiver must take anyway."""
        old, wanted, listed = packet.field("tcpmss"), self.value("set_mss"), packet.field("tcp_options")
        changes: dict[str, Any] = {}
        if listed is not Answer.UNKNOWN and MSS not in listed:
            changes["tcp_options"], old = listed | {MSS}, WITHOUT[getattr(packet.field("src"), "family", 4)]
        unknown = old is Answer.UNKNOWN or wanted is None
        return {**changes, "tcpmss": Answer.UNKNOWN if unknown else min(old, wanted)}
