"""The packets that a match holds for. What the match itself answers for a packet is asked once for each kind of packet that it
can tell apart, so that the set and the trace cannot differ."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import reduce
from typing import Any

from iptexplain.host.topology import Topology
from iptexplain.rules.answer import Answer
from iptexplain.rules.extension import Extension, Match, Setting
from iptexplain.rules.model import Place, Rule
from iptexplain.sets.kinds import Kinds
from iptexplain.sets.simplest import Done, simplified
from iptexplain.sets.space import NO, YES, Diagram, Space
from iptexplain.walk.decide import assumed_answer

LONGEST = 4096
"""How many kinds of packets one match is asked about; beyond, nobody knows what it answers."""


Questions = dict[tuple[Hashable, Extension | None, int], int]
"""What nobody can decide (where, which condition or choice, the greatest number of its answers) → its level."""


class _Asks(LookupError):
    """A match wants a field that the packet at hand does not say yet."""

    def __init__(self, name: str) -> None:
        self.name = name


class Kind:
    """A kind of packets: those with the fields that were asked for so far."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields

    def field(self, name: str) -> Any:
        if name not in self.fields:
            raise _Asks(name)
        return self.fields[name]


class Conditions:
    """Matches as diagrams over ``space``. ``known``: fields that all packets have alike, Answer.UNKNOWN for such as nobody says.

    Each condition that stays unknown at a rule is a level of its own at the bottom (``variables``): the packet meets it where
    that is 1. ``questions``: the levels that there are already; ``same``: how a place is called in them, if not by itself.
    """

    def __init__(
        self, space: Space, kinds: Kinds, topology: Topology, known: Mapping[str, Any],
        questions: Questions | None = None, same: Mapping[Place, Hashable] | None = None,
    ) -> None:  # fmt: skip
        self.space, self.kinds, self.topology, self.known = space, kinds, topology, known
        self.unknown = space.end(Answer.UNKNOWN)
        self.variables: dict[int, tuple[Place, Extension | None]] = {}
        self.questions: Questions = {} if questions is None else questions
        self.same = same or {}
        self.within = YES
        """Of packets outside of this set nothing is said that is true: where nobody asks for them, all that is worked out is smaller."""
        self.within_at: dict[str, Diagram] = {}
        """The same for a hook at which packets are less than anywhere else."""
        self._answers: dict[Match, Sequence[Diagram]] = {}
        self._short: Done = {}

    def of(self, rule: Rule, place: Place, hook: str = "") -> Diagram:
        """The packets for which all conditions of the rule hold. ``hook``: where it is asked, if ``within_at`` may tell."""
        parts, within = [], self.within_at.get(hook, self.within)
        for match in rule.conditions():
            for answers in self.answers(match):
                if not self.space.lacks(answers, self.unknown):
                    answers = self.space.fill(answers, self.unknown, self.undecided(place, match))
                answers = self._among(answers, within)
                if answers == NO:
                    return NO
                parts.append(answers)
        # From the lowest level up each part is one node above what is there.
        parts.sort(key=self.space.level.__getitem__, reverse=True)
        return self._among(reduce(lambda found, part: self.space.both(part, found), parts, YES), within)

    def _among(self, packets: Diagram, within: Diagram) -> Diagram:
        """The same packets among those that count, in fewer questions."""
        if within == YES:
            return packets
        found = self._short.get((packets, within))
        return simplified(self.space, packets, within, self._short) if found is None else found

    def can_meet(self, rule: Rule, hook: str = "") -> bool:
        """Whether any of the packets that are asked for may meet the rule's conditions."""
        within = self.within_at.get(hook, self.within)
        return within == YES or self.space.both(within, self.maybe(rule)) != NO

    def maybe(self, rule: Rule) -> Diagram:
        """The packets that may meet the rule's conditions: what is unknown may hold."""
        parts = [self.space.fill(a, self.unknown, YES) for match in rule.conditions() for a in self.answers(match)]
        return reduce(self.space.both, parts, YES)

    def undecided(self, place: Place, about: Extension | None) -> Diagram:
        """The set for which a condition holds, or a program says yes, that no dump decides: half of all, or what was assumed."""
        name = about.called if about else "QUEUE"
        if name in self.topology.assumed:
            return YES if assumed_answer(about, self.topology.assumed[name]) else NO
        return self.space.among(self.variable(place, about, 1), [(1, 1)])

    def variable(self, place: Place, about: Extension | None, top: int) -> int:
        """The level of a question that nobody can decide; the same one at the same place has one answer."""
        key = (self.same.get(place, place), about, top)
        level = self.questions.get(key)
        if level is None:
            level = self.questions[key] = self.space.add_level(top)
        self.variables.setdefault(level, (place, about))
        return level

    def answers(self, match: Match) -> Sequence[Diagram]:
        """Maps of all packets to NO, YES or ``unknown``: the match holds where all of them are YES."""
        found = self._answers.get(match)
        if found is None:
            found = self._plain(match)
            if found is None:
                found = [self.asked(match, match.answer, self._end)]
            self._answers[match] = found
        return found

    def _end(self, answer: Answer) -> Diagram:
        return self.unknown if answer is Answer.UNKNOWN else YES if answer is Answer.YES else NO

    def _plain(self, match: Match) -> list[Diagram] | None:
        """For most matches: each option is a set of numbers of one field."""
        own = type(match)
        if own.answer is not Match.answer or own.holds is not Match.holds:
            return None
        sets = []
        for setting in match.settings:
            one = self._literal(setting)
            if one is None:
                return None
            sets.append(one)
        if match.reads_header:
            if "fragment" in self.known:
                return None
            sets.append(self.kinds.number("fragment", 0))
        return sets

    def _literal(self, setting: Setting) -> Diagram | None:
        option = setting.option
        if option.field is None or option.kind is None or option.field in self.known:
            return None
        found = self.kinds.named(option.field, option.kind, setting.value)
        return None if found is None else self.space.complement(found) if setting.inverted else found

    def asked(self, extension: Extension, ask: Callable[[Any], Any], end: Callable[[Any], Diagram]) -> Diagram:
        """The map of all packets to ``end`` of what ``ask`` answers for them. Where there are too many kinds: unknown."""
        left = LONGEST

        def explore(fields: dict[str, Any]) -> Diagram:
            nonlocal left
            left -= 1
            try:
                return end(ask(Kind({**self.known, **fields})))
            except _Asks as e:
                parts = self.kinds.parts(e.name, extension.settings, fields)
                name = e.name
            if left < len(parts):
                return self.unknown
            result = NO
            for part, value in parts:
                result = self.space.fill(result, NO, self.space.both(part, explore({**fields, name: value})))
            return result

        return explore({})
