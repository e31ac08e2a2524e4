"""What analyses stand on: one host and one space, in which equal treatment is one and the same diagram."""

from __future__ import annotations

from collections.abc import Sequence

from iptexplain.host.topology import Topology
from iptexplain.rules.model import Ruleset
from iptexplain.sets.conditions import Questions
from iptexplain.sets.fields import NAT_FIELDS, Fields
from iptexplain.sets.kinds import Kinds
from iptexplain.sets.roads import Roads
from iptexplain.sets.space import Space
from iptexplain.sets.ways import Ways

LIMIT = 5_000_000
"""Nodes that an analysis may use when nobody says otherwise."""


class Ground:
    """What analyses have in common whose diagrams are compared: one host, one space, one level for each field and question."""

    def __init__(
        self, rulesets: Sequence[Ruleset], topology: Topology, limit: int = LIMIT, seconds: float | None = None
    ) -> None:
        self.topology = topology
        self.fields = Fields(rulesets, topology)
        self.space = Space(self.fields.tops, limit, seconds)
        self.kinds = Kinds(self.space, self.fields, topology)
        self.ways = Ways(self.space, [self.fields.level[name] for name in NAT_FIELDS])
        self.roads = Roads(self.ways, self.kinds, topology)
        self.questions: Questions = {}
