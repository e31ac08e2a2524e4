"""The three answers to "does this packet match?", and what a match may ask of a packet."""

from __future__ import annotations

import enum
from typing import Any, Protocol


class Answer(enum.Enum):
    """Whether a packet matches. UNKNOWN: the dump cannot tell; it refuses ``bool()`` so that nobody takes it for no."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"

    def __bool__(self) -> bool:
        raise TypeError("an Answer has three values: compare it with Answer.YES, NO or UNKNOWN")

    def __and__(self, other: Answer) -> Answer:
        if Answer.NO in (self, other):
            return Answer.NO
        return Answer.UNKNOWN if Answer.UNKNOWN in (self, other) else Answer.YES

    def __or__(self, other: Answer) -> Answer:
        return ~(~self & ~other)

    def __invert__(self) -> Answer:
        return {Answer.YES: Answer.NO, Answer.NO: Answer.YES, Answer.UNKNOWN: Answer.UNKNOWN}[self]

    @staticmethod
    def of(truth: bool) -> Answer:
        return Answer.YES if truth else Answer.NO


class Backend(enum.Enum):
    """Which iptables wrote (or will print) a ruleset; a few rules are spelled differently."""

    NFT = "nf_tables"
    LEGACY = "legacy"


class Packet(Protocol):
    """What a match may ask of a packet. ``field`` gives the value, or Answer.UNKNOWN where nobody said."""

    def field(self, name: str) -> Any: ...
