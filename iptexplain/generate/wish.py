"""A wish: a few rules of the administrator's beside Docker's, each with its reason, and the proof that nothing else changes."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

from iptexplain.errors import UsageError
from iptexplain.explain.difference import Compared, Flow, compare
from iptexplain.explain.rule import read_rule
from iptexplain.explain.situation import Situation
from iptexplain.explain.words import said
from iptexplain.generate.asked import Asked
from iptexplain.generate.fulfil import Fulfilment, fulfilment
from iptexplain.generate.reason import Reason
from iptexplain.rules.model import BASE_CHAINS, Dump, Place, Table, Verdict
from iptexplain.rules.parse import parse
from iptexplain.rules.save import head, save_rule, save_table
from iptexplain.rules.values import Family
from iptexplain.sets.same import same_places

USER = "DOCKER-USER"
SIDES = ("DUMP", "RESULT")
"""What the comparison calls the rules without and with the new ones."""
_PLAIN = re.compile(r"[A-Za-z0-9_.:@-]+")
FALLS = {"closed", "refused"}


class Line(NamedTuple):
    """A rule to be inserted at the place ``at`` of its chain, or appended (None). ``options`` as iptables-save spells them.

    ``opens``: it is there to let packets through (or to narrow what such a line lets through), so a packet that it decides about may
    get further than before, and none less far; else it is there to stop packets, and none may get further than before.
    """

    table: str
    chain: str
    at: int | None
    options: str
    reason: Reason
    opens: bool = False

    def command(self) -> str:
        """``-I CHAIN NUMBER options`` or ``-A CHAIN options``, the same for iptables and for iptables-restore."""
        head = f"-A {self.chain}" if self.at is None else f"-I {self.chain} {self.at}"
        return f"{head} {self.options}"


class Wish(NamedTuple):
    """The rules of one family, in the order in which they are added. ``chain``: the one that must be made before, if any; ``asked``:
    what is to be so with them."""

    family: Family
    chain: str | None
    lines: tuple[Line, ...]
    asked: tuple[Asked, ...] = ()


class Proved(NamedTuple):
    """What the rules change, and whether what was asked for is so with them.

    ``strangers``: the flows that change although nobody asked for it, or perhaps do; ``same``: a rule's place in the rules with the
    new ones → the place that it had before, or something that is no place.
    """

    compared: tuple[Compared, ...]
    strangers: tuple[Flow, ...]
    fulfilment: Fulfilment
    same: Mapping[Place, Hashable]

    @property
    def decided(self) -> bool:
        return self.fulfilment.decided and all(one.decided for one in self.compared)

    @property
    def holds(self) -> bool:
        return self.decided and not (self.strangers or self.fulfilment.missed or self.fulfilment.hidden)

    def named(self, by: Place | str | None) -> tuple[str, Place | str | None]:
        """A rule of the rules with the new ones by its place in those that were given, and which of SIDES that is."""
        same = self.same.get(by, by) if isinstance(by, Place) else by
        return (SIDES[0], same) if same is None or isinstance(same, Place | str) else (SIDES[1], by)

    @property
    def flows(self) -> list[Flow]:
        return [flow for one in self.compared for flow in one.flows]


def line(situation: Situation, table: str, chain: str, at: int | None, options: str, name: str, **values: str) -> Line:
    """A rule; raises DumpError when iptables would not take it."""
    _, rule, _ = read_rule(f"-A {chain} {options}", table, situation.family)
    spelled = save_rule(rule, situation.ruleset.backend).removeprefix(f"-A {chain} ")
    return Line(table, chain, at, spelled, Reason(name, values))


def plain(name: str) -> str:
    """An interface's name that needs no quotes anywhere; raises UsageError for others."""
    if not _PLAIN.fullmatch(name):
        raise UsageError(f"the interface '{said(name)}' has a name that cannot be written safely into a command")
    return name


def lacks_user_chain(situation: Situation) -> str | None:
    """Why there is no place for rules that Docker leaves alone; None where there is one."""
    if situation.ruleset.chain("filter", USER) and ("filter", USER) in situation.docker.roles.reached:
        return None
    return (
        f"IPv{situation.family}: no packet gets to a chain {USER} here (Docker makes it since 17.06, for IPv6 later than that, and "
        "not for the firewall backend nftables), so there is no place for rules that Docker leaves alone"
    )


def first_place(situation: Situation, before: bool) -> int:
    """The number of a new rule of DOCKER-USER: the last that is asked, before the RETURN at the end, or ``before`` all others."""
    rules = situation.ruleset.tables["filter"].chains[USER].rules
    ends = rules and rules[-1].target == Verdict("RETURN") and not any(rules[-1].conditions())
    return 1 if before else len(rules) if ends else len(rules) + 1


def prove(situation: Situation, wish: Wish) -> Proved:
    """Compare the rules with and without the new ones for all packets, and ask those with them for what was wished for."""
    text = with_wish(situation, wish)
    made = parse(text, SIDES[1])
    opens = {each.command(): each.opens for each in wish.lines}
    new = {number: opens[one] for number, one in enumerate(text.split("\n"), 1) if one in opens}
    old = Dump(situation.dump.file, situation.dump.text, (situation.ruleset,))
    before, after = (situation.snapshot._replace(dumps=(dump,)) for dump in (old, made))
    compared = tuple(compare(before, after, SIDES))
    strangers = [flow for one in compared for flow in one.flows if not is_asked(one, flow, new)]
    return Proved(compared, tuple(strangers), fulfilment(_result(situation, made), wish.asked), _same(situation, made))


def _result(situation: Situation, made: Dump) -> Situation:
    """The host with the new rules."""
    half = situation.half
    others = [Dump(half.dump.file, half.dump.text, (half.ruleset,))] if half else []
    snapshot = situation.snapshot._replace(dumps=(made, *others))
    return Situation(snapshot, situation.family, (made, made.rulesets[0]))


def _same(situation: Situation, made: Dump) -> Mapping[Place, Hashable]:
    return same_places(situation.ruleset, made.rulesets[0])


def is_asked(compared: Compared, flow: Flow, new: Mapping[int, bool]) -> bool:
    """Whether a flow changes in the way that was asked for, and by one of the new rules (their lines, and whether they open)."""
    ends = [compared.told(end) for end in flow.region.now]
    opens = {None if isinstance(end.by, str | None) else new.get(end.by.line) for end in ends}
    return (opens == {True} and flow.kind == "opened") or (opens == {False} and flow.kind in FALLS)


def with_wish(situation: Situation, wish: Wish) -> str:
    """All rules with the new ones, as iptables-restore would be given them."""
    return "\n".join([*_lines(situation, wish), ""])


def _lines(situation: Situation, wish: Wish) -> Iterator[str]:
    ruleset = situation.ruleset
    yield head(situation.family, ruleset.backend if ruleset.backend_known else None)
    for name in BASE_CHAINS:
        mine = [each for each in wish.lines if each.table == name]
        table = ruleset.tables.get(name)
        if table is None and not mine:
            continue
        bare = Table(name, table.chains if table else {}, 1)
        *before, commit = save_table(bare, ruleset.backend)
        yield from before
        yield from restored(wish, name)
        yield commit


def restored(wish: Wish, table: str) -> Sequence[str]:
    """The lines of one table for ``iptables-restore --noflush``, without the first and the last."""
    made = [f":{wish.chain} - [0:0]"] if wish.chain and table == "filter" else []
    return [*made, *(each.command() for each in wish.lines if each.table == table)]
