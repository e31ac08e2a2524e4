"""A log of TRACE lines as facts: each packet with its way through the dump, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from iptexplain.errors import UsageError
from iptexplain.explain.chains import purpose
from iptexplain.explain.locate import Located, Locator, Misfit, Shift
from iptexplain.explain.situation import Situation
from iptexplain.explain.values import fields_json, place_json
from iptexplain.explain.words import action, conditions, said
from iptexplain.host.snapshot import Snapshot
from iptexplain.rules.answer import Backend
from iptexplain.rules.model import Place, Rule
from iptexplain.rules.nat import NatTarget
from iptexplain.rules.values import Family
from iptexplain.walk.hooks import HOOKS
from iptexplain.walk.kernel_log import FLAGS
from iptexplain.walk.recorded import Kin, Recorded, Run, kin

ENDS = ("src", "sport", "dst", "dport")
PASSED = {"INPUT": "delivered-local", "FORWARD": "forwarded", "OUTPUT": "sent", "PREROUTING": "unseen"}
"""The last hook at which a packet was let pass → how it ended, as far as the log goes."""


class Line(NamedTuple):
    """One step in words. ``texts``: the lines of the dump; ``to``: the fields that it changed, with their new values;
    ``purpose``: what Docker wrote the rule for.
    """

    at: Located
    texts: tuple[str, ...]
    conditions: str
    action: str
    to: dict[str, Any]
    purpose: str


class Stage(NamedTuple):
    """One table at one hook; ``now``: what has become other, or known, about the packet since the stage before."""

    run: Run
    now: dict[str, Any]
    lines: list[Line]


class Annotated(NamedTuple):
    """One packet of the log, ``number`` from 1.

    ``kind``: dropped, rejected, queued, delivered-local, forwarded, sent, unseen (after PREROUTING), cut where the log ends
    within a table, unknown where its last step is not in the dump. ``decides``: the step that ended it, else the last of
    table filter that let it pass.
    ``nat``: asked; skipped by a packet of a known connection; unasked where it may also be untracked; empty: not due.
    """

    number: int
    packet: Recorded
    stages: list[Stage]
    kind: str
    decides: Line | None
    kin: Kin | None
    nat: str

    @property
    def first(self) -> dict[str, Any]:
        return self.packet.headers[0].fields if self.packet.headers else {}

    @property
    def last(self) -> dict[str, Any]:
        return self.packet.headers[-1].fields if self.packet.headers else {}

    @property
    def flags(self) -> list[str]:
        return [f for f in FLAGS if f in self.first.get("flags", ())]

    @property
    def steps(self) -> list[Line]:
        return [line for stage in self.stages for line in stage.lines]

    @property
    def translations(self) -> list[Line]:
        """The steps that set up NAT. What one in POSTROUTING did, no later line shows."""
        return [line for line in self.steps if line.at.rule and isinstance(line.at.rule.target, NatTarget)]

    @property
    def by(self) -> Place | None:
        return self.decides.at.places[0] if self.decides and self.decides.at.places else None

    @property
    def proto(self) -> str | None:
        """Its protocol; where the log does not show it (xtables-monitor), the one of a rule that matched."""
        rules = [line.at.rule for line in self.steps if line.at.rule]
        return self.first.get("proto") or next((r.parameters.protocol for r in rules if r.parameters.protocol), None)

    @property
    def rewritten(self) -> bool:
        """Whether the log shows that NAT changed it."""
        return any(_difference(a.fields, b.fields, ENDS) for a, b in pairwise(self.packet.headers))


class Annotation(NamedTuple):
    """A whole log. ``shifts``: raw's chains that had more rules than the dump has, which was saved without the TRACE rule."""

    packets: list[Annotated]
    misfits: list[Misfit]
    shifts: list[tuple[str, Shift]]
    missing: list[Family]


def annotation(packets: list[Recorded], snapshot: Snapshot) -> Annotation:
    """Every packet whose family has rules in the dump, in the order of the log; raises UsageError when none has."""
    families = sorted({p.family for p in packets})
    situations = {f: s for f in families if (s := _situation(snapshot, f, packets[0].events[0].backend))}
    missing = [f for f in families if f not in situations]
    if not situations:
        raise UsageError(f"the log has packets of IPv{missing[0]}, and DUMP has no rules of it")
    locators = {f: Locator(s.ruleset, [p for p in packets if p.family == f]) for f, s in situations.items()}
    nat_seen = {(p.family, r.hook) for p in packets for r in p.runs if r.table == "nat"}
    found = []
    for number, (packet, known) in enumerate(zip(packets, kin(packets), strict=True), 1):
        if packet.family not in situations:
            continue
        situation = situations[packet.family]
        stages = list(_stages(situation, locators[packet.family], packet))
        kind, decides = _outcome(packet, stages)
        one = Annotated(number, packet, stages, kind, decides, known, "")
        found.append(one._replace(nat=_nat(situation, one, nat_seen)))
    misfits = [line.at.misfit for a in found for line in a.steps if line.at.misfit]
    shifts = [shift for locator in locators.values() for shift in locator.shifts.items()]
    return Annotation(found, misfits, shifts, missing)


def _situation(snapshot: Snapshot, family: Family, backend: Backend) -> Situation | None:
    """The rules of a family; where both backends have some, those of the one that wrote the log."""
    given = [(d, r) for d, r in snapshot.rulesets() if r.family == family]
    given.sort(key=lambda dr: dr[1].backend is not backend)
    return Situation(snapshot, family, given[0]) if given else None


def _outcome(packet: Recorded, stages: list[Stage]) -> tuple[str, Line | None]:
    last, hook = (stages[-1].lines[-1] if stages[-1].lines else None), packet.runs[-1].hook
    verdict = last.at.verdict if last else None
    if last and verdict == "DROP":
        return ("rejected" if last.at.action == "REJECT" else "dropped"), last
    if last and verdict in ("QUEUE", "STOLEN"):
        return "queued", last
    if last and verdict is None and (last.at.misfit or last.at.kind == "policy"):
        return "unknown", last
    if verdict != "ACCEPT" or hook is None:
        return "cut", None
    passed = [x for s in stages for x in s.lines if s.run.table == "filter" and x.at.verdict == "ACCEPT"]
    kind = PASSED.get(hook) or ("sent" if packet.runs[0].hook == "OUTPUT" else "forwarded")
    return kind, passed[-1] if passed else None


def _stages(situation: Situation, locator: Locator, packet: Recorded) -> Iterator[Stage]:
    known: dict[str, Any] = {}
    for run, following in zip(packet.runs, [*packet.runs[1:], None], strict=True):
        shown = run.header.fields if run.header else {}
        now = _difference(known, shown, (*ENDS, "oif", "mark", *(["iif"] if run.hook == "PREROUTING" else [])))
        changes = _changes(run, following)
        steps = locator.run(run)
        yield Stage(run, now, [_line(situation, x, changes[x.event.line]) for x in steps])
        known |= {**shown, **(run.last.header.fields if run.last.header else {})}


def _changes(run: Run, following: Run | None) -> dict[int, dict[str, Any]]:
    """What each line of a run changed: the line below it shows that, and for the nat table the next run."""
    headers = [e.header or run.header for e in run.events]
    fields = [h.fields if h else {} for h in headers]
    after = following.header.fields if following and following.header and run.table == "nat" else {}
    within = [_difference(a, b, (*ENDS, "mark", "ttl")) for a, b in pairwise(fields)]
    return dict(zip([e.line for e in run.events], [*within, _difference(fields[-1], after, ENDS)], strict=True))


def _difference(before: dict[str, Any], after: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The fields that are other afterwards; where one side is not known, nothing is other."""
    return {k: after[k] for k in names if before and k in after and after[k] not in ("", before.get(k))}


def _line(situation: Situation, step: Located, to: dict[str, Any]) -> Line:
    texts = tuple(dict.fromkeys(situation.text(p) for p in step.places if p.line)) or (step.event.text,)
    found = situation.docker.roles.by_place.get(step.places[0]) if step.places else None
    words = (conditions(step.rule), action(step.rule.target)) if step.rule else ("", "")
    return Line(step, texts, *words, to, purpose(found) if found else "")


def _nat(situation: Situation, one: Annotated, seen: set[tuple[Family, str | None]]) -> str:
    """Whether the packet came past the first nat chain on its way, and was asked there: only a connection's first one is."""
    runs = one.packet.runs
    hook = runs[0].hook
    if hook is None or "nat" not in HOOKS[hook]:
        return ""
    if any(r.table == "nat" for r in runs):
        return "asked"
    before = HOOKS[hook][: HOOKS[hook].index("nat")]
    chain = situation.ruleset.chain("nat", hook)
    table = situation.ruleset.tables.get("nat")
    legacy = table if runs[0].last.backend is Backend.LEGACY else None
    in_force = (one.packet.family, hook) in seen or (chain and chain.rules) or (legacy and any(legacy.rules()))
    if not in_force or all(r.hook == hook and r.table in before for r in runs):
        return ""
    known = one.kin or one.rewritten or any(_is_of_known(line.at.rule) for line in one.steps if line.at.rule)
    return "skipped" if known else "unasked"


def _is_of_known(rule: Rule) -> bool:
    """Whether the rule matches only packets of connections that the kernel knows."""
    states = [s for m in rule.matches for s in m.settings if s.option.field == "ctstate" and not s.inverted]
    return any({"ESTABLISHED", "RELATED"}.issuperset(s.value) for s in states)


def annotation_json(found: Annotation) -> dict[str, Any]:
    """What ``annotate -o json`` prints."""
    return {
        "packets": [_packet_json(a) for a in found.packets],
        "misfits": [_misfit_json(m) for m in found.misfits],
        "missing": found.missing,
    }


def _packet_json(one: Annotated) -> dict[str, Any]:
    """The steps have the keys of a trace, and in ``log`` the line of the log."""
    return {
        "number": one.number,
        "family": one.packet.family,
        "packet": fields_json(one.first),
        "nat": one.nat or None,
        "kin": one.kin._asdict() if one.kin else None,
        "steps": [_step_json(line) for line in one.steps],
        "outcome": {
            "kind": one.kind,
            "by": place_json(one.by),
            "iface": one.last.get("oif") or None,
            "tuple": fields_json(one.last, ("proto", *ENDS)),
        },
    }


def _step_json(line: Line) -> dict[str, Any]:
    at, event = line.at, line.at.event
    place = at.places[0] if at.places else None
    return {
        "log": event.line,
        "table": event.table,
        "chain": said(event.chain),
        "rule": place.rule if place else at.kind,
        "action": said(at.action),
        **({"to": fields_json(line.to)} if line.to else {}),
        "line": place.line if place and place.line else None,
        "text": said(line.texts[0]),
        "says": f"{line.conditions}: {line.action}" if at.rule else "",
        **({"or": [place_json(p) for p in at.places[1:]]} if at.places[1:] else {}),
        **({"misfit": _misfit_json(at.misfit)} if at.misfit else {}),
    }


def _misfit_json(misfit: Misfit) -> dict[str, Any]:
    return {"name": misfit.name, "log": misfit.line, **fields_json(misfit.values)}
