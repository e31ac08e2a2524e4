"""-m devgroup"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.matches.realm import NamedNumber
from iptexplain.rules.model import Rule
from iptexplain.rules.values import Family

GROUPS = NamedNumber({"default": 0})

_OTHER_WAY = {"src_group": ("OUTPUT", "POSTROUTING"), "dst_group": ("PREROUTING", "INPUT")}


class Devgroup(Match):
    """The group of the interface that the packet comes in on or leaves by (``ip link set eth0 group 5``).

    Every interface is in group 0 at first. Names stand in /etc/iproute2/group of the host; which interface is in which
    group, no dump says. Since Linux 2.6.39 (net/netfilter/xt_devgroup.c).
    """

    name = "devgroup"
    options = (
        Option("--src-group", GROUPS, invert=True),
        Option("--dst-group", GROUPS, invert=True),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        if not given:
            raise OptionError("devgroup: --src-group or --dst-group must be given")

    def refuse(self, rule: Rule, table: str, family: Family) -> str | None:
        for setting in self.settings:
            if rule.chain in _OTHER_WAY[setting.option.key]:
                return f"{setting.option.name} is not valid in {rule.chain}"
        return super().refuse(rule, table, family)
