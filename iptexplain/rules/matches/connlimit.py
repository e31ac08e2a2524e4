"""-m connlimit"""

from __future__ import annotations

from iptexplain.rules.addresses import BITS, Prefix, PrefixLength
from iptexplain.rules.answer import Answer
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.values import Family, Number


class Connlimit(Match):
    """How many connections that this rule counted are open at the same time, for the packet's source or destination.

    The packet's own connection is counted with them. ``--connlimit-mask`` counts together the addresses whose first
    bits are equal: 24 for a /24 network, 0 for everybody. Uses connection tracking (net/netfilter/xt_connlimit.c).
    """

    name = "connlimit"
    needs = ("limit",)
    options = (
        Option("--connlimit-upto", Number(), invert=True, group="limit"),
        Option("--connlimit-above", Number(), invert=True, group="limit"),
        Option("--connlimit-mask", PrefixLength()),
        Option("--connlimit-saddr", group="side"),
        Option("--connlimit-daddr", group="side"),
    )
    __slots__ = ()

    def within(self) -> Answer:
        return Answer.of(self.get("connlimit_upto") is not None)

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """``! --connlimit-upto`` is above; the mask and the side are always printed."""
        uninvert(cls, given, "connlimit_upto", "connlimit_above")
        given.setdefault("connlimit_mask", cls.setting("connlimit_mask", Prefix(family, BITS[family])))
        if "connlimit_daddr" not in given:
            given.setdefault("connlimit_saddr", cls.setting("connlimit_saddr"))


def uninvert(cls: type[Match], given: dict[str, Setting], *keys: str) -> None:
    """Of two options that are each other's opposite, say the other one instead of an inverted one."""
    if sum(k in given for k in keys) == 1:
        for key, other in (keys, keys[::-1]):
            if key in given and given[key].inverted:
                given[other] = cls.setting(other, given.pop(key).value)
                return
