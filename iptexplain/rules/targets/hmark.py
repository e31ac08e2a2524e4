"""-j HMARK"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iptexplain.errors import OptionError
from iptexplain.rules.addresses import BITS, Network, format_address, to_network
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Option, Setting, Target
from iptexplain.rules.values import Family, Kind, Number

TUPLE = {
    "ct": "hmark_tuple",
    "src": "hmark_src_prefix",
    "dst": "hmark_dst_prefix",
    "sport": "hmark_sport_mask",
    "dport": "hmark_dport_mask",
    "proto": "hmark_proto_mask",
    "spi": "hmark_spi_mask",
}
"""The members of a tuple, in the order of looking a shortened name up, and the options that they are short for."""


class Members(Kind):
    """A comma list of members of the tuple, in any case, possibly shortened."""

    def parse(self, text: str, family: Family) -> tuple[str, ...]:
        return tuple(self._member(word) for word in text.split(","))

    def _member(self, word: str) -> str:
        found = next((m for m in TUPLE if word and m.startswith(word.lower())), None)
        if found is None:
            raise OptionError(f"'{word}' is none of {', '.join(TUPLE)}")
        return found

    def save(self, value: tuple[str, ...]) -> str:
        return ",".join(value)


class PrefixLength(Kind):
    """A prefix length, or a mask; saved as a length."""

    def parse(self, text: str, family: Family) -> Network:
        network = to_network(f"{format_address(family, 0)}/{text}", family)
        if network.prefix is None:
            raise OptionError(f"'{text}' is no prefix length and no mask of one")
        return network

    def save(self, value: Network) -> str:
        return str(value.prefix)


class Hex(Number):
    """A number saved in hexadecimal with at least so many digits."""

    def __init__(self, digits: int, high: int) -> None:
        super().__init__(0, high)
        self.digits = digits

    def save(self, value: int) -> str:
        return f"0x{value:0{self.digits}x}"


_PORT, _LONG, _PROTOCOL = Hex(4, 0xFFFF), Hex(8, 0xFFFFFFFF), Hex(2, 0xFFFF)


class Hmark(Target):
    """Sets the mark to a number computed from the packet's addresses, ports or protocol; the next rule is asked.

    So traffic is spread over several routes, and each connection keeps to one. The mark is a hash of the parts that are
    named, at least ``--hmark-offset`` and below that plus ``--hmark-mod``. ``--hmark-tuple`` names whole parts; ``ct``
    among them takes them from the connection's first packet. The other options name bits of them, or set bits before
    the hash (net/netfilter/xt_HMARK.c).
    """

    name = "HMARK"
    options = (
        Option("--hmark-src-prefix", PrefixLength()),
        Option("--hmark-dst-prefix", PrefixLength()),
        Option("--hmark-sport-mask", _PORT),
        Option("--hmark-dport-mask", _PORT),
        Option("--hmark-spi-mask", _LONG),
        Option("--hmark-sport", _PORT),
        Option("--hmark-dport", _PORT),
        Option("--hmark-spi", _LONG),
        Option("--hmark-proto-mask", _PROTOCOL),
        Option("--hmark-rnd", _LONG, required=True),
        Option("--hmark-mod", Number(1), required=True),
        Option("--hmark-offset", Number()),
        Option("--hmark-tuple", Members()),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """The members of the tuple become masks of all bits; only ``ct`` stays."""
        for member in given.pop("hmark_tuple").value if "hmark_tuple" in given else ():
            key = TUPLE[member]
            kind = cls.option(key).kind
            if isinstance(kind, PrefixLength):
                whole: Any = kind.parse(str(BITS[family]), family)
            else:
                whole = kind.high if isinstance(kind, Hex) else (member,)
            given[key] = cls.setting(key, whole)
        for suffix in ("_mask", ""):
            clash = [k for k in given if k in (f"hmark_sport{suffix}", f"hmark_dport{suffix}")]
            if clash and f"hmark_spi{suffix}" in given:
                raise OptionError(f"HMARK: {given[clash[0]].option.name} cannot be used together with one of an SPI")
        if not set(given) - {"hmark_rnd", "hmark_mod", "hmark_offset"}:
            raise OptionError("HMARK: --hmark-tuple, or what else shall be hashed, must be given")

    def changes(self, packet: Packet) -> Mapping[str, Any]:
        return {"mark": Answer.UNKNOWN}
