"""Who gets through and who does not, as facts: regions of packets in few lines, each with its rule and an example."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from iptexplain.explain.networks import assumption_text
from iptexplain.explain.senders import meant, on_interface
from iptexplain.explain.situation import Situation
from iptexplain.explain.values import fields_json, place_json
from iptexplain.rules.values import Interval
from iptexplain.sets.analyse import Analysis
from iptexplain.sets.ground import LIMIT
from iptexplain.sets.reach import Question, Reach, Region
from iptexplain.sets.space import TooLarge
from iptexplain.sets.spelling import Spelled, texts

LONGEST = 12
"""How many values a line shows of packets that do not get through; beyond, an example says more."""

SECONDS = 60
"""Processor time that an answer may take."""


class Asked:
    """A question about one family's rules, answered within ``limit`` nodes. Raises UsageError for ends that nobody knows."""

    def __init__(
        self, situation: Situation, source: str | None, target: str | None, proto: str | None = None, limit: int = LIMIT
    ) -> None:
        self.situation, self.source, self.target = situation, source, target
        self.topology = situation.topology
        self.question = self._question(source, target, proto)
        self.regions: list[Region] = []
        self._said: dict[tuple[int, tuple[Interval, ...]], list[str]] = {}
        self.decided = True
        try:
            analysis = Analysis(situation.ruleset, self.topology, limit=limit, seconds=SECONDS)
            self.reach = Reach(analysis)
            self.reach.narrow(self.question)
            self.regions = self.reach.regions(self.question)
        except TooLarge:
            self.decided = False

    # -- the question

    def _question(self, source: str | None, target: str | None, proto: str | None) -> Question:
        if source is None:
            outside = sorted({r.interface for r in self.topology.routes} - {"", "lo"})
            sources = tuple((name, on_interface(self.topology, name)) for name in outside)
        else:
            end = self.situation.end(source)
            sources = ((end.interface, meant(self.situation, source, end.address)),)
        if target is None:
            return Question(sources, proto=proto)
        end = self.situation.end(target)
        protocol = proto or ("tcp" if end.port else None)
        targets = meant(self.situation, target, end.address)
        return Question(sources, targets, end.name == "host", protocol, end.port)

    # -- the answer

    def lines(self, region: Region) -> list[list[Spelled]]:
        """Each box of a region as the fields that say more than the question."""
        return [self.reach.spelled(self.question, box) for box in self.reach.boxes(region)]

    def facts(self) -> dict[str, Any]:
        """Everything that the document tells."""
        told = []
        for region in self.regions:
            lines = self.lines(region)
            size = sum(len(one.values) for line in lines for one in line)
            told.append({
                "region": region,
                "lines": lines if region.fate == "accepted" or size <= LONGEST else [],
                "example": self.reach.witness(region),
                "to": dict.fromkeys(("src", "sport", "dst", "dport")) | dict(region.to),
                "leaves": region.interface and not region.is_local,
            })  # fmt: skip
        return {
            "source": self.source, "target": self.target, "told": told, "decided": self.decided,
            "assumptions": self.situation.assumptions, "family": self.topology.family,
        }  # fmt: skip

    def json(self) -> dict[str, Any]:
        """The answer for JSON, without its schema's number."""
        return {
            "decided": self.decided,
            "assumptions": [assumption_text(a) for a in self.situation.assumptions],
            "regions": [one for region in self.regions for one in self._region_json(region)],
        }

    def _region_json(self, region: Region) -> Iterable[dict[str, Any]]:
        nat, by = fields_json(dict(region.to)) or None, place_json(region.by)
        unknown = [place_json(place) for place in region.asked]
        for box in self.reach.boxes(region):
            yield {
                "fate": region.fate,
                "packets": {self.reach.fields.all[level].name: self._texts(level, box[level]) for level in sorted(box)},
                "nat": nat,
                "by": by,
                "unknown": unknown,
                "witness": fields_json(self.reach.witness_of(box)),
            }

    def _texts(self, level: int, intervals: tuple[Interval, ...]) -> list[str]:
        key = level, intervals
        if key not in self._said:
            fields, family = self.reach.fields, self.topology.family
            self._said[key] = list(texts(fields, fields.all[level].name, intervals, family))
        return self._said[key]
