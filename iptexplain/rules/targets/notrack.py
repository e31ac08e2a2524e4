"""-j NOTRACK"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iptexplain.rules.answer import Packet
from iptexplain.rules.extension import Target
from iptexplain.rules.model import Rule
from iptexplain.rules.targets.ct import untracked
from iptexplain.rules.values import Family


class Notrack(Target):
    """Leaves the packet out of connection tracking: its state is UNTRACKED, and the nat table is not asked.

    The next rule is asked. The same as ``-j CT --notrack``. Valid in the raw table only (net/netfilter/xt_CT.c).
    """

    name = "NOTRACK"
    tables = frozenset({"raw"})
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> str:
        return "notrack"

    def changes(self, packet: Packet) -> Mapping[str, Any]:
        return untracked(packet)
