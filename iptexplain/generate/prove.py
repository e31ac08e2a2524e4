"""The proof: the source's rules and the generated ones, as they are printed, are compared for all packets.

Where something differs on purpose, the comparison goes in steps. The deliberate change is made to the source's own rules first,
and what that does to packets is told by the change's name; the generated rules must then do the same as the changed ones, for all
packets. So no difference is taken for a deliberate one because it looks like one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from iptexplain.errors import UsageError
from iptexplain.explain.difference import Compared, Flow, compare, counted, counts, difference_json
from iptexplain.explain.situation import Situation
from iptexplain.explain.words import said
from iptexplain.generate.plan import FamilyPlan
from iptexplain.generate.uncarried import not_carried
from iptexplain.generate.wish import is_asked
from iptexplain.host.snapshot import Snapshot
from iptexplain.rules.model import Dump, Ruleset
from iptexplain.rules.parse import parse
from iptexplain.rules.save import save_dump, save_rule

CALLED = {
    "docker-proxy": "the source without docker-proxy", "x-iptexplain": "the source with what x-iptexplain asks for",
    "strict": "the source, closed",
}  # fmt: skip
"""What messages call the source's rules after a change."""

RESULT = "the generated rules"


class Step(NamedTuple):
    """Two rulesets that were compared. ``change``: the deliberate change between them; None: they must do the same;
    ``strangers``: the flows that differ although the change is not there for that."""

    change: str | None
    names: tuple[str, str]
    compared: tuple[Compared, ...]
    strangers: tuple[Flow, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        return counts(self.compared)

    @property
    def decided(self) -> bool:
        return all(one.decided for one in self.compared)

    @property
    def is_meant(self) -> bool:
        """Whether all that differs is what the change is there for."""
        return self.decided and not self.strangers

    def facts(self) -> dict[str, Any]:
        """For templates/documents/difference.j2: what is not meant to differ."""
        families = [
            {**one.facts(), "groups": one.groups(flow for flow in one.flows if flow in self.strangers)} for one in self.compared
        ]  # fmt: skip
        sides = dict(zip(("old", "new"), self.names, strict=True))
        return {"families": families, "counts": counted(self.strangers), "decided": self.decided, "sides": sides}


def prove(situation: Situation, plan: FamilyPlan, text: str) -> list[Step]:
    """Compare step by step. ``text``: the generated rules as they are printed.

    Raises UsageError when the text is not read back as the rules that were planned.
    """
    made = parse(text, RESULT)
    _check_reading(plan, made.rulesets[0] if made.rulesets else None)
    host = _as_wanted(situation.snapshot, plan)
    source = Dump(situation.dump.file, situation.dump.text, (situation.ruleset,))
    stages: list[tuple[str | None, str, Dump]] = [
        (None, "the source", source),
        *((change, CALLED[change], _printed(ruleset, CALLED[change])) for change, ruleset in plan.changes),
        (None, RESULT, made),
    ]
    return [
        _step(situation, plan, change, (old, new), compare(_on(host, before), _on(host, after), (old, new)))
        for (_, old, before), (change, new, after) in pairwise(stages)
    ]


def _step(
    situation: Situation, plan: FamilyPlan, change: str | None, names: tuple[str, str], compared: Sequence[Compared]
) -> Step:
    strangers = tuple(flow for one in compared for flow in MEANT[change](situation, plan, one))
    return Step(change, names, tuple(compared), strangers)


def _opening(situation: Situation, plan: FamilyPlan, compared: Compared) -> list[Flow]:
    """What a change does that may close, and never open."""
    return [flow for flow in compared.flows if flow.kind not in ("closed", "refused")]


def _not_asked(situation: Situation, plan: FamilyPlan, compared: Compared) -> list[Flow]:
    """What the rules do that were wished for, but not that."""
    opens = {f"-A {each.chain} {each.options}": each.opens for each in plan.wish.lines} if plan.wish else {}
    lines = _printed(dict(plan.changes)["x-iptexplain"], "").text.split("\n")
    new = {number: opens[line] for number, line in enumerate(lines, 1) if line in opens}
    return [flow for flow in compared.flows if not is_asked(compared, flow, new)]


MEANT: dict[str | None, Callable[[Situation, FamilyPlan, Compared], Sequence[Flow]]] = {
    None: lambda situation, plan, compared: compared.flows,
    "docker-proxy": lambda situation, plan, compared: not_carried(situation, compared),
    "x-iptexplain": _not_asked,
    "strict": _opening,
}
"""A change → what differs and is not meant."""


def _on(host: Snapshot, dump: Dump) -> Snapshot:
    return host._replace(dumps=(dump,))


def _as_wanted(snapshot: Snapshot, plan: FamilyPlan) -> Snapshot:
    """The host as the header wants it: loopback's packets may go to the bridges that published ports lead to, and without
    docker-proxy the daemon lets a container's packets come back to it by its port of the bridge (libnetwork, setHairpinMode)."""
    facts = dict(snapshot.facts)
    needed = {f"net.ipv4.conf.{bridge}.route_localnet": 1 for bridge in plan.loopback_bridges}
    facts["sysctls"] = {**facts.get("sysctls", {}), **needed}
    if plan.ends_proxy and "bridge_links" in facts:
        links = facts["bridge_links"]
        facts["bridge_links"] = [x | {"hairpin": True} if x.get("master") in plan.bridges else x for x in links]
    return snapshot._replace(facts=facts)


def _printed(ruleset: Ruleset, name: str) -> Dump:
    """Rules that stand in no file, as if they stood in one."""
    return parse(save_dump(ruleset), name)


def _check_reading(plan: FamilyPlan, read: Ruleset | None) -> None:
    """What is printed must say what is meant: names that no restore file can hold are found here."""
    wanted, found = (list(_lines(r)) if r else [] for r in (plan.ruleset, read))
    lost = next((line for line in wanted if line not in found), None)
    if lost is not None or len(wanted) != len(found):
        raise UsageError(
            f"this rule cannot be written so that iptables-restore reads it back: {said(lost or found[-1])}"
        )


def _lines(ruleset: Ruleset) -> Iterator[str]:
    for table in ruleset.tables.values():
        for rule in table.rules():
            matches = tuple(m for m in rule.matches if m.name != "comment")
            yield f"{table.name} {save_rule(rule._replace(matches=matches), ruleset.backend)}"


def is_proved(steps: Sequence[Step]) -> bool:
    """Whether the rules do what the source's did, but for what is meant to differ."""
    return all(step.is_meant for step in steps)


def proof_json(steps: Sequence[Step]) -> dict[str, Any]:
    """All steps in one answer, as ``check -o json`` has it; ``deliberate`` on regions that are meant to differ."""
    answers = [(step, difference_json(step.compared)) for step in steps]
    regions = [
        {
            **region,
            "between": list(step.names),
            **({"deliberate": step.change} if step.change and step.is_meant else {}),
        }
        for step, answer in answers
        for region in answer["regions"]
    ]
    return {
        "equal": all(answer["equal"] for _, answer in answers),
        "equal_but_for_deliberate": is_proved(steps),
        "decided": all(step.decided for step in steps),
        "assumptions": list(dict.fromkeys(a for _, answer in answers for a in answer["assumptions"])),
        "opened": sum(step.counts["opened"] for step in steps),
        "closed": sum(step.counts["closed"] for step in steps),
        "regions": regions,
    }
