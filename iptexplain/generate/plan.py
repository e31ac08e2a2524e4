"""The plan: one family's rules with their reasons, and what the header says of them. Frozen; the outputs only spell it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from iptexplain.errors import UsageError
from iptexplain.explain.situation import Situation
from iptexplain.explain.words import said
from iptexplain.generate import flat, names, proxy, strict
from iptexplain.generate.carried import served
from iptexplain.generate.draft import Draft, draft_of
from iptexplain.generate.reason import Reason
from iptexplain.generate.wish import USER, Wish
from iptexplain.rules.model import Rule, Ruleset
from iptexplain.rules.values import Family

STYLES: dict[str, Callable[[Draft, Situation, frozenset[str]], None]] = {
    "docker": lambda draft, situation, egress: None,
    "flat": flat.flatten,
    "strict": strict.close,
}
"""How the rules are put: as Docker has them, as few as will do, or closed but for what is asked for."""


CLOSING = ("unpublished", "strict-entering", "internal-in", "internal-in-both")
"""Reasons of rules that drop what enters a bridge and was not let in before."""


class Planned(NamedTuple):
    """A rule, and why it is there; ``own``: it stands in for Docker's rules, else it is kept from the source."""

    rule: Rule
    reason: Reason
    own: bool


class PlannedChain(NamedTuple):
    name: str
    policy: str | None
    rules: tuple[Planned, ...]


class PlannedTable(NamedTuple):
    name: str
    chains: tuple[PlannedChain, ...]


class FamilyPlan(NamedTuple):
    """One family's rules.

    ``changes``: the source's rules after each deliberate change, by its name, in the order in which they were made;
    ``closed_by``: what keeps from containers what nobody let in: ``policy``, ``drops`` or ``nothing`` (for ``open_bridges``).
    """

    family: Family
    tables: tuple[PlannedTable, ...]
    ruleset: Ruleset
    changes: tuple[tuple[str, Ruleset], ...]
    closed_by: str
    open_bridges: tuple[str, ...]
    bridges: tuple[str, ...]
    loopback_bridges: tuple[str, ...]
    """The bridges that published ports lead to from loopback: they need route_localnet."""
    apart_inside: tuple[str, ...] = ()
    """The bridges whose containers may not talk to each other (icc is off)."""
    wish: Wish | None = None
    """What was wished for beside what the source does."""

    @property
    def ends_proxy(self) -> bool:
        """Whether these rules do what docker-proxy did."""
        return any(name == "docker-proxy" for name, _ in self.changes)


class Plan(NamedTuple):
    """The whole: what it was made from (name and SHA-256 of each input), by which version, and how."""

    inputs: tuple[tuple[str, str], ...]
    version: str
    style: str
    keeps_proxy: bool
    families: tuple[FamilyPlan, ...]
    notes: tuple[str, ...] = ()
    """What was taken for granted of the source, as sentences."""
    engine: str | None = None
    """The engine whose rules these stand in for, where the source has none."""
    ipsets: str = ""
    """The IP sets of the source's host, as ``ipset save`` prints them."""

    @property
    def changes(self) -> list[str]:
        """The deliberate differences from Docker, by name."""
        return list(dict.fromkeys(name for family in self.families for name, _ in family.changes))


def plan(
    situation: Situation, style: str, keeps_proxy: bool, egress: frozenset[str], wish: Wish | None = None
) -> FamilyPlan:
    """The rules that stand in for Docker's in one family.

    ``keeps_proxy``: docker-proxy goes on; ``egress``: the bridges whose containers may open connections, in style ``strict``;
    ``wish``: rules of the administrator's that the source does not have.
    """
    draft = draft_of(situation)
    changes: list[tuple[str, Ruleset]] = []
    if not keeps_proxy and proxy.is_used(situation.docker):
        proxy.without_proxy(draft, situation)
        changes.append(("docker-proxy", draft.ruleset()))
    if wish:
        draft.add_wish(wish)
        changes.append(("x-iptexplain", draft.ruleset()))
    STYLES[style](draft, situation, egress)
    if style == "strict":
        changes.append(("strict", draft.ruleset()))
    _check_kept(draft, situation)
    names.prune(draft)
    names.rename(draft)
    names.gather(draft, by_bridge=style == "docker")
    return _frozen(draft, situation, tuple(changes), wish)


def _check_kept(draft: Draft, situation: Situation) -> None:
    """Raises UsageError where packets got to a rule that is not Docker's, and would not any more."""
    for table in draft.tables.values():
        reached = table.reached()
        for name, entries in table.chains.items():
            lost = next((e.rule for e in entries if not e.own), None)
            if lost and name not in reached and (table.name, name) in situation.docker.roles.reached:
                raise UsageError(
                    f"{said(draft.file)}:{lost.line}: this rule is not Docker's, and this style has no place for it, because it makes other "
                    f"rules of Docker's chain {said(name)}; move it to {USER}, or take --style docker: {said(situation.dump.line(lost.line))}"
                )


def _frozen(
    draft: Draft, situation: Situation, changes: tuple[tuple[str, Ruleset], ...], wish: Wish | None
) -> FamilyPlan:
    ruleset = draft.ruleset()
    tables = tuple(
        PlannedTable(
            name,
            tuple(
                PlannedChain(c.name, c.policy, tuple(Planned(*e) for e in draft.tables[name].chains[c.name]))
                for c in table.chains.values()
            ),
        )
        for name, table in ruleset.tables.items()
    )
    docker = situation.docker
    dropped = {e.bridge for _, _, e in draft.entries() if e.own and e.reason.name in CLOSING}
    still_open = tuple(n.bridge for n in docker.networks if n.bridge not in dropped)
    forward = ruleset.chain("filter", "FORWARD")
    closed_by = "policy" if forward and forward.policy == "DROP" else "nothing" if still_open else "drops"
    gone = any(name == "docker-proxy" for name, _ in changes) and not proxy.keeps_loopback(draft)
    looped = sorted(n.bridge for n in served(docker)) if draft.family == 4 and gone else []
    return FamilyPlan(
        draft.family, tables, ruleset, changes, closed_by, still_open, tuple(n.bridge for n in docker.networks), tuple(looped),
        tuple(n.bridge for n in docker.networks if n.icc is False), wish,
    )  # fmt: skip
