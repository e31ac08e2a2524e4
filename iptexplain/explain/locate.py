"""Where the events of a log of TRACE lines stand in the dump, and where log and dump do not fit each other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from iptexplain.errors import DumpError
from iptexplain.explain.rule import read_rule
from iptexplain.rules.answer import Answer, Backend
from iptexplain.rules.find import UnknownTarget
from iptexplain.rules.model import BASE_CHAINS, Chain, Counters, Jump, Place, Rule, Ruleset, Verdict
from iptexplain.rules.save import save_rule
from iptexplain.rules.words import split_words
from iptexplain.walk.kernel_log import Event
from iptexplain.walk.packet import Packet
from iptexplain.walk.recorded import Recorded, Run


class Misfit(NamedTuple):
    """Log and dump disagree; ``name`` says how, ``line`` where in the log (templates/documents/annotate.j2 has the words)."""

    name: str
    line: int
    values: dict[str, Any]


class Located(NamedTuple):
    """An event with its place in the dump.

    ``kind``: rule, policy, end (of a user chain), tracer (the TRACE rule, which the dump does not have) or lost (no place).
    There are several ``places`` where the dump has the rule more than once and the log does not tell which it was.
    """

    event: Event
    kind: str
    depth: int
    places: tuple[Place, ...] = ()
    rule: Rule | None = None
    misfit: Misfit | None = None

    @property
    def action(self) -> str:
        """What was done, as a trace names it: ACCEPT, ``jump:CHAIN``, the target's name; empty where nobody can tell."""
        if self.rule is None:
            return self.event.verdict
        if isinstance(self.rule.target, Jump):
            return f"{'goto' if self.rule.target.goto else 'jump'}:{self.rule.target.chain}"
        return target_name(self.rule)

    @property
    def verdict(self) -> str | None:
        """What became of the packet in this table: ACCEPT, DROP, QUEUE…; None when the table goes on, or nobody can tell."""
        if self.event.verdict:
            return self.event.verdict if self.event.verdict in ("ACCEPT", "DROP", "QUEUE", "STOLEN") else None
        target = self.rule.target if self.rule and not self.misfit else None
        if isinstance(target, Verdict):
            return target.word if target.word != "RETURN" else None
        if target is None or self.event.header is None:
            return None
        decided = target.decide(Packet(self.event.header.fields))
        return "QUEUE" if decided == "UNKNOWN" and target.name == "NFQUEUE" else decided


class Locator:
    """Looks up the events of packets in one ruleset."""

    def __init__(self, ruleset: Ruleset, packets: Iterable[Recorded]) -> None:
        self.ruleset = ruleset
        self.numbers: dict[tuple[str, str], dict[str, list[int]]] = {}
        self.rules: dict[tuple[str, str], Rule | None] = {}
        self.shifts = _shifts(ruleset, packets)
        """Raw's base chains that were longer than in the dump."""

    def run(self, run: Run) -> list[Located]:
        """The events of one run."""
        found: list[Located] = []
        calls: list[list[Any]] = []
        for event in run.events:
            before = found[-1] if found else None
            astray = self._enter(calls, event, before)
            located = self._locate(event, calls[-1][1])._replace(depth=len(calls) - 1)
            if located.places:
                calls[-1][1] = located.places[0].rule
            if astray and not located.misfit:
                located = located._replace(misfit=astray)
            found.append(located)
        return found

    def _enter(self, calls: list[list[Any]], event: Event, before: Located | None) -> Misfit | None:
        """Bring the stack of chains (each with its last rule) to the event's one; the way there must be the dump's."""
        target = before.rule.target if before and before.rule else None
        if isinstance(target, Jump) and target.chain == event.chain:
            calls.append([event.chain, 0])
            return None
        if any(name == event.chain for name, _ in calls):
            while calls[-1][0] != event.chain:
                calls.pop()
        elif not calls or calls[0][0] not in BASE_CHAINS[event.table]:  # the trace began within a user chain
            calls[:] = [[event.chain, 0]]
            return None
        else:
            calls.append([event.chain, 0])
            if before is None or before.misfit:
                return None
            return Misfit(
                "astray", event.line, {"chain": event.chain, "place": before.places[0] if before.places else None}
            )
        if before and before.places and not before.misfit:
            if before.verdict in ("ACCEPT", "DROP"):
                return Misfit("goes-on", event.line, {"place": before.places[0]})
            if isinstance(target, Jump) and event.backend is Backend.LEGACY:  # which tells the end of each chain
                return Misfit("astray", event.line, {"chain": event.chain, "place": before.places[0]})
        return None

    def _locate(self, event: Event, after: int) -> Located:
        chain = self.ruleset.chain(event.table, event.chain)
        if chain is None and event.is_base:
            chain = Chain(event.chain, "", Counters(), ())
        if chain is None:
            table = self.ruleset.tables.get(event.table)
            lost = _lost("no-chain" if table else "no-table", event, table=event.table, chain=event.chain)
            return lost._replace(rule=self._read(event, event.text) if event.text else None)
        if event.backend is Backend.NFT:
            return self._by_text(event, chain, after) if event.kind == "rule" else _end(event, chain)
        return self._by_number(event, chain)

    def _by_text(self, event: Event, chain: Chain, after: int) -> Located:
        """xtables-monitor shows a rule's text, but not its number. (It stops at a rule that it cannot print.)"""
        if not event.text:
            return _lost("no-words", event, table=event.table, chain=chain.name)
        rule = self._read(event, event.text)
        index = self._index(event.table, chain)
        alike = index.get(save_rule(rule), []) if rule else []
        if not alike and event.family == 6:
            alike = index.get(self._without_options(event), [])
        numbers = [n for n in alike if n > after] or alike
        if numbers:
            return _rule(event, chain, *numbers)
        if rule and rule.target and rule.target.name == "TRACE":
            return Located(event, "tracer", 0, rule=rule)
        return _lost("no-text", event, table=event.table, chain=chain.name, text=event.text)._replace(rule=rule)

    def _index(self, table: str, chain: Chain) -> dict[str, list[int]]:
        """The numbers of the chain's rules by their text, and by their text without the target's options."""
        if (table, chain.name) not in self.numbers:
            index = self.numbers[table, chain.name] = {}
            for number, rule in enumerate(chain.rules, 1):
                short = f"{save_rule(rule._replace(target=None))} -j {target_name(rule)}"
                for text in {save_rule(rule), short}:
                    index.setdefault(text, []).append(number)
        return self.numbers[table, chain.name]

    def _read(self, event: Event, text: str) -> Rule | None:
        if (event.table, text) not in self.rules:
            try:
                self.rules[event.table, text] = read_rule(text, event.table, event.family)[1]
            except DumpError:
                self.rules[event.table, text] = None
        return self.rules[event.table, text]

    def _without_options(self, event: Event) -> str:
        """The rule up to the name of its target: xtables-monitor 1.8.9 prints an IPv6 target's options as if they were IPv4's."""
        words = split_words(event.text)
        jump = next((i for i, w in enumerate(words[:-1]) if w.text in ("-j", "-g") and not w.quoted), 0)
        rule = self._read(event, event.text[: words[jump].column - 1]) if jump else None
        return f"{save_rule(rule)} -j {words[jump + 1].text}" if rule else ""

    def _by_number(self, event: Event, chain: Chain) -> Located:
        """x_tables shows a rule's number. The policy, or the end of a user chain, has the number after the last rule's."""
        length = len(chain.rules)
        shift = self.shifts.get(event.chain, NO_SHIFT) if event.table == "raw" else NO_SHIFT
        unconditional = event.kind != "rule"
        if unconditional and event.number == length + shift.rules + 1:
            return _end(event, chain)
        values = {"table": event.table, "chain": chain.name, "number": event.number}
        if shift.rules and event.number < shift.after and (not length or shift.after == 2):
            return Located(event, "tracer", 0)
        if shift.rules and length and (shift.rules > 1 or event.number < shift.after):
            return _lost("shifted", event, **values, shift=shift.rules)
        number = event.number - shift.rules
        if not 1 <= number <= length:
            return _lost("no-rule", event, **values, kind=event.kind, length=length)
        located = _rule(event, chain, number)
        if _is_unconditional(chain.rules[number - 1]) is not unconditional:
            misfit = Misfit("other-kind", event.line, {"place": located.places[0], "kind": event.kind})
            return located._replace(misfit=misfit)
        if _cannot_match(chain.rules[number - 1], event):
            return located._replace(misfit=Misfit("other-packet", event.line, {"place": located.places[0]}))
        return located


class Shift(NamedTuple):
    """How many ``rules`` more a chain had than in the dump: TRACE rules; whatever is numbered from ``after`` on follows them."""

    rules: int = 0
    after: int = 0


NO_SHIFT = Shift()


def _shifts(ruleset: Ruleset, packets: Iterable[Recorded]) -> dict[str, Shift]:
    """For raw's base chains, where the dump has no TRACE rule: a packet's first events come after the one that began its trace."""
    raw = ruleset.tables.get("raw")
    if raw and any(r.target is not None and r.target.name == "TRACE" for r in raw.rules()):
        return {}
    runs = [(r, r is p.runs[0]) for p in packets for r in p.runs if r.table == "raw"]
    found = {}
    for name in BASE_CHAINS["raw"]:
        chain = ruleset.chain("raw", name)
        events = [(e, first) for r, first in runs for e in r.events if e.chain == name and e.backend is Backend.LEGACY]
        policies = [e.number for e, _ in events if e.kind == "policy"]
        more = max(policies, default=0) - (len(chain.rules) if chain else 0) - 1
        if more > 0:
            found[name] = Shift(more, min([e.number for e, first in events if first], default=max(policies)))
    return found


def target_name(rule: Rule) -> str:
    """The word behind ``-j``; ``none`` for a rule that only counts."""
    target = rule.target
    if isinstance(target, Jump):
        return target.chain
    if isinstance(target, Verdict):
        return target.word
    return target.given_name if isinstance(target, UnknownTarget) else target.name if target else "none"


def _rule(event: Event, chain: Chain, *numbers: int) -> Located:
    places = tuple(Place(event.table, chain.name, n, chain.rules[n - 1].line) for n in numbers)
    return Located(event, "rule", 0, places, chain.rules[numbers[0] - 1])


def _end(event: Event, chain: Chain) -> Located:
    """The policy of a base chain, or the end of a user chain."""
    if not event.is_base:
        return Located(event, "end", 0)
    located = Located(event, "policy", 0, (Place(event.table, chain.name, "policy", chain.line),))
    if event.verdict and chain.policy and event.verdict != chain.policy:
        values = {"place": located.places[0], "verdict": event.verdict, "policy": chain.policy}
        return located._replace(misfit=Misfit("other-policy", event.line, values))
    return located._replace(event=event._replace(verdict=event.verdict or chain.policy or ""))


def _lost(name: str, event: Event, **values: Any) -> Located:
    return Located(event, "lost", 0, misfit=Misfit(name, event.line, values))


def _is_unconditional(rule: Rule) -> bool:
    """x_tables calls such a rule policy (in a base chain) or return (get_chainname_rulenum in ip_tables.c)."""
    return isinstance(rule.target, Verdict) and not rule.matches and not rule.parameters.save_options(Backend.LEGACY)


def _cannot_match(rule: Rule, event: Event) -> bool:
    """Whether a condition of the rule definitely does not hold for the packet that the line shows."""
    packet = Packet(event.header.fields if event.header else {})
    return any(match.answer(packet) is Answer.NO for match in rule.conditions())
