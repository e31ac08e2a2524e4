"""-m ah"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Option, Setting
from iptexplain.rules.headers import RangeMatch, TransportMatch
from iptexplain.rules.matches.esp import SPIS
from iptexplain.rules.model import Rule
from iptexplain.rules.values import Family, Number


class Ah(RangeMatch, TransportMatch):
    """IPsec's authentication header: its security parameter index (SPI), for IPv6 also its length and reserved field.

    For IPv4 the rule must say ``-p ah`` (net/ipv4/netfilter/ipt_ah.c). For IPv6 the header may stand anywhere in the
    chain of extension headers and the rule says no protocol; ``--ahlen`` counts the header's bytes, and 0 means any
    length (net/ipv6/netfilter/ip6t_ah.c).
    """

    name = "ah"
    options = (
        Option("--ahspi", SPIS, "spi", invert=True),
        Option("--ahlen", Number(), invert=True),
        Option("--ahres"),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        length = given.get("ahlen")
        if family == 4 and (length or "ahres" in given):
            raise OptionError("ah: --ahlen and --ahres are for IPv6 only")
        if length and length.value == 0 and not length.inverted:
            del given["ahlen"]

    def refuse(self, rule: Rule, table: str, family: Family) -> str | None:
        if family == 4 and rule.parameters.protocol != "ah":
            return "ah needs -p ah"
        return super().refuse(rule, table, family)
