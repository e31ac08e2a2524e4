"""-j TTL"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Extension, Option, Target
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import no_form
from iptexplain.rules.values import Family, Number


class TtlTarget(Target):
    """Sets, raises or lowers the time to live: how many more routers may pass the packet on; the next rule is asked.

    It stays within 0 to 255. Raising it on packets that leave the own network can make them circle for ever. Valid in
    the mangle table only (net/netfilter/xt_HL.c). IPv6 calls it hop limit: ``-j HL``.
    """

    name = "TTL"
    families = (4,)
    tables = frozenset({"mangle"})
    needs = ("ttl",)
    options = (
        Option("--ttl-set", Number(0, 255), group="ttl"),
        Option("--ttl-dec", Number(1, 255), group="ttl"),
        Option("--ttl-inc", Number(1, 255), group="ttl"),
    )
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> str:
        if self.get("ttl_set") is None:
            raise no_form(self.settings[0].option.name)
        return f"ip ttl set {self.value('ttl_set')}"

    def changes(self, packet: Packet) -> Mapping[str, Any]:
        return {"ttl": new_ttl(self, packet.field("ttl"))}


def new_ttl(target: Extension, old: Any) -> Any:
    """What --ttl-set, --ttl-dec, --ttl-inc (--hl-set …) make of a TTL."""
    option, value, _ = target.settings[0]
    if option.name.endswith("-set"):
        return value
    if old is Answer.UNKNOWN:
        return old
    return max(0, old - value) if option.name.endswith("-dec") else min(255, old + value)
