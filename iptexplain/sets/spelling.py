"""Ranges of numbers in words: networks, ports, names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from iptexplain.rules.addresses import BITS, Address, Network, format_address
from iptexplain.rules.values import Family, Interval
from iptexplain.sets.fields import Field, Fields

MOST_NAMES = 1024
"""How many names in a row are listed."""

ADDRESSES = frozenset({"src", "dst"})


class Spelled(NamedTuple):
    """Values of a field as texts; ``inverted``: all but these."""

    field: str
    values: tuple[str, ...]
    inverted: bool = False


def spelled(fields: Fields, name: str, intervals: Sequence[Interval], family: Family) -> Spelled:
    """The intervals, or what lies between them, when that is shorter to say."""
    top = fields.all[fields.level[name]].top
    plain = texts(fields, name, intervals, family)
    holes = list(between(intervals, top))
    others = texts(fields, name, holes, family)
    return Spelled(name, others, True) if holes and _length(others) < _length(plain) else Spelled(name, plain)


def _length(values: Sequence[str]) -> tuple[int, int]:
    """How long it takes to say; a range has two ends."""
    return sum(2 if "-" in value else 1 for value in values), sum(map(len, values))


def between(intervals: Sequence[Interval], top: int) -> Iterator[Interval]:
    """What sorted intervals leave out, from 0 to ``top``."""
    start = 0
    for low, high in intervals:
        if low > start:
            yield start, low - 1
        start = high + 1
    if start <= top:
        yield start, top


def texts(fields: Fields, name: str, intervals: Sequence[Interval], family: Family) -> tuple[str, ...]:
    """The intervals as texts, never what lies between them."""
    field = fields.all[fields.level[name]]
    if name in ADDRESSES:
        return tuple(text for low, high in intervals for text in _networks(low, high, family))
    named = name != "proto" and not isinstance(field.value(0), int)
    return tuple(text for low, high in intervals for text in _one_range(field, low, high, named))


def _one_range(field: Field, low: int, high: int, named: bool) -> Iterator[str]:
    """Names one by one, as far as a person may read them; numbers, and what has too many names, by their ends."""
    if low == high or (named and high - low < MOST_NAMES):
        yield from (str(field.value(n)) for n in range(low, high + 1))
    else:
        yield f"{field.value(low)}-{field.value(high)}" if named else f"{low}-{high}"


@lru_cache(maxsize=1 << 16)
def _networks(low: int, high: int, family: Family) -> tuple[str, ...]:
    """The fewest networks that make up a range of addresses; a range that takes many is named by its ends."""
    found = tuple(islice(networks(low, high, family), 5))
    if len(found) > 4:
        return (f"{format_address(family, low)}-{format_address(family, high)}",)
    return tuple(str(Address(family, network.number)) if network.is_host else str(network) for network in found)


def networks(low: int, high: int, family: Family) -> Iterator[Network]:
    """The fewest networks that make up a range of addresses."""
    bits = BITS[family]
    while low <= high:
        size = min(low & -low or 1 << bits, 1 << (high - low + 1).bit_length() - 1)
        yield Network(family, low, (1 << bits) - size)
        low += size
