"""-m limit"""

from __future__ import annotations

from iptexplain.rules.answer import Answer
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.model import Rule
from iptexplain.rules.rates import Rate, RateKind
from iptexplain.rules.values import Family, Number


class Limit(Match):
    """A token bucket: packets match while there are tokens in it.

    The bucket holds ``--limit-burst`` tokens (5 when it is not said) and is full at first; every packet that matches
    takes one, and they grow back at the rate of ``--limit`` (3 per hour when it is not said). One bucket serves all
    packets that come to the rule; hashlimit has one for each address (net/netfilter/xt_limit.c).
    """

    name = "limit"
    options = (
        Option("--limit", RateKind(), default=Rate(3, "hour")),
        Option("--limit-burst", Number(0, 10000), default=5, hide_default=True),
    )
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> list[str]:
        unit = {"sec": "second", "min": "minute"}.get(self.value("limit").unit, self.value("limit").unit)
        return [f"limit rate {self.value('limit').amount}/{unit} burst {self.value('limit_burst')} packets"]

    def within(self) -> Answer:
        return Answer.YES

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """A burst of 0 is read as none given (iptables-nft; iptables-legacy refuses it)."""
        if "limit_burst" in given and not given["limit_burst"].value:
            del given["limit_burst"]
