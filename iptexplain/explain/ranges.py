"""A line of packets in words: each field that says something with its values."""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.rules.values import Interval
from iptexplain.sets.boxes import Box
from iptexplain.sets.fields import BITS_OF, MARKS
from iptexplain.sets.ordinary import STRANGE, Line, Ordinary
from iptexplain.sets.spelling import Spelled, spelled, texts

ORDER = ("proto", "own", "src", "host", "dst", "sport", "dport", "icmp_type", "icmp_code", "ctstate", "ctdir", "ctstatus", "flags",
         "iif", "physin", "mac_src", "length", "ttl", "tos", "fragment", "mark", "connmark")  # fmt: skip
"""The fields in the order in which they are told; ``host``: that the packets are for this host, ``own``: that it sends them."""


def said_ranges(ordinary: Ordinary, line: Line) -> list[Spelled]:
    """What a line says, for sentences."""
    found = {one.field: one for one in _fields(ordinary, line.box)}
    if not line.comes_in or (line.is_own and not line.to_host):
        found["own"] = Spelled("own" if not line.comes_in else "also own", ())
    if "iif" in found and not (line.comes_in and found["iif"].values):
        del found["iif"]
    if line.to_host and line.rank != STRANGE:
        here = said_texts(ordinary, line)["dst"]
        found["dst"] = Spelled("dst", tuple(here))
        if len(here) == len({a.address for a in ordinary.topology.addresses}):
            del found["dst"]
            found["host"] = Spelled("host", ())
    return [found[name] for name in ORDER if name in found]


def _fields(ordinary: Ordinary, box: Box) -> Iterator[Spelled]:
    fields, family = ordinary.fields, ordinary.topology.family
    for level in sorted(box):
        name = fields.all[level].name
        if name == "iif":
            yield _interfaces(ordinary, box[level])
        elif ":" not in name:
            yield spelled(fields, name, box[level], family)
    for name in BITS_OF:
        bits = {n: box[level][0][0] for n, level in enumerate(fields.bits(name)) if level in box}
        if bits:
            yield Spelled(name, tuple(_bits(name, bits)))


def _bits(name: str, bits: dict[int, int]) -> Iterator[str]:
    if name in MARKS:
        yield f"{sum(bit << n for n, bit in bits.items()):#x}/{sum(1 << n for n in bits):#x}"
        return
    yield from (BITS_OF[name][n] if bit else f"not {BITS_OF[name][n]}" for n, bit in bits.items())


def _interfaces(ordinary: Ordinary, intervals: tuple[Interval, ...]) -> Spelled:
    """Those by which packets come in, or all but some."""
    names = ordinary.fields.interfaces.names
    here = [name for name in ordinary.incoming if any(low <= names.index(name) <= high for low, high in intervals)]
    rest = [name for name in ordinary.incoming if name not in here]
    inverted = len(rest) < len(here)
    return Spelled("iif", tuple(rest if inverted else here), inverted)


def said_texts(ordinary: Ordinary, line: Line) -> dict[str, list[str]]:
    """What a line says, field by field, for JSON: never what it leaves out."""
    fields, family = ordinary.fields, ordinary.topology.family
    found: dict[str, list[str]] = {}
    for level in sorted(line.box):
        name = fields.all[level].name
        if name == "iif":
            one = _interfaces(ordinary, line.box[level])
            found[name] = [n for n in ordinary.incoming if (n in one.values) != one.inverted]
        else:
            found[name] = list(texts(fields, name, line.box[level], family))
    if line.is_own != line.comes_in or "iif" in found:
        found["iif"] = [*([""] if line.is_own else []), *(found.get("iif", ordinary.incoming) if line.comes_in else [])]
    if line.to_host and line.rank != STRANGE:
        # Which of all addresses that look like the host's are its own, ``box`` does not say.
        here = line.box.get(fields.level["dst"], ((0, fields.all[fields.level["dst"]].top),))
        own = dict.fromkeys(a.address for a in ordinary.topology.addresses)
        found["dst"] = [str(a) for a in own if any(low <= a.number <= high for low, high in here)]
    return found
