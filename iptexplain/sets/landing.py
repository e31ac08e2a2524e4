"""Which packets can arrive at some addresses and ports at all: those that are sent there, and those that a rule may rewrite to there.

Of ten thousand published services a question is about one; the others' rules need not be worked out for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from iptexplain.host.topology import Topology
from iptexplain.rules.addresses import Address
from iptexplain.rules.model import Jump, Rule, Table
from iptexplain.rules.nat import NatTarget
from iptexplain.rules.values import Interval
from iptexplain.sets.chains import called_first
from iptexplain.sets.conditions import Conditions, Kind
from iptexplain.sets.space import NO, YES, Diagram
from iptexplain.walk.hooks import MANIP
from iptexplain.walk.routing import way_out

KEPT = ("proto", "src", "dst", "sport", "dport", "iif")
"""The fields that packets still have from their beginning when nat is asked for a new destination."""


class Landing:
    """``table``: nat, whose conditions are asked of ``conditions``; None: nothing is rewritten."""

    def __init__(self, table: Table | None, conditions: Conditions, topology: Topology) -> None:
        self.table, self.conditions, self.topology = table, conditions, topology
        self.space, self.level = conditions.space, conditions.kinds.fields.level
        self._other = {level for name, level in self.level.items() if name not in KEPT}

    def packets(self, wanted: Mapping[str, Sequence[Interval]], to_host: bool) -> Diagram:
        """The packets that can arrive at a destination (``dst``) and port (``dport``), each anything where it is left out.

        ``to_host``: arriving at the host counts, at whatever address. More may be told than can arrive, never fewer.
        """
        ranges = [(name, numbers) for name, numbers in wanted.items() if not (to_host and name == "dst")]
        sent = reduce(self.space.both, [self.space.among(self.level[name], numbers) for name, numbers in ranges], YES)
        if sent == YES or self.table is None:
            return sent
        targets = None if to_host else wanted.get("dst")
        hooks = [hook for hook, manip in MANIP.items() if manip == "dst" and hook in self.table.chains]
        rewritten = [found for hook in hooks for found in self._rewritten(self.table, hook, targets)]
        return self.space.union([sent, *rewritten])

    def _rewritten(self, table: Table, hook: str, targets: Sequence[Interval] | None) -> list[Diagram]:
        """The packets that meet the conditions of the rules at ``hook`` that may give them one of the addresses, and of the jumps
        on the way there."""
        calls: dict[str, list[Diagram]] = {hook: [YES]}
        found = []
        for name in reversed(called_first(table.chains, hook)):
            coming = self.space.union(calls.get(name, []))
            for rule in table.chains[name].rules if coming != NO else ():
                if isinstance(rule.target, Jump):
                    calls.setdefault(rule.target.chain, []).append(self.space.both(coming, self._meeting(rule)))
                elif isinstance(rule.target, NatTarget) and self._may_land(rule.target, targets):
                    found.append(self.space.both(coming, self._meeting(rule)))
        return found

    def _meeting(self, rule: Rule) -> Diagram:
        """The packets that may meet the rule's conditions, by what they have had from the beginning."""
        return self.space.exists(self.conditions.maybe(rule), self._other)

    def _may_land(self, target: NatTarget, targets: Sequence[Interval] | None) -> bool:
        """Whether a packet can get one of the addresses (None: one of the host's)."""
        to = None if target.name == "NETMAP" else target.translation(Kind({}))
        if to is None or to.first is None or to.first != to.last:
            return True
        return self._may_stay(to.first) if targets is None else any(a <= to.first.number <= b for a, b in targets)

    def _may_stay(self, address: Address) -> bool:
        """Whether the host may keep a packet to ``address``."""
        return self.topology.address_type(address) != "UNICAST" or way_out(self.topology, address) == "lo"
