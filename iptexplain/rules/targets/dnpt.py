"""-j DNPT"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iptexplain.rules.answer import Packet
from iptexplain.rules.extension import Target
from iptexplain.rules.targets.snpt import Snpt, translated


class Dnpt(Target):
    """Replaces the network part of an IPv6 destination address by another, without remembering anything (RFC 6296).

    16 bits of the address are adjusted so that no checksum changes: the way back of what SNPT does. The next rule is
    asked. Valid in PREROUTING and OUTPUT of the mangle table (net/ipv6/netfilter/ip6t_NPT.c).
    """

    name = "DNPT"
    families = (6,)
    tables = frozenset({"mangle"})
    chains = frozenset({"PREROUTING", "OUTPUT"})
    options = Snpt.options
    __slots__ = ()

    def changes(self, packet: Packet) -> Mapping[str, Any]:
        return {"dst": translated(packet.field("dst"), self.value("src_pfx"), self.value("dst_pfx"))}
