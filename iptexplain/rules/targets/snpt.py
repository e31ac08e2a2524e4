"""-j SNPT"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iptexplain.errors import OptionError
from iptexplain.rules.addresses import Address, Network, NetworkKind, to_address
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Option, Target
from iptexplain.rules.values import Family


class Prefix(NetworkKind):
    """``PREFIX/LENGTH`` of at most 64 bits, without any bit behind them."""

    def parse(self, text: str, family: Family) -> Network:
        network = super().parse(text, family)
        if to_address(text.partition("/")[0], family).number != network.number:
            raise OptionError(f"'{text}' is not a prefix: there are bits behind its length")
        if network.prefix is None or network.prefix > 64:
            raise OptionError(f"'{text}' is longer than 64 bits")
        return network


class Snpt(Target):
    """Replaces the network part of an IPv6 source address by another, without remembering anything (RFC 6296).

    16 bits of the address are adjusted so that no checksum changes. DNPT must undo it for the answers, and tracking be
    off for both directions. The next rule is asked. Valid in INPUT and POSTROUTING of the mangle table
    (net/ipv6/netfilter/ip6t_NPT.c).
    """

    name = "SNPT"
    families = (6,)
    tables = frozenset({"mangle"})
    chains = frozenset({"INPUT", "POSTROUTING"})
    options = (
        Option("--src-pfx", Prefix(), required=True, default=Network(6, 0, 0), hide_default=True),
        Option("--dst-pfx", Prefix(), required=True, default=Network(6, 0, 0), hide_default=True),
    )
    __slots__ = ()

    def changes(self, packet: Packet) -> Mapping[str, Any]:
        return {"src": translated(packet.field("src"), self.value("src_pfx"), self.value("dst_pfx"))}


def translated(address: Any, old: Network, new: Network) -> Any:
    """The address under the new prefix, with the same sum of its 16-bit words (ip6t_npt_map_pfx)."""
    if not isinstance(address, Address):
        return Answer.UNKNOWN
    length = max(old.prefix or 0, new.prefix or 0)
    host = (1 << 128 - length) - 1
    words = _words(address.number & host | new.number & ~host)
    place = 3 if length <= 48 else next((i for i in range(4, 8) if words[i] != 0xFFFF), None)
    if place is None:
        return address
    words[place] = (words[place] + sum(_words(old.number)) - sum(_words(new.number))) % 0xFFFF
    return Address(6, sum(word << 16 * (7 - i) for i, word in enumerate(words)))


def _words(number: int) -> list[int]:
    return [number >> shift & 0xFFFF for shift in range(112, -16, -16)]
