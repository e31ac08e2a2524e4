"""What two rulesets treat differently, as facts: which packets, what became of them and what becomes of them now, by which rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from iptexplain.explain.networks import assumption_text
from iptexplain.explain.pairs import Pair, pairs
from iptexplain.explain.ranges import said_ranges, said_texts
from iptexplain.explain.values import fields_json, place_json
from iptexplain.host.joint import joint_topology
from iptexplain.host.snapshot import Snapshot
from iptexplain.host.topology import Assumption
from iptexplain.rules.model import Place
from iptexplain.rules.targets.connmark import Connmark
from iptexplain.rules.targets.mark import MarkTarget
from iptexplain.sets.change import Change, Chosen, Shift
from iptexplain.sets.difference import ARRIVED, EVERYTHING, Comparison, Region, Scope
from iptexplain.sets.ground import LIMIT
from iptexplain.sets.ordinary import MOST, STRANGE, Line, Ordinary
from iptexplain.sets.reach import FATES
from iptexplain.sets.space import TooLarge
from iptexplain.sets.ways import UNDECIDED, End

SECONDS = 60
"""How long one family's rules may be compared."""

SHOWN = 12
"""How many lines of one region are shown as text."""

KINDS = ("opened", "closed", "rewritten", "refused", "decider", "unknown")
"""How fates can differ: lost before and through now; the other way round; through both times, but elsewhere or with other
addresses; lost both times, but told otherwise; by another rule; nobody can tell whether they do."""


ENDS = ("dst", "dport", "src", "sport")


class Told(NamedTuple):
    """An end as it is told. ``to``: field → what NAT makes of it, or None; ``told``: with what a packet is rejected."""

    fate: str
    by: Place | str | None
    to: dict[str, Any]
    nat: tuple[Place, ...]
    interface: str | None
    is_local: bool
    told: str | None


class Flow(NamedTuple):
    """Packets of one region, as one line says them, with an example."""

    kind: str
    region: Region
    line: Line
    example: dict[str, Any]

    @property
    def shown_as(self) -> str:
        """The group in which it is told: one for all strange packets."""
        return "strange" if self.line.rank == STRANGE else self.kind


class Compared:
    """Two rulesets of one family, compared within ``limit`` nodes. ``names``: how the user calls them, the old one first."""

    def __init__(
        self, pair: Pair, old: Snapshot, new: Snapshot, names: tuple[str, str], scope: Scope, limit: int = LIMIT
    ) -> None:
        self.pair, self.names = pair, names
        self.topology = joint_topology((old, pair.old[1]), (new, pair.new[1]))
        self.comparison = Comparison(pair.old[1], pair.new[1], self.topology, scope, limit, SECONDS)
        self.fields = self.comparison.fields
        self.flows: list[Flow] = []
        self.decided = True
        try:
            self.ordinary = Ordinary(self.comparison.ground, scope.ignored)
            regions = self.comparison.regions()
            for name in KINDS:
                self._add(name, [region for region in regions if kind(region) == name])
        except TooLarge:
            self.decided = False
        self.flows.sort(key=_order)
        self.decided &= not self.comparison.undecided

    def _add(self, name: str, regions: Sequence[Region]) -> None:
        """What is opened (or closed) for the first packets of connections is not told again of the packets that follow."""
        space = self.comparison.space
        space.grant(0.1)
        known = space.union([self.ordinary.as_first(region.packets) for region in regions])
        for region in regions:
            lines = self.ordinary.lines(region.packets, known)
            self.decided &= len(lines) < MOST
            self.flows += [Flow(name, region, line, self.ordinary.example(line.packets)) for line in lines]

    @property
    def assumptions(self) -> list[Assumption]:
        """What was taken for granted: of the host, and of what no dump shows."""
        found = [*self.pair.assumptions, *self.topology.assumptions]
        old, new = self.comparison.sides
        shared = old.conditions.variables.keys() & new.conditions.variables.keys()
        names = sorted(
            {about.called if about else "QUEUE" for level in shared for _, about in [new.conditions.variables[level]]}
        )
        if names:
            found.append(Assumption("same_answers", {"names": names}))
        if any(
            isinstance(r.target, MarkTarget | Connmark)
            for s in self.comparison.rulesets
            for t in s.tables.values()
            for r in t.rules()
        ):
            found.append(Assumption("marks", {}))
        sides = dict(zip(("old", "new"), self.names, strict=True))
        return [a._replace(values={**a.values, "side": sides.get(a.values.get("side", ""))}) for a in found]

    def told(self, end: End) -> Told:
        """An end in the words of the answer."""
        accepted = end.way in ARRIVED
        return Told(
            FATES[end.way],
            None if end.way == UNDECIDED else end.accepted if accepted else end.by,
            dict.fromkeys(ENDS) | {name: self._value(name, change) for name, change in self._rewritten(end)},
            end.nat if accepted else (),
            end.interface,
            end.way == "delivered-local",
            end.answer,
        )

    def _rewritten(self, end: End) -> Iterator[tuple[str, Change]]:
        changes = dict(end.changes)
        for name in ENDS:
            if end.way in ARRIVED and self.fields.level[name] in changes:
                yield name, changes[self.fields.level[name]]

    def _value(self, name: str, change: Change) -> Any:
        if isinstance(change, int):
            return self.fields.all[self.fields.level[name]].value(change)
        return change.text if isinstance(change, Chosen) else "another" if isinstance(change, Shift) else None

    # -- as text

    def groups(self, only: Iterable[Flow] | None = None) -> list[dict[str, Any]]:
        """The flows (``only`` these, where some are given) by how they differ, and by the rules that decide."""
        found: dict[tuple[str, int], list[Flow]] = {}
        for flow in self.flows if only is None else only:
            found.setdefault((flow.shown_as, id(flow.region)), []).append(flow)
        return [
            {
                "kind": flows[0].shown_as,
                "was": [self.told(end) for end in flows[0].region.was],
                "now": [self.told(end) for end in flows[0].region.now],
                "was_asked": flows[0].region.was_asked,
                "now_asked": flows[0].region.now_asked,
                "lines": [said_ranges(self.ordinary, flow.line) for flow in flows[:SHOWN]],
                "more": len(flows) - SHOWN,
                "example": flows[0].example,
            }
            for flows in found.values()
        ]

    def facts(self) -> dict[str, Any]:
        return {
            "family": self.topology.family, "groups": self.groups(), "decided": self.decided,
            "undecided": self.comparison.undecided, "assumptions": self.assumptions,
        }  # fmt: skip

    # -- as JSON

    def json(self) -> list[dict[str, Any]]:
        """The flows as regions, for JSON."""
        return [self._flow_json(flow) for flow in self.flows]

    def _flow_json(self, flow: Flow) -> dict[str, Any]:
        sides: dict[str, Any] = {}
        for name, ends, asked, half in (
            ("was", flow.region.was, flow.region.was_asked, self.pair.old),
            ("now", flow.region.now, flow.region.now_asked, self.pair.new),
        ):
            told = [self.told(end) for end in ends]
            one = told[0] if len(told) == 1 else None
            by = place_json(one.by if one else None)
            sides[name] = one.fate if one else "unknown"
            sides[f"{name}_by"] = {**by, "file": half[0].file} if by and "line" in by else by
            sides[f"{name}_to"] = _rewriting_json(one) if one else None
            sides[f"{name}_leaves"] = one.interface if one and not one.is_local else None
            sides[f"{name}_with"] = one.told if one else None
            sides[f"{name}_unknown"] = [place_json(place) for place in asked] if not one else []
        return {
            "family": self.topology.family,
            "kind": flow.kind,
            "strange": flow.line.rank == STRANGE,
            "was": sides.pop("was"),
            "now": sides.pop("now"),
            "packets": said_texts(self.ordinary, flow.line),
            **sides,
            "witness": fields_json(flow.example),
        }


def kind(region: Region) -> str:
    """How a region's fates differ: one of KINDS."""
    ends = (*region.was, *region.now)
    if len(ends) > 2 or any(end.way == UNDECIDED for end in ends):
        return "unknown"
    was, now = (end.way in ARRIVED for end in ends)
    if was != now:
        return "opened" if now else "closed"
    shown = [(end.way, end.changes, end.interface, end.answer) for end in ends]
    return "decider" if shown[0] == shown[1] else "rewritten" if now else "refused"


def _order(flow: Flow) -> tuple[Any, ...]:
    """What comes from elsewhere before what the host says to itself; strange packets last."""
    line = flow.line
    return (
        line.rank == STRANGE,
        KINDS.index(flow.kind),
        line.rank,
        not line.comes_in,
        not line.comes_in and line.to_host,
    )


def compare(
    old: Snapshot, new: Snapshot, names: tuple[str, str], scope: Scope = EVERYTHING, limit: int = LIMIT
) -> list[Compared]:
    """Both snapshots, family by family."""
    return [Compared(pair, old, new, names, scope, limit) for pair in pairs(old, new)]


def counts(compared: Sequence[Compared]) -> dict[str, int]:
    """How many flows differ in each way; strange packets are counted by themselves."""
    return counted(flow for one in compared for flow in one.flows)


def counted(flows: Iterable[Flow]) -> dict[str, int]:
    """The same for some of the flows."""
    kinds = [flow.shown_as for flow in flows]
    return {name: kinds.count(name) for name in (*KINDS, "strange")}


def difference_json(compared: Sequence[Compared]) -> dict[str, Any]:
    """The answer for JSON, without its schema's number."""
    decided, found = all(one.decided for one in compared), [flow for one in compared for flow in one.json()]
    texts = [assumption_text(a) for one in compared for a in one.assumptions]
    return {
        "equal": decided and not found,
        "decided": decided,
        "assumptions": list(dict.fromkeys(texts)),
        **counts(compared),
        "regions": found,
    }


def _rewriting_json(told: Told) -> dict[str, Any] | None:
    return fields_json({k: v for k, v in told.to.items() if v is not None}) or None
