"""-j ECN"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Backend, Packet
from iptexplain.rules.extension import Option, Setting, Target
from iptexplain.rules.model import Rule
from iptexplain.rules.targets.mark import BitChange
from iptexplain.rules.values import Family, Number


class EcnTarget(Target):
    """Sets or clears the bits of explicit congestion notification (RFC 3168); the next rule is asked.

    ``--ecn-tcp-remove`` clears the TCP flags ECE and CWR, so that a connection is opened without ECN through routers
    that cannot bear it; ``--ecn-ip-ect`` writes the two bits of the IP header. The TCP flags need ``-p tcp``. Valid in
    the mangle table only (net/ipv4/netfilter/ipt_ECN.c).
    """

    name = "ECN"
    families = (4,)
    tables = frozenset({"mangle"})
    needs_any = True
    options = (
        Option("--ecn-tcp-remove"),
        Option("--ecn-tcp-ece", Number(0, 1)),
        Option("--ecn-tcp-cwr", Number(0, 1)),
        Option("--ecn-ip-ect", Number(0, 3)),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """``--ecn-tcp-remove`` is short for both flags at 0; a codepoint that was given before it is forgotten."""
        if "ecn_tcp_remove" not in given:
            return
        order = list(given)
        if "ecn_ip_ect" in order[: order.index("ecn_tcp_remove")]:
            del given["ecn_ip_ect"]
        for key in ("ecn_tcp_ece", "ecn_tcp_cwr"):
            if key in given:
                raise OptionError(f"ECN: --ecn-tcp-remove and {given[key].option.name} cannot be used together")
            given[key] = cls.setting(key, 0)
        del given["ecn_tcp_remove"]

    def refuse(self, rule: Rule, table: str, family: Family) -> str | None:
        flags = [s.option.name for s in self.settings if s.option.key != "ecn_ip_ect"]
        if flags and rule.parameters.protocol != "tcp":
            return f"{' '.join(flags)} needs -p tcp"
        return super().refuse(rule, table, family)

    @property
    def removes(self) -> bool:
        """Whether both TCP flags are cleared."""
        return (self.value("ecn_tcp_ece"), self.value("ecn_tcp_cwr")) == (0, 0)

    def save_options(self, backend: Backend) -> str:
        if self.removes and len(self.settings) == 2:
            return "--ecn-tcp-remove"
        return super().save_options(backend)

    def changes(self, packet: Packet) -> Mapping[str, Any]:
        changed: dict[str, Any] = {}
        flags = packet.field("flags")
        for name, value in (("ECE", self.value("ecn_tcp_ece")), ("CWR", self.value("ecn_tcp_cwr"))):
            if value is not None and isinstance(flags, frozenset):
                changed["flags"] = flags = flags | {name} if value else flags - {name}
        ect = self.value("ecn_ip_ect")
        if ect is not None:
            changed["tos"] = BitChange(ect, 3).of(packet.field("tos"), 0xFF)
        return changed
