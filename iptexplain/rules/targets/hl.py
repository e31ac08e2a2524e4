"""-j HL"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iptexplain.rules.answer import Packet
from iptexplain.rules.extension import Option, Target
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import no_form
from iptexplain.rules.targets.ttl import new_ttl
from iptexplain.rules.values import Family, Number


class HlTarget(Target):
    """Sets, raises or lowers the hop limit: how many more routers may pass the packet on; the next rule is asked.

    It stays within 0 to 255. Raising it on packets that leave the own network can make them circle for ever. Valid in
    the mangle table only (net/netfilter/xt_HL.c). IPv4 calls it time to live: ``-j TTL``.
    """

    name = "HL"
    families = (6,)
    tables = frozenset({"mangle"})
    needs = ("hl",)
    options = (
        Option("--hl-set", Number(0, 255), group="hl"),
        Option("--hl-dec", Number(1, 255), group="hl"),
        Option("--hl-inc", Number(1, 255), group="hl"),
    )
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> str:
        if self.get("hl_set") is None:
            raise no_form(self.settings[0].option.name)
        return f"ip6 hoplimit set {self.value('hl_set')}"

    def changes(self, packet: Packet) -> Mapping[str, Any]:
        return {"ttl": new_ttl(self, packet.field("ttl"))}
