"""What matches that look at a packet's headers have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from iptexplain.rules.answer import Answer, Backend, Packet
from iptexplain.rules.extension import Match, Setting
from iptexplain.rules.values import Interval, Number, Range


class TransportMatch(Match):
    """A match that reads the header behind IP's. Fragments after the first do not carry it: they never match."""

    __slots__ = ()

    def answer(self, packet: Packet) -> Answer:
        return Answer.NO if packet.field("fragment") is True else super().answer(packet)


class RangeMatch(Match):
    """A match of numbers in a header. iptables-save leaves out the range of all numbers, even when it is inverted."""

    whole: ClassVar[Range] = Range(0, 0xFFFFFFFF)

    __slots__ = ()

    def words(self) -> Mapping[str, Setting | None]:
        """Without what says nothing."""
        words = super().words()
        return {k: None if s and s.value == self.whole and not s.inverted else s for k, s in words.items()}

    def save_options(self, backend: Backend) -> str:
        return " ".join(s.save() for s in self.settings if s.value != self.whole)


class Below(Number):
    """Names the numbers below its value."""

    def contains(self, value: int, actual: int) -> bool:
        return actual < value

    def as_set(self, value: int) -> tuple[Interval, ...]:
        return ((self.low, value - 1),) if value > self.low else ()


class Above(Number):
    """Names the numbers above its value."""

    def contains(self, value: int, actual: int) -> bool:
        return actual > value

    def as_set(self, value: int) -> tuple[Interval, ...]:
        return ((value + 1, self.high),) if value < self.high else ()
