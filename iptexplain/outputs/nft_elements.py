"""What IP sets hold, in the language of nftables.

A set of nft has no exceptions, and no entries that overlap. Where one network holds another, the narrowest decides in ipset(8); what
comes of that is written as ranges apart from each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import pairwise, takewhile
from typing import Any

from iptexplain.explain.words import said
from iptexplain.host.ipsets import PORTS, IpSet
from iptexplain.rules.addresses import BITS, Address
from iptexplain.rules.nft import FULL_MARK, interface, no_form, spelled_range
from iptexplain.rules.values import to_int

Row = tuple[tuple[Any, ...], int | None]
"""What each dimension of an entry holds, and for how many seconds it stays."""

DIMENSIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "ip": (("{address}", "{ip} {end}addr"),),
    "net": (("{address}", "{ip} {end}addr"),),
    "port": (("inet_proto", "meta l4proto"), ("inet_service", "th {end}port")),
    "mac": (("ether_addr", "ether {end}addr"),),
    "mark": (("mark", "meta mark"),),
    "iface": (("ifname", "{way}ifname"),),
}
"""Dimension → the types of nft that it takes, and the field of a packet that is held against each."""


def stays(found: IpSet, seconds: int | None) -> str:
    """For how long an entry stays; where it does not say so, for what the set says."""
    if "timeout" not in found.options:
        return ""
    seconds = to_int(found.options["timeout"] or "0") if seconds is None else seconds
    return f" timeout {seconds}s" if seconds else ""


def check(found: IpSet) -> None:
    """Raises OptionError for entries that nft has no form of."""
    what = f"the set {said(found.name)}"
    unknown = [d for d in found.dimensions if d not in DIMENSIONS]
    if unknown or "bitmask" in found.options or to_int(found.options.get("markmask") or hex(FULL_MARK)) != FULL_MARK:
        raise no_form(f"{what}, a {found.kind} with {' and '.join(unknown) or 'a mask'}")
    is_timed = to_int(found.options.get("timeout") or "1") == 0
    if is_timed and any(e.timeout is None for e in found.elements):
        raise no_form(
            f"{what}: its entries leave it, and when is not said ('iptexplain capture' leaves countdowns out)"
        )
    for entry in found.elements:
        if entry.vague or len(entry.parts) < len(found.dimensions):
            raise no_form(
                f"{what}: it has entries that name a bridge's port, the start of an interface's name, or no MAC address"
            )
        for dimension, part in zip(found.dimensions, entry.parts, strict=True):
            if dimension == "port" and part[0] not in (None, *PORTS):
                raise no_form(f"{what}: it has entries for {part[0]}, which has no ports")


def is_range(part: Any) -> bool:
    return isinstance(part, tuple) and part[-2] != part[-1]


def apart(found: IpSet, excepted: bool) -> list[Row]:
    """The entries without overlaps and exceptions; ``excepted``: what the exceptions hold instead."""
    spans = [n for n, d in enumerate(found.dimensions) if d in ("ip", "net")]
    entries = [e._replace(nomatch=e.nomatch is not excepted) for e in found.elements]
    if len(spans) != 1 or "iface" in found.dimensions or any(e.timeout is not None for e in entries):
        _check_overlaps(found, spans)
        return [(e.parts, e.timeout) for e in entries if not e.nomatch]
    at = spans[0]
    groups: dict[tuple[Any, ...], list[tuple[int, int, bool]]] = {}
    for e in entries:
        low, high = e.parts[at]
        groups.setdefault((*e.parts[:at], *e.parts[at + 1 :]), []).append((low.number, high.number, e.nomatch))
    family = found.family or 4
    return [
        ((*rest[:at], (Address(family, low), Address(family, high)), *rest[at:]), None)
        for rest, ranges in groups.items()
        for low, high in _narrowest(ranges)
    ]


def _narrowest(ranges: list[tuple[int, int, bool]]) -> Iterator[tuple[int, int]]:
    """What is left where the narrowest of ranges (first, last, whether it is an exception) decides."""
    waiting = sorted(ranges, key=lambda r: r[0], reverse=True)
    if not any(r[2] for r in ranges) and all(a[0] > b[1] for a, b in pairwise(waiting)):
        yield from ((low, high) for low, high, _ in reversed(waiting))
        return
    begun: list[tuple[int, int, bool]] = []
    last: tuple[int, int] | None = None
    for edge, following in pairwise(sorted({r[0] for r in ranges} | {r[1] + 1 for r in ranges})):
        while waiting and waiting[-1][0] == edge:
            low, high, nomatch = waiting.pop()
            heappush(begun, (high - low, high, nomatch))
        while begun and begun[0][1] < edge:
            heappop(begun)
        if begun and not begun[0][2]:
            joins = last is not None and last[1] + 1 == edge
            if last and not joins:
                yield last
            last = (last[0] if last and joins else edge, following - 1)
    if last:
        yield last


def _check_overlaps(found: IpSet, spans: list[int]) -> None:
    """Raises OptionError where entries overlap and more than their addresses tell which one decides.

    One network with several interfaces is no overlap.
    """
    groups: dict[tuple[Any, ...], set[tuple[tuple[Address, Address], ...]]] = {}
    for e in found.elements:
        parts = enumerate(zip(found.dimensions, e.parts, strict=True))
        rest = tuple(part for n, (dimension, part) in parts if n not in spans and dimension != "iface")
        groups.setdefault(rest, set()).add(tuple(e.parts[n] for n in spans))
    for group in groups.values() if spans else ():
        some = sorted(group, key=lambda s: s[0][0].number)
        for n, one in enumerate(some):
            first, end = n + 1, one[0][1].number
            near = takewhile(lambda s: s[0][0].number <= end, some[first:])  # noqa: B023
            for other in near:
                if all(
                    a[0].number <= b[1].number and b[0].number <= a[1].number for a, b in zip(one, other, strict=True)
                ):
                    raise no_form(
                        f"the set {said(found.name)}: {_range(*one[0])} and {_range(*other[0])} in it overlap"
                    )


def spelled(found: IpSet, parts: Sequence[Any]) -> str:
    words = []
    for dimension, part in zip(found.dimensions, parts, strict=True):
        if dimension in ("ip", "net"):
            words.append(_range(*part))
        elif dimension == "port":
            words += [*filter(None, part[:1]), spelled_range(*part[1:])]
        elif dimension == "mark":
            words.append(hex(part))
        else:
            words.append(_name(part) if dimension == "iface" else part)
    return " . ".join(words)


def _name(part: str) -> str:
    if part.endswith("+"):
        raise no_form(f"an interface that is called '{said(part)}'")
    return interface(part)


def _range(low: Address, high: Address) -> str:
    """An address, a network, or a range."""
    size = high.number - low.number + 1
    if size & (size - 1) or low.number % size:
        return f"{low}-{high}"
    return str(low) if size == 1 else f"{low}/{BITS[low.family] - size.bit_length() + 1}"
