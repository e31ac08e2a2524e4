"""One packet, as rules see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from iptexplain.errors import OptionError
from iptexplain.rules.addresses import Address, to_address
from iptexplain.rules.answer import Answer
from iptexplain.rules.parameters import Protocol
from iptexplain.rules.values import to_int, to_port

Reader = Callable[[str], Any]


def _flags(text: str) -> frozenset[str]:
    return frozenset(f for f in text.upper().split(",") if f and f != "NONE")


def _truth(text: str) -> bool:
    return text.lower() in ("1", "true", "yes")


def _protocol(text: str) -> str:
    name: str = Protocol().parse("ipv6-icmp" if text == "icmp6" else text, 4)
    return name


FIELDS: dict[str, Reader] = {
    "iif": str, "oif": str, "physin": str, "physout": str,
    "src": to_address, "dst": to_address, "proto": _protocol, "fragment": _truth,
    "sport": to_port, "dport": to_port, "flags": _flags,
    "icmp_type": to_int, "icmp_code": to_int, "icmp_id": to_int,
    "ttl": to_int, "tos": to_int, "length": to_int, "mark": to_int, "connmark": to_int,
    "ctstate": str.upper, "ctstatus": str.upper, "ctdir": str.upper, "ctproto": _protocol,
    "ctorigsrc": to_address, "ctorigdst": to_address, "ctorigsrcport": to_port, "ctorigdstport": to_port,
    "ctreplsrc": to_address, "ctrepldst": to_address, "ctreplsrcport": to_port, "ctrepldstport": to_port,
    "src_type": str.upper, "dst_type": str.upper, "mac_src": str.lower, "mac_dst": str.lower, "pkttype": str.lower,
    "ipsec_in": _truth, "ipsec_out": _truth,
    "hook": str.upper, "ctexpire": to_int, "helper": str, "uid": to_int, "gid": to_int,
    "tcp_options": to_int, "tcpmss": to_int, "spi": to_int, "realm": to_int, "cpu": to_int,
}  # fmt: skip
"""The fields that rules speak of, with what reads each from text. Interfaces: "" is none (a packet of this host has no iif)."""


def read_fields(texts: Mapping[str, Any]) -> dict[str, Any]:
    """Typed fields from their texts; raises OptionError that names the field."""
    fields = {}
    for name, text in texts.items():
        read = _truth if name.startswith("set:") else FIELDS.get(name)
        if read is None:
            raise OptionError(f"a packet has no field '{name}': there are {', '.join(FIELDS)} and set:NAME:SIDES")
        try:
            fields[name] = read(str(text))
        except OptionError as e:
            raise OptionError(f"{name}: {e.message}") from None
    return fields


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
