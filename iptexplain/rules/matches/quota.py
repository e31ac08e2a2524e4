"""-m quota"""

from __future__ import annotations

from iptexplain.rules.answer import Answer
from iptexplain.rules.extension import Match, Option
from iptexplain.rules.values import Number


class Quota(Match):
    """Matches until so many bytes of packets have passed; inverted, from then on.

    A packet that no longer fits uses up what is left. The count begins anew whenever the rule is loaded, and
    iptables-save prints the full amount, not what is left (net/netfilter/xt_quota.c).
    """

    name = "quota"
    options = (Option("--quota", Number(0, 0xFFFFFFFFFFFFFFFF), invert=True, required=True),)
    __slots__ = ()

    def within(self) -> Answer:
        return Answer.of(not self.settings[0].inverted)
