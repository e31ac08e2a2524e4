"""-j DSCP"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iptexplain.rules.answer import Packet
from iptexplain.rules.extension import Option, Setting, Target
from iptexplain.rules.matches.dscp import Dscp, DscpClass, class_of
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import EXPRESSION
from iptexplain.rules.targets.mark import BitChange
from iptexplain.rules.values import Family


class DscpTarget(Target):
    """Sets the DSCP: the upper six bits of the TOS byte (IPv4) or traffic class (IPv6); the next rule is asked.

    Routers queue packets by it. ``--set-dscp-class`` is only another way to write the number. Valid in the mangle table
    only (net/netfilter/xt_DSCP.c).
    """

    name = "DSCP"
    tables = frozenset({"mangle"})
    needs = ("dscp",)
    options = (
        Option("--set-dscp", Dscp(), group="dscp"),
        Option("--set-dscp-class", DscpClass(), group="dscp"),
    )
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> str:
        return f"{EXPRESSION[family]} dscp set {self.value('set_dscp')}"

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        if "set_dscp_class" in given and "set_dscp" not in given:
            given["set_dscp"] = cls.setting("set_dscp", given.pop("set_dscp_class").value)

    @property
    def class_name(self) -> str | None:
        """The name of the codepoint's class, when it has one."""
        return class_of(self.value("set_dscp"))

    def changes(self, packet: Packet) -> Mapping[str, Any]:
        return {"tos": BitChange(self.value("set_dscp") << 2, 0xFC).of(packet.field("tos"), 0xFF)}
