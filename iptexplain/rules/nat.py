"""What NAT targets have in common: a range of addresses and ports that the kernel chooses from."""

from __future__ import annotations

from typing import ClassVar, Literal, NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.addresses import Address, to_address
from iptexplain.rules.answer import Packet
from iptexplain.rules.extension import Target
from iptexplain.rules.values import Family, Kind, Range, to_port


class NatRange(NamedTuple):
    """``[FIRST[-LAST]][:PORT[-PORT[/BASE]]]``; what is None is kept, or chosen by the kernel (MASQUERADE)."""

    first: Address | None = None
    last: Address | None = None
    ports: Range | None = None
    base: int | None = None
    """The port from which a shifted range is counted (``/BASE``, DNAT)."""

    @property
    def is_single(self) -> bool:
        """Whether there is just one address and one port (or none) to choose from."""
        return self.first == self.last and (self.ports is None or self.ports.low == self.ports.high)


class NatRangeKind(Kind):
    """The value of --to-source and --to-destination; IPv6 addresses stand in brackets when a port follows."""

    def __init__(self, shifted: bool = False) -> None:
        self.shifted = shifted

    def parse(self, text: str, family: Family) -> NatRange:
        addresses, ports = _split(text, family)
        first, dash, last = addresses.partition("-")
        low = to_address(first, family) if first else None
        high = to_address(last, family) if dash else low
        if low and high and high.number < low.number:
            raise OptionError(f"address range '{addresses}' is out of order")
        return NatRange(low, high, *self._ports(ports))

    def _ports(self, text: str | None) -> tuple[Range | None, int | None]:
        if text is None:
            return None, None
        span, slash, base = text.partition("/")
        first, dash, last = span.partition("-")
        ports = Range(to_port(first), to_port(last) if dash else to_port(first))
        if ports.low > ports.high:
            raise OptionError(f"port range '{span}' is out of order")
        if slash and not self.shifted:
            raise OptionError(f"'{text}': only DNAT shifts ports")
        return ports, to_port(base) if slash else None

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


def _split(text: str, family: Family) -> tuple[str, str | None]:
    """The addresses and the ports."""
    if family == 4:
        addresses, colon, ports = text.partition(":")
    elif text.startswith("["):
        addresses, _, rest = text[1:].partition("]")
        colon, ports = rest[:1], rest[1:]
    elif text.startswith(":") and not text.startswith("::"):
        addresses, colon, ports = "", ":", text[1:]
    else:
        addresses, colon, ports = text, "", ""
    return addresses, ports if colon else None


class NatTarget(Target):
    """A target of the nat table: it is asked for the first packet of a connection, and the kernel remembers its answer."""

    verdict = "ACCEPT"
    tables = frozenset({"nat"})
    manip: ClassVar[Literal["src", "dst"]]
    """Which end of the packet is rewritten."""

    __slots__ = ()

    def translation(self, packet: Packet) -> NatRange:
        """What the kernel may choose from for ``packet``; addresses of None: chosen by the kernel or kept (see the target)."""
        raise NotImplementedError(type(self).__name__)
