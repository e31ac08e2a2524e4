"""Numbers and their units, as templates say them."""

from __future__ import annotations

from iptexplain.rules.rates import Rate
from iptexplain.rules.values import Range

_SIZES = (("GiB", 1 << 30), ("GB", 10**9), ("MiB", 1 << 20), ("MB", 10**6), ("KiB", 1 << 10), ("KB", 1000))
_DURATIONS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_UNITS = {"sec": "second", "min": "minute", "hour": "hour", "day": "day"}


def size(count: int) -> str:
    """Bytes in the largest unit that says them exactly: ``10 MiB``, ``1 MB``, ``1500 bytes``."""
    for unit, bytes_ in _SIZES:
        if count and count % bytes_ == 0:
            return f"{count // bytes_} {unit}"
    return f"{count} byte{'' if count == 1 else 's'}"


def duration(seconds: int) -> str:
    """Seconds in the largest unit that says them exactly: ``2 hours``, ``90 seconds``."""
    unit, length = next(u for u in _DURATIONS if seconds % u[1] == 0) if seconds else _DURATIONS[-1]
    count = seconds // length
    return f"{count} {unit}{'' if count == 1 else 's'}"


def per(rate: Rate) -> str:
    """``5 per minute``."""
    return f"{rate.amount} per {_UNITS[rate.unit]}"


def span(value: Range) -> str:
    """``80`` or ``1000 to 2000``."""
    return str(value.low) if value.low == value.high else f"{value.low} to {value.high}"
