"""One packet, as rules see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.addresses import Address, to_address
from iptexplain.rules.answer import Answer
from iptexplain.rules.matches import addrtype, pkttype, sctp
from iptexplain.rules.matches.conntrack import STATES
from iptexplain.rules.parameters import Protocol
from iptexplain.rules.values import Choice, Flags, Kind, to_int, to_port
from iptexplain.walk.hooks import MANIP

Reader = Callable[[str], Any]


_TCP_FLAGS = Flags("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", every="ALL", none="NONE")
_TRUTHS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def _flags(text: str) -> frozenset[str]:
    return frozenset(_TCP_FLAGS.parse(text, 4) if text else ())


def _chunks(text: str) -> frozenset[str]:
    return frozenset(Flags(*sctp.CHUNKS).parse(text, 4))


def _numbers(text: str) -> frozenset[int]:
    return frozenset(to_int(word) for word in text.split(",") if word)


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTHS:
        raise OptionError(f"'{text}' is neither true nor false")
    return _TRUTHS[text.lower()]


def _up_to(most: int) -> Reader:
    def read(text: str) -> int:
        number = to_int(text)
        if not 0 <= number <= most:
            raise OptionError(f"{number} is out of range 0-{most}")
        return number

    return read


_BYTE, _SHORT, _LONG = (_up_to((1 << bits) - 1) for bits in (8, 16, 32))


def _word(kind: Kind) -> Reader:
    """Reads one of the words that ``kind`` allows."""
    return lambda text: kind.parse(text, 4)


def _status(text: str) -> str:
    return ",".join(_STATUS.parse(text, 4)) or "NONE"


_TYPES = Choice(*addrtype.TYPES, any_case=True)
_STATUS = Flags("EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED", "SNAT", "DNAT", none="NONE")


def _protocol(text: str) -> str:
    name: str = Protocol().parse("ipv6-icmp" if text == "icmp6" else text, 4)
    return name


FIELDS: dict[str, Reader] = {
    "iif": str, "oif": str, "physin": str, "physout": str,
    "src": to_address, "dst": to_address, "proto": _protocol, "fragment": _truth,
    "sport": to_port, "dport": to_port, "flags": _flags, "chunks": _chunks,
    "icmp_type": _BYTE, "icmp_code": _BYTE, "icmp_id": _SHORT,
    "ttl": _BYTE, "tos": _BYTE, "length": _up_to(0xFFFF + 40), "mark": _LONG, "connmark": _LONG,
    "ctstate": _word(Choice(*STATES, any_case=True)), "ctstatus": _status,
    "ctdir": _word(Choice("ORIGINAL", "REPLY", any_case=True)), "ctproto": _protocol,
    "ctorigsrc": to_address, "ctorigdst": to_address, "ctorigsrcport": to_port, "ctorigdstport": to_port,
    "ctreplsrc": to_address, "ctrepldst": to_address, "ctreplsrcport": to_port, "ctrepldstport": to_port,
    "src_type": _word(_TYPES), "dst_type": _word(_TYPES), "mac_src": str.lower, "mac_dst": str.lower,
    "pkttype": _word(pkttype.TYPES),
    "ipsec_in": _truth, "ipsec_out": _truth,
    "hook": _word(Choice(*MANIP, "FORWARD", any_case=True)), "tracked": _truth, "ctexpire": _LONG, "helper": str, "uid": _LONG, "gid": _LONG,
    "tcp_options": _numbers, "tcpmss": _SHORT, "spi": _LONG, "zone_orig": _SHORT, "zone_reply": _SHORT, "realm": _LONG, "cpu": _LONG,
}  # fmt: skip
"""The fields that rules speak of, with what reads each from text. Interfaces: "" is none (a packet of this host has no iif)."""


def read_fields(texts: Mapping[str, Any]) -> dict[str, Any]:
    """Typed fields from their texts; raises OptionError that names the field."""
    fields = {}
    for name, text in texts.items():
        read = _truth if name.startswith(("set:", "way_back:")) else FIELDS.get(name)
        if read is None:
            raise OptionError(f"a packet has no field '{name}': there are {', '.join(FIELDS)} and set:NAME:SIDES")
        try:
            fields[name] = read(str(text))
        except OptionError as e:
            raise OptionError(f"{name}: {e.message}") from None
    return fields


class OneOf(NamedTuple):
    """What NAT may choose from: an address or a port from ``first`` to ``last``; which one, only the kernel knows."""

    first: Address | int
    last: Address | int

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    @property
    def size(self) -> int:
        """How many addresses there are."""
        return int(self.last.number - self.first.number + 1)  # type: ignore[union-attr]

    def member(self, number: int) -> Address:
        """One of the addresses, counted from 0."""
        assert isinstance(self.first, Address)
        return Address(self.first.family, self.first.number + number)

    def covers(self, value: Any) -> bool:
        return bool(self.first <= value <= self.last)


class Packet:
    """A packet's fields. What nobody stated is Answer.UNKNOWN; nothing is guessed here."""

    __slots__ = ("fields",)

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields

    def field(self, name: str) -> Any:
        return self.fields.get(name, Answer.UNKNOWN)

    def with_fields(self, **changes: Any) -> Packet:
        return Packet({**self.fields, **changes})

    @property
    def src(self) -> Address:
        address: Address = self.fields["src"]
        return address

    @property
    def dst(self) -> Address:
        address: Address = self.fields["dst"]
        return address

    def __repr__(self) -> str:
        return f"Packet({', '.join(f'{k}={v}' for k, v in self.fields.items())})"
