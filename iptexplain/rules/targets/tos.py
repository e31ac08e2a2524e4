"""-j TOS"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iptexplain.rules.answer import Packet
from iptexplain.rules.extension import Option, Setting, Target
from iptexplain.rules.matches.tos import TosKind
from iptexplain.rules.targets.mark import BitChange, BitChangeKind, fold
from iptexplain.rules.values import Family, Number

FULL = 0xFF


class TosChange(BitChangeKind):
    """``VALUE[/MASK]`` or a symbolic name."""

    _named = TosKind()

    def parse(self, text: str, family: Family) -> BitChange:
        return BitChange(*self._named.parse(text, family))


class TosTarget(Target):
    """Sets bits of the type-of-service byte (IPv4) or traffic class (IPv6); the next rule is asked.

    ``--set-tos VALUE/MASK`` clears the bits of MASK and flips those of VALUE; a symbolic name has the mask 0x3f. The
    other options are read as that one. Valid in the mangle table only (net/netfilter/xt_DSCP.c).
    """

    name = "TOS"
    tables = frozenset({"mangle"})
    needs = ("tos",)
    options = (
        Option("--set-tos", TosChange(FULL, 2), group="tos"),
        Option("--and-tos", Number(0, FULL), group="tos"),
        Option("--or-tos", Number(0, FULL), group="tos"),
        Option("--xor-tos", Number(0, FULL), group="tos"),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        fold(cls, given, "set_tos", FULL)

    def changes(self, packet: Packet) -> Mapping[str, Any]:
        return {"tos": self.value("set_tos").of(packet.field("tos"), FULL)}
