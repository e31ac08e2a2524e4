"""What NAT targets have in common: a range of addresses and ports that the kernel chooses from."""

from __future__ import annotations

from socket import AF_INET, inet_pton
from typing import ClassVar, Literal, NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.addresses import Address, to_address
from iptexplain.rules.answer import Packet
from iptexplain.rules.extension import Target
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import no_form, spelled_range
from iptexplain.rules.values import Family, Kind, Number, Range, to_port

PORT_PROTOCOLS = ("tcp", "udp", "sctp", "dccp", "icmp")
"""A rule that gives ports names one of these (libxt_NAT.c: icmp too, but not ipv6-icmp; it ignores a ``!``)."""


class NatRange(NamedTuple):
    """``[FIRST[-LAST]][:PORT[-PORT[/BASE]]]``; what is None is kept, or chosen by the kernel (MASQUERADE)."""

    first: Address | None = None
    last: Address | None = None
    ports: Range | None = None
    base: int | None = None
    """The port from which a shifted range is counted (``/BASE``, DNAT)."""


class NatRangeKind(Kind):
    """The value of --to-source and --to-destination; IPv6 addresses stand in brackets when a port follows."""

    def __init__(self, shifted: bool = False) -> None:
        self.shifted = shifted

    def parse(self, text: str, family: Family) -> NatRange:
        address, _, port = text.partition(":")
        if family == 4 and port.isdecimal() and len(port) < 5 and port[0] != "0":
            try:
                to = Address(4, int.from_bytes(inet_pton(AF_INET, address), "big"))
                return NatRange(to, to, Range(int(port), int(port)))
            except OSError:
                pass  # a range of addresses, or none at all
        addresses, ports = _split(text, family)
        first, dash, last = addresses.partition("-")
        low = _address(first, family) if addresses or ports is None else None
        high = _address(last, family) if dash else low
        return NatRange(low, high, *self._ports(ports))

    def _ports(self, text: str | None) -> tuple[Range | None, int | None]:
        if text is None:
            return None, None
        if not text[:1].isdecimal():
            port = to_port(text)
            return Range(port, port), None
        span, slash, base = text.partition("/")
        first, dash, last = span.partition("-")
        low = _PORT.parse(first, 4)
        ports = Range(low, _PORT.parse(last, 4) if dash else low)
        if ports.low > ports.high:
            raise OptionError(f"port range '{span}' is out of order")
        return ports, self._base(base, text) if slash else None

    def _base(self, base: str, text: str) -> int:
        """SNAT and MASQUERADE read a base and forget it: iptables-save prints 0."""
        if "-" not in text:
            raise OptionError(f"'{text}': only a range of ports can be counted from a port")
        port = _PORT.parse(base, 4) if base.isdecimal() else to_port(base)
        if not self.shifted:
            return 0
        if not port:
            raise OptionError(f"'{text}': a range cannot be counted from port 0")
        return port

    def save(self, value: NatRange) -> str:
        text = "" if value.first is None else str(value.first)
        if value.last != value.first:
            text += f"-{value.last}"
        if value.ports is None:
            return text
        if value.first is not None and value.first.family == 6:
            text = f"[{text}]"
        ports = str(value.ports.low) if value.ports.low == value.ports.high else f"{value.ports.low}-{value.ports.high}"
        return f"{text}:{ports}" + (f"/{value.base}" if value.base is not None else "")


class NatPorts(NatRangeKind):
    """The value of --to-ports: ``PORT[-PORT]``, a NatRange without addresses."""

    def parse(self, text: str, family: Family) -> NatRange:
        return NatRange(None, None, *self._ports(text))

    def save(self, value: NatRange) -> str:
        return super().save(value)[1:]


_PORT = Number(0, 65535)


def _address(text: str, family: Family) -> Address:
    """An address written in full (inet_pton)."""
    if family == 4 and (text.count(".") != 3 or ".." in text):
        raise OptionError(f"'{text}' is not an IPv4 address")
    return to_address(text, family)


def _split(text: str, family: Family) -> tuple[str, str | None]:
    """The addresses and the ports. Without brackets, more than one colon makes it an IPv6 address."""
    if "[" in text and family == 6:
        addresses, closed, rest = text.partition("[")[2].partition("]")
        if not closed:
            raise OptionError(f"'{text}': the bracket is not closed")
        colon, ports = rest[:1], rest[1:]
    elif text.count(":") == 1:
        addresses, colon, ports = text.partition(":")
    else:
        addresses, colon, ports = text, "", ""
    return addresses, ports if colon else None


def _nft(to: NatRange) -> str:
    if to.base is not None or (to.ports and 0 in to.ports):
        raise no_form("a range of ports that is counted from a port, or begins with 0")
    if to.first and to.last and to.first.number > to.last.number:
        raise no_form(f"{to.first}-{to.last}, whose ends are the wrong way round")
    ports = f":{spelled_range(*to.ports)}" if to.ports else ""
    if to.first is None:
        return ports
    addresses = spelled_range(to.first, to.last)
    if to.first.family == 6 and ports:
        addresses = "-".join(f"[{each}]" for each in addresses.split("-"))
    return addresses + ports


class NatTarget(Target):
    """A target of the nat table: asked for the first packet of a connection, and the kernel remembers its answer."""

    verdict = "ACCEPT"
    tables = frozenset({"nat"})
    manip: ClassVar[Literal["src", "dst"] | None] = None
    """Which end of the packet is rewritten; None: the hook decides (NETMAP)."""

    __slots__ = ()

    called_by_nft: ClassVar[str | None] = None
    """nft's statement; None: it has none that means the same."""

    def nft(self, rule: Rule, family: Family) -> str:
        if self.called_by_nft is None:
            raise no_form(f"-j {self.called}")
        to = next((s.value for s in self.settings if isinstance(s.value, NatRange)), None)
        if to and to.ports and rule.parameters.protocol is None:
            raise no_form("a port to rewrite to without -p and one protocol")
        flags = ",".join(
            s.option.name[2:].replace("random-fully", "fully-random") for s in self.settings if s.value is True
        )
        return " ".join(filter(None, (self.called_by_nft, f"to {_nft(to)}" if to else "", flags)))

    def refuse(self, rule: Rule, table: str, family: Family) -> str | None:
        given = [s for s in self.settings if isinstance(s.value, NatRange) and s.value.ports]
        if (
            given
            and rule.parameters.protocol not in PORT_PROTOCOLS
            and rule.parameters.value("p") not in PORT_PROTOCOLS
        ):
            return f"{given[0].option.name} with a port needs -p tcp, udp, sctp or dccp"
        return super().refuse(rule, table, family)

    def translation(self, packet: Packet) -> NatRange:
        """What the kernel may choose from for ``packet``; no address: chosen by the kernel or kept (see the target)."""
        raise NotImplementedError(type(self).__name__)
