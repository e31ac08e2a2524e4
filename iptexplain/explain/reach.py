"""Who gets through and who does not, as facts: regions of packets in few lines, each with its rule and an example."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from iptexplain.explain.networks import assumption_text, place_json
from iptexplain.explain.situation import Situation
from iptexplain.host.endpoints import split_port
from iptexplain.host.topology import Route
from iptexplain.rules.addresses import Address
from iptexplain.rules.values import Interval
from iptexplain.sets.analyse import LIMIT, Analysis
from iptexplain.sets.boxes import Box
from iptexplain.sets.places import Places
from iptexplain.sets.reach import Question, Reach, Region
from iptexplain.sets.space import TooLarge
from iptexplain.sets.spelling import Spelled, spelled, texts

LONGEST = 12
"""How many values a line shows of packets that do not get through; beyond, an example says more."""

SHOWN = ("proto", "src", "dst", "sport", "dport", "icmp_type", "icmp_code", "iif", "physin", "mac_src", "length", "tos")
"""The fields of a region in the order in which they are told."""

SECONDS = 60
"""How long an answer may take, of processor time or not."""


class Asked:
    """A question about one family's rules, answered within ``limit`` nodes. Raises UsageError for ends that nobody knows."""

    def __init__(
        self, situation: Situation, source: str | None, target: str | None, proto: str | None = None, limit: int = LIMIT
    ) -> None:
        self.situation, self.source, self.target = situation, source, target
        self.topology = situation.topology
        self.question = self._question(source, target, proto)
        self.regions: list[Region] = []
        self.decided = True
        try:
            analysis = Analysis(situation.ruleset, self.topology, limit=limit, seconds=SECONDS)
            self.reach = Reach(analysis)
            self.regions = self.reach.regions(self.question)
        except TooLarge:
            self.decided = False

    # -- the question

    def _question(self, source: str | None, target: str | None, proto: str | None) -> Question:
        if source is None:
            outside = sorted({r.interface for r in self.topology.routes} - {"", "lo"})
            sources = tuple((name, self._behind(lambda route, i=name: route.interface == i)) for name in outside)  # type: ignore[misc]
        else:
            end = self.situation.end(source)
            sources = ((end.interface, self._addresses(source, end.address)),)
        if target is None:
            return Question(sources, proto=proto)
        end = self.situation.end(target)
        protocol = proto or ("tcp" if end.port else None)
        return Question(sources, self._addresses(target, end.address), end.name == "host", protocol, end.port)

    def _addresses(self, text: str, address: Address) -> tuple[Interval, ...]:
        """Whom an end stands for: a machine, all of a network, all that the default route leads to, all that the host is."""
        name = split_port(text)[0]
        if name == "host":
            return tuple((n, n) for n in sorted({a.address.number for a in self.topology.addresses}))
        if name == "internet":
            return self._behind(lambda route: not route.network.mask)
        bridges = {n.name: n.bridge for n in self.situation.docker.networks if n.name}
        interface = bridges.get(name, name)
        if any(a.interface == interface for a in self.topology.addresses):
            return self._behind(lambda route: route.interface == interface)
        return ((address.number, address.number),)

    def _behind(self, wanted: Callable[[Route], bool]) -> tuple[Interval, ...]:
        """The addresses whose route is one of those ``wanted``, without the host's own and those that are nobody's."""

        def leads(address: Address) -> bool:
            route = self.topology.route(address)
            return (
                route is not None
                and wanted(route)
                and self.topology.address_type(address) == "UNICAST"
                and bool(address.number)
            )

        return tuple(Places(self.topology).split(leads).get(True, ()))

    # -- the answer

    def lines(self, region: Region) -> list[list[Spelled]]:
        """Each box of a region as the fields that say more than the question."""
        return [self._line(box) for box in self.reach.boxes(region)]

    def _line(self, box: Box) -> list[Spelled]:
        fields, family = self.reach.fields, self.topology.family
        asked = dict(self.question.sources)
        said: dict[str, Any] = {"dst": self.question.targets, "dport": ((self.question.port, self.question.port),)}
        if self.question.proto:
            number = fields.all[fields.level["proto"]].number(self.question.proto)
            said["proto"] = ((number, number),)
        line = []
        for name in SHOWN:
            level = fields.level[name]
            if level not in box or (name == "iif" and len(asked) == 1) or box[level] == said.get(name):
                continue
            if name == "src" and box[level] in asked.values():
                continue
            line.append(spelled(fields, name, box[level], family))
        return line

    def facts(self) -> dict[str, Any]:
        """Everything that the document tells."""
        told = []
        for region in self.regions:
            lines = self.lines(region)
            size = sum(len(one.values) for line in lines for one in line)
            told.append({
                "region": region,
                "lines": lines if region.fate == "accepted" or size <= LONGEST else [],
                "example": dict.fromkeys(("sport", "dport")) | self.reach.witness(region),
                "to": dict.fromkeys(("src", "sport", "dst", "dport")) | dict(region.to),
                "leaves": region.interface and not region.is_local,
            })  # fmt: skip
        return {
            "source": self.source, "target": self.target, "told": told, "decided": self.decided,
            "assumptions": self.situation.assumptions, "family": self.topology.family,
        }  # fmt: skip

    def json(self) -> dict[str, Any]:
        """The answer as design section 8 has it, without its schema's number."""
        return {
            "decided": self.decided,
            "assumptions": [assumption_text(a) for a in self.situation.assumptions],
            "regions": [one for region in self.regions for one in self._region_json(region)],
        }

    def _region_json(self, region: Region) -> Iterable[dict[str, Any]]:
        for box in self.reach.boxes(region):
            yield {
                "fate": region.fate,
                "packets": {self.reach.fields.all[level].name: self._texts(level, box) for level in sorted(box)},
                "nat": {name: _plain(value) for name, value in region.to} or None,
                "by": place_json(region.by),
                "unknown": [place_json(place) for place in region.asked],
                "witness": {k: _plain(v) for k, v in self.reach.witness_of(box).items()},
            }

    def _texts(self, level: int, box: Box) -> list[str]:
        return list(texts(self.reach.fields, self.reach.fields.all[level].name, box[level], self.topology.family))


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return ",".join(sorted(value))
    return str(value) if isinstance(value, Address) else value
