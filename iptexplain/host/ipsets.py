"""IP sets as ``ipset save`` prints them, and whether a packet is in one (net/netfilter/ipset/)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.addresses import Address, to_address, to_network
from iptexplain.rules.parameters import Protocol
from iptexplain.rules.values import Family, to_int, to_port

PORTS = ("tcp", "udp", "udplite", "sctp")
ANY_PORT = ("tcp", "udp")
"""The protocols whose ports a set of ports alone holds (bitmap:port): ip_set_get_ip_port in ip_set_bitmap_port.c."""


class Element(NamedTuple):
    """An entry of a set: what each dimension holds; ``nomatch``: it is an exception from a wider network; ``timeout``: how many
    seconds it stays, as far as it says so.

    ``vague``: its interface is a bridge's port or the start of a name, or it stands for what a bitmask leaves of addresses.
    """

    parts: tuple[Any, ...]
    nomatch: bool = False
    timeout: int | None = None
    vague: bool = False

    @property
    def width(self) -> int:
        """How many addresses its networks leave open: the narrowest entry decides."""
        return sum(
            high.number - low.number
            for low, high in (p for p in self.parts if isinstance(p, tuple) and p and isinstance(p[0], Address))
        )


class IpSet(NamedTuple):
    """A set: its dimensions (ip, net, port, mac, iface, mark or set), its family (None: both), and its entries.

    ``options``: what ``ipset create`` was told, such as ``timeout``; None for a word without a value.
    """

    name: str
    kind: str
    dimensions: tuple[str, ...]
    family: Family | None
    options: dict[str, str | None]
    elements: list[Element]


FLAGS = ("counters", "comment", "skbinfo", "forceadd")
"""Options of ``ipset create`` without a value."""


class IpSets:
    """All sets of a host, by name."""

    def __init__(self, text: str) -> None:
        self.sets: dict[str, IpSet] = {}
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split()
            try:
                if words[:1] == ["create"]:
                    self._create(words)
                elif words[:1] == ["add"]:
                    found = self.sets[words[1]]
                    found.elements.append(element(found, words[2], words[3:]))
            except (OptionError, LookupError, ValueError) as e:
                raise OptionError(f"ipsets: line {number}: '{line.strip()}' is not understood: {e}") from None

    def _create(self, words: Sequence[str]) -> None:
        name, kind, *more = words[1:]
        dimensions = tuple(kind.partition(":")[2].split(","))
        options: dict[str, str | None] = {}
        while more:
            word = more.pop(0)
            options[word] = None if word in FLAGS or not more else more.pop(0)
        family: Family | None = 6 if options.get("family") == "inet6" else 4
        family = family if {"ip", "net"} & {*dimensions} else None
        self.sets[name] = IpSet(name, kind, dimensions, family, options, [])

    def contains(self, name: str, sides: Sequence[str], packet: Mapping[str, Any]) -> bool | None:
        """Whether ``packet`` (its fields) is in the set, looked at from ``sides`` (src or dst for each dimension).

        None: there is no such set here, or the packet's fields do not tell. A match with fewer sides than the set has
        dimensions never matches, nor does one of the other family (ip_set_test).
        """
        found = self.sets.get(name)
        if found is None:
            return None
        if found.dimensions == ("set",):
            answers = [self.contains(e.parts[0], sides, packet) for e in found.elements]
            return True if True in answers else None if None in answers else False
        if len(sides) < len(found.dimensions) or found.family not in (None, packet["src"].family):
            return False
        values = [_value(d, side, packet) for d, side in zip(found.dimensions, sides, strict=False)]
        if None in values or any(e.vague for e in found.elements):
            return None
        hits = [e for e in found.elements if all(map(_fits, e.parts, values))]
        narrowest = min(hits, key=lambda e: e.width, default=None)
        if narrowest and found.dimensions == ("net", "iface"):
            # The search from narrow to wide stops where a network fits, whatever its interface (mtype_test_cidrs).
            stop = min(e.width for e in found.elements if _fits(e.parts[0], values[0]))
            return narrowest.width == stop and not narrowest.nomatch
        return narrowest is not None and not narrowest.nomatch


def element(found: IpSet, text: str, options: Sequence[str]) -> Element:
    """One entry as ``ipset add`` takes it."""
    words = text.split(",")
    mask = found.options.get("netmask")
    if mask:
        words = [
            f"{w}/{mask}" if d == "ip" and not set("/-") & set(w) else w
            for d, w in zip(found.dimensions, words, strict=False)
        ]
    parts = tuple(_part(d, word, found) for d, word in zip(found.dimensions, words, strict=False))
    timeout = to_int(options[options.index("timeout") + 1]) if "timeout" in options else None
    vague = "wildcard" in options or "physdev:" in text or "bitmask" in found.options
    return Element(parts, "nomatch" in options, timeout, vague)


def _part(dimension: str, word: str, found: IpSet) -> Any:
    family = found.family or 4
    if dimension in ("ip", "net"):
        first, dash, last = word.partition("-")
        if dash:
            return to_address(first, family), to_address(last, family)
        network = to_network(word, family)
        size = network.mask ^ ((1 << (32 if family == 4 else 128)) - 1)
        return Address(family, network.number), Address(family, network.number | size)
    if dimension == "port":
        return _port(word, None if found.kind == "bitmap:port" else "tcp")
    if dimension == "mark":
        return to_int(word)
    return word.lower() if dimension == "mac" else word


def _port(word: str, protocol: str | None) -> tuple[str | None, int, int]:
    """``[PROTOCOL:]PORT[-PORT]``; ``protocol``: what is meant where none stands there (none in a bitmap:port, tcp elsewhere)."""
    name, colon, span = word.rpartition(":")
    first, dash, last = span.partition("-")
    if "/" in first:
        kind, _, code = first.partition("/")
        low = high = int(kind) << 8 | int(code)
    else:
        low, high = to_port(first), to_port(last) if dash else to_port(first)
    return Protocol().parse(name, 4) if colon else protocol, low, high


def _value(dimension: str, side: str, packet: Mapping[str, Any]) -> Any:
    """What a dimension looks at in the packet; None when nobody said."""
    if dimension in ("ip", "net"):
        return packet[side]
    if dimension == "iface":
        return packet.get("iif" if side == "src" else "oif")
    if dimension == "mac":
        return packet.get("mac_src" if side == "src" else "mac_dst")
    if dimension == "mark":
        return packet.get("mark")
    proto = packet["proto"]
    if proto in PORTS:
        port = packet.get("sport" if side == "src" else "dport")
        return None if port is None else (proto, port)
    if proto in ("icmp", "ipv6-icmp"):
        return proto, packet.get("icmp_type", 0) << 8 | packet.get("icmp_code", 0)
    return proto, 0


def _fits(part: Any, value: Any) -> bool:
    if isinstance(value, Address):
        return bool(part[0].number <= value.number <= part[1].number)
    if isinstance(value, tuple):
        return value[0] in ((part[0],) if part[0] else ANY_PORT) and bool(part[1] <= value[1] <= part[2])
    return bool(part == value)
