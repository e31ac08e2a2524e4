"""A packet's fields as JSON has them, the same in every answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from iptexplain.explain.words import said
from iptexplain.rules.model import Place
from iptexplain.walk.packet import OneOf


def value_json(value: Any) -> Any:
    """A number, a truth or nothing as it is; flags as a list with commas; first and last of what NAT may choose from.

    ICMPv6 is called icmpv6, as in the answers of REJECT and the kernel's own.
    """
    if isinstance(value, OneOf):
        return {"first": value_json(value.first), "last": value_json(value.last)}
    if isinstance(value, Place):
        return place_json(value)
    if isinstance(value, frozenset):
        return ",".join(sorted(map(str, value)))
    if value is None or isinstance(value, int):
        return value
    return "icmpv6" if value == "ipv6-icmp" else said(str(value))


def fields_json(fields: Mapping[str, Any], names: Iterable[str] | None = None) -> dict[str, Any]:
    """All of the fields, or those of ``names`` that there are."""
    wanted = fields if names is None else [name for name in names if name in fields]
    return {name: value_json(fields[name]) for name in wanted}


def place_json(place: Place | str | None) -> dict[str, Any] | None:
    """A place as JSON names it."""
    if place is None:
        return None
    return {"kernel": place} if isinstance(place, str) else place._asdict()
