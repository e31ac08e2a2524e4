"""-m state"""

from __future__ import annotations

from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.matches.conntrack import STATES, state_holds
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import states
from iptexplain.rules.values import Family, ShortFlags


class State(Match):
    """The state of the packet's connection: NEW, ESTABLISHED, RELATED, INVALID or UNTRACKED.

    The older name of ``-m conntrack --ctstate``, without SNAT and DNAT. Both are the same match in the kernel
    (net/netfilter/xt_conntrack.c), which remembers by which name it was asked for.
    """

    name = "state"
    options = (Option("--state", ShortFlags(*STATES), "ctstate", invert=True, required=True),)
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> list[str]:
        return states(self.settings[0])

    def holds(self, setting: Setting, packet: Packet) -> Answer:
        return state_holds(setting, packet)
