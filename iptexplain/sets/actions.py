"""What a rule's target does to all packets that meet its conditions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iptexplain.rules.answer import Answer, Backend
from iptexplain.rules.extension import Target
from iptexplain.rules.model import Place
from iptexplain.rules.targets.connmark import Connmark
from iptexplain.rules.targets.mark import BitChange, MarkTarget
from iptexplain.rules.targets.tproxy import Tproxy
from iptexplain.sets.change import Change, Chosen, Copy, Shift
from iptexplain.sets.conditions import Conditions, Kind
from iptexplain.sets.fields import BITS_OF, bits_of
from iptexplain.sets.space import Diagram
from iptexplain.sets.ways import ACCEPT, DROP, NEXT, REJECT, UNDECIDED, End, Piece, Ways

NO_MATTER = frozenset({"tcpmss", "zone_orig", "zone_reply"})
"""Fields that a target changes and that no set of first packets asks for."""

WHOLE = ("ttl", "tos")
"""Fields whose new value follows from their old one."""


class Actions:
    """The targets that are extensions, but for NAT's."""

    def __init__(self, ways: Ways, conditions: Conditions) -> None:
        self.ways, self.conditions, self.fields = ways, conditions, conditions.kinds.fields

    def of(self, target: Target, place: Place, by: Place | None) -> Piece:
        """``by``: how the place is called in the ends."""
        changes = self._changes(target)
        own = type(target)
        if own.decide is Target.decide:
            return self.ways.then(changes, self._verdict(target, target.verdict, place, by))
        pieces = {word: self._verdict(target, word, place, by) for word in ("ACCEPT", "DROP", "UNKNOWN", None)}
        decided = self.conditions.asked(target, target.decide, lambda word: pieces[word].map)
        every = frozenset[Diagram]().union(*(p.open for p in pieces.values()))
        return self.ways.then(changes, Piece(self._known(target, decided), every))

    def _known(self, target: Target, found: Diagram) -> Diagram:
        return self.ways.space.fill(found, self.conditions.unknown, self._not_analysed(target))

    def _not_analysed(self, target: Target) -> Diagram:
        """The end says which target it was: what two rulesets leave open is only then the same."""
        return self.ways.ending(End(UNDECIDED, by=target.save(Backend.NFT))).map

    def _verdict(self, target: Target, word: str | None, place: Place, by: Place | None) -> Piece:
        if word is None:
            return self.ways.go_on
        if word == "UNKNOWN":
            return self.either(place, target, by)
        answer = target.value("reject_with")
        return self.ways.ending(End(ACCEPT if word == "ACCEPT" else REJECT if answer else DROP, by=by, answer=answer))

    def either(self, place: Place, target: Target | None, by: Place | None) -> Piece:
        """A verdict that is not netfilter's to give."""
        yes, no = (self.ways.ending(End(way, by=by)) for way in (ACCEPT, DROP))
        return self.ways.choice(self.conditions.undecided(place, target), yes, no)

    # -- changes

    def _changes(self, target: Target) -> Piece:
        if type(target).changes is Target.changes:
            return self.ways.go_on
        if isinstance(target, MarkTarget | Tproxy):
            change: BitChange = target.value("set_xmark" if isinstance(target, MarkTarget) else "tproxy_mark")
            return self._next(self._flipped("mark", change))
        if isinstance(target, Connmark):
            return self._connmark(target)
        whole = self._whole(target)
        if whole is not None:
            return self._next(whole)
        found = self.conditions.asked(target, target.changes, lambda changes: self._changed(target, changes))
        return self.ways.turned(self._known(target, found), lambda end: end)

    def _next(self, changes: Mapping[int, Change]) -> Piece:
        return self.ways.ending(End(NEXT, tuple(sorted(changes.items()))))

    def _changed(self, target: Target, changes: Mapping[str, Any]) -> Diagram:
        """The end of packets whose fields become so."""
        new: dict[int, Change] = {}
        unknown = _some(target)
        for name, value in changes.items():
            if name in BITS_OF:
                bits = [unknown] * len(BITS_OF[name]) if value is Answer.UNKNOWN else bits_of(name, value)
                new.update(zip(self.fields.bits(name), bits, strict=True))
            elif name in self.fields.level:
                level = self.fields.level[name]
                new[level] = unknown if value is Answer.UNKNOWN else self.fields.all[level].number(value)
            elif name not in NO_MATTER:
                return self._not_analysed(target)
        return self._next(new).map

    def _whole(self, target: Target) -> dict[int, Change] | None:
        """A change of one small field by its old value; None: it is no such change."""
        for name in WHOLE:
            level = self.fields.level[name]
            try:
                values = [target.changes(Kind({name: n}))[name] for n in range(self.fields.all[level].top + 1)]
            except LookupError:
                continue
            return {
                level: values[0] if len(set(values)) == 1 else Shift(tuple((n, n, v) for n, v in enumerate(values)))
            }
        return None

    def _flipped(self, name: str, change: BitChange) -> dict[int, Change]:
        new: dict[int, Change] = {}
        for n, level in enumerate(self.fields.bits(name)):
            bit = change.value >> n & 1
            if change.mask >> n & 1:
                new[level] = bit
            elif bit:
                new[level] = Copy(level, flipped=True)
        return new

    def _connmark(self, target: Connmark) -> Piece:
        """Packets without a connection change nothing."""
        without = self.conditions.kinds.one_of("ctstate", ("INVALID", "UNTRACKED"))
        return self.ways.choice(without, self.ways.go_on, self._next(self._copied(target)))

    def _copied(self, target: Connmark) -> dict[int, Change]:
        shifted = target.value("left_shift_mark") or target.value("right_shift_mark")
        change = target.value("set_xmark")
        if change is not None and not shifted:
            return self._flipped("connmark", change)
        restores = target.get("restore_mark") is not None
        old, source = (self.fields.bits(name) for name in (("mark", "connmark") if restores else ("connmark", "mark")))
        if shifted:
            return dict.fromkeys(old, _some(target))
        taken, cleared = (target.value(key) for key in (("ctmask", "nfmask") if restores else ("nfmask", "ctmask")))
        new: dict[int, Change] = {}
        for n, (level, other) in enumerate(zip(old, source, strict=True)):
            if taken >> n & 1:
                new[level] = Copy(other) if cleared >> n & 1 else _some(target)
            elif cleared >> n & 1:
                new[level] = 0
        return new


def _some(target: Target) -> Chosen:
    """A number that is not followed; the text says whose, for only then is it the same in two rulesets."""
    return Chosen(target.save(Backend.NFT))
