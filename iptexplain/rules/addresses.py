"""IP addresses and networks: what -s, -d and the NAT targets hold."""

from __future__ import annotations

import re
import socket
from typing import NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.values import Family, Interval, Kind

BITS: dict[Family, int] = {4: 32, 6: 128}
_AF = {4: socket.AF_INET, 6: socket.AF_INET6}
_MASKS: dict[Family, dict[str, int]] = {
    family: {str(n): (1 << bits) - (1 << bits - n) for n in range(bits + 1)} | {"": (1 << bits) - 1}
    for family, bits in BITS.items()
}
"""Prefix length as text → mask; no length is a host's."""

_LENGTHS: dict[Family, dict[int, int]] = {
    family: {mask: int(length) for length, mask in masks.items() if length} for family, masks in _MASKS.items()
}
"""Mask → prefix length."""

LONGEST = 100
"""How many digits of a number are read; Python refuses thousands."""


class Address(NamedTuple):
    """An IP address as a number."""

    family: Family
    number: int

    def __str__(self) -> str:
        return format_address(self.family, self.number)


class Network(NamedTuple):
    """An address under a mask, which need not be a prefix."""

    family: Family
    number: int
    mask: int

    @property
    def prefix(self) -> int | None:
        """The prefix length, or None when the mask is none."""
        return _LENGTHS[self.family].get(self.mask)

    @property
    def is_host(self) -> bool:
        return self.prefix == BITS[self.family]

    @property
    def interval(self) -> Interval | None:
        """The first and the last address, or None when the mask is no prefix."""
        return None if self.prefix is None else (self.number, self.number | ~self.mask & (1 << BITS[self.family]) - 1)

    def covers(self, address: Address) -> bool:
        """Whether ``address`` lies in this network."""
        return address.family == self.family and address.number & self.mask == self.number

    def overlaps(self, other: Network) -> bool:
        """Whether an address lies in both."""
        both = self.mask & other.mask
        return self.family == other.family and self.number & both == other.number & both

    def lies_in(self, other: Network) -> bool:
        """Whether all of its addresses lie in ``other`` as well."""
        return self.overlaps(other) and self.mask & other.mask == other.mask

    def __str__(self) -> str:
        address, prefix = format_address(self.family, self.number), self.prefix
        return f"{address}/{format_address(self.family, self.mask) if prefix is None else prefix}"


def format_address(family: Family, number: int) -> str:
    """An address in the usual spelling (inet_ntop)."""
    return socket.inet_ntop(_AF[family], number.to_bytes(BITS[family] // 8, "big"))


def to_address(text: str, family: Family | None = None) -> Address:
    """The address ``text``; of either family when None is asked for; raises OptionError."""
    family = family or (6 if ":" in text else 4)
    try:
        return Address(family, int.from_bytes(socket.inet_pton(_AF[family], text), "big"))
    except (OSError, ValueError):
        if family == 4 and re.fullmatch(r"[0-9.]+", text) and 0 < len(text.strip(".").split(".")) < 4:
            return _short_address(text)
        raise OptionError(f"'{text}' is not an IPv{family} address") from None


def _short_address(text: str) -> Address:
    """``127.1`` as xtables_ipparse_any reads it: the parts given, zeros after them."""
    words = text.strip(".").split(".")
    if "" in words or any(len(w) > LONGEST or int(w) > 255 for w in words):
        raise OptionError(f"'{text}' is not an IPv4 address")
    parts = [int(w) for w in words]
    return Address(4, int.from_bytes(bytes(parts + [0] * (4 - len(parts))), "big"))


def to_network(text: str, family: Family | None = None) -> Network:
    """``ADDRESS[/PREFIX or /MASK]``, host bits cleared as iptables does; raises OptionError."""
    word, sep, length = text.partition("/")
    address = to_address(word, family)
    bits = BITS[address.family]
    if not sep:
        mask = (1 << bits) - 1
    elif length.isdecimal():
        if len(length) > LONGEST or int(length) > bits:
            raise OptionError(f"prefix length {length} is longer than {bits}")
        mask = (1 << bits) - (1 << bits - int(length))
    else:
        mask = to_address(length, address.family).number
    return Network(address.family, address.number & mask, mask)


class NetworkKind(Kind):
    """``ADDRESS[/PREFIX]`` of the ruleset's family."""

    def parse(self, text: str, family: Family) -> Network:
        word, _, length = text.partition("/")
        try:
            mask = _MASKS[family][length]
            number = int.from_bytes(socket.inet_pton(_AF[family], word), "big")
        except (KeyError, OSError, ValueError):
            return to_network(text, family)
        return Network(family, number & mask, mask)

    def contains(self, value: Network, actual: Address) -> bool:
        return value.covers(actual)

    def as_set(self, value: Network) -> tuple[Interval, ...]:
        interval = value.interval
        if interval is None:
            raise NotImplementedError("a mask that is no prefix")
        return (interval,)


class AddressKind(Kind):
    """One address of the ruleset's family."""

    def parse(self, text: str, family: Family) -> Address:
        return to_address(text, family)


class Prefix(NamedTuple):
    """How many leading bits of an address count."""

    family: Family
    length: int

    @property
    def is_host(self) -> bool:
        return self.length == BITS[self.family]

    def __str__(self) -> str:
        return str(self.length)


class PrefixLength(Kind):
    """How many leading bits of an address count: a number, or a mask such as 255.255.255.0."""

    def parse(self, text: str, family: Family) -> Prefix:
        length = to_network(f"{format_address(family, 0)}/{text}", family).prefix
        if length is None:
            raise OptionError(f"mask '{text}' is not a prefix")
        return Prefix(family, length)


class HostNetwork(NamedTuple):
    """A network as it was written: by one address of it, whose host bits are kept."""

    address: Address
    network: Network

    def __str__(self) -> str:
        return str(self.address) if self.network.is_host else f"{self.address}/{self.network.prefix}"


class HostNetworkKind(Kind):
    """``ADDRESS[/PREFIX or /MASK]``, host bits kept (XTTYPE_HOSTMASK); ``prefixed``: saved with /32 or /128 too."""

    def __init__(self, prefixed: bool = False) -> None:
        self.prefixed = prefixed

    def parse(self, text: str, family: Family) -> HostNetwork:
        word = text.partition("/")[0]
        network = to_network(text, family)
        if network.prefix is None:  # libxtables takes such a mask for a full one
            network = to_network(word, family)
        return HostNetwork(to_address(word, family), network)

    def save(self, value: HostNetwork) -> str:
        return f"{value.address}/{value.network.prefix}" if self.prefixed else str(value)

    def contains(self, value: HostNetwork, actual: Address) -> bool:
        return value.network.covers(actual)
