"""A wish: a few rules of the administrator's beside Docker's, each with its reason, and the proof that nothing else changes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from iptexplain.errors import UsageError
from iptexplain.explain.difference import Compared, Flow, compare
from iptexplain.explain.rule import read_rule
from iptexplain.explain.situation import Situation
from iptexplain.explain.words import said
from iptexplain.generate.reason import Reason
from iptexplain.rules.model import BASE_CHAINS, Dump, Table, Verdict
from iptexplain.rules.parse import parse
from iptexplain.rules.save import save_rule, save_table
from iptexplain.rules.values import Family

USER = "DOCKER-USER"
SIDES = ("DUMP", "RESULT")
"""What the comparison calls the rules without and with the new ones."""
_PLAIN = re.compile(r"[A-Za-z0-9_.:@-]+")
FALLS = {"closed", "refused"}


class Line(NamedTuple):
    """A rule to be inserted at the place ``at`` of its chain, or appended (None). ``options`` as iptables-save spells them.

    ``opens``: packets may be let through by it, and none be stopped; else they may be stopped by it, and none be let through.
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
    """The rules of one family, in the order in which they are added. ``chain``: the one that must be made before, if any."""

    family: Family
    chain: str | None
    lines: tuple[Line, ...]


class Proved(NamedTuple):
    """What the rules change. ``strangers``: the flows that change although nobody asked for it, or perhaps do."""

    compared: tuple[Compared, ...]
    strangers: tuple[Flow, ...]

    @property
    def holds(self) -> bool:
        return not self.strangers and all(one.decided for one in self.compared)

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


def user_chain(situation: Situation) -> tuple[int, int | None]:
    """How many rules DOCKER-USER has, and the number of the RETURN at its end, or None where there is none."""
    chain = situation.ruleset.tables["filter"].chains[USER]
    ends = chain.rules and chain.rules[-1].target == Verdict("RETURN") and not any(chain.rules[-1].conditions())
    return len(chain.rules), len(chain.rules) if ends else None


def prove(situation: Situation, wish: Wish) -> Proved:
    """Compare the rules with and without the new ones for all packets."""
    text = with_wish(situation, wish)
    made = parse(text, SIDES[1])
    opens = {each.command(): each.opens for each in wish.lines}
    new = {number: opens[one] for number, one in enumerate(text.split("\n"), 1) if one in opens}
    old = Dump(situation.dump.file, situation.dump.text, (situation.ruleset,))
    before, after = (situation.snapshot._replace(dumps=(dump,)) for dump in (old, made))
    compared = tuple(compare(before, after, SIDES))
    strangers = [flow for one in compared for flow in one.flows if not _is_asked(one, flow, new)]
    return Proved(compared, tuple(strangers))


def _is_asked(compared: Compared, flow: Flow, new: Mapping[int, bool]) -> bool:
    """Whether a flow changes in the way that was asked for, and by one of the new rules (their lines, and whether they open)."""
    ends = [compared.told(end) for end in flow.region.now]
    opens = {None if isinstance(end.by, str | None) else new.get(end.by.line) for end in ends}
    return (opens == {True} and flow.kind == "opened") or (opens == {False} and flow.kind in FALLS)


def with_wish(situation: Situation, wish: Wish) -> str:
    """All rules with the new ones, as iptables-restore would be given them."""
    return "\n".join([*_lines(situation, wish), ""])


def _lines(situation: Situation, wish: Wish) -> Iterator[str]:
    ruleset = situation.ruleset
    yield "# ip6tables-save" if situation.family == 6 else "# iptables-save"
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
