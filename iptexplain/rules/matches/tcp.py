"""-m tcp"""

from __future__ import annotations

from typing import Any

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Backend
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import compared, conditions, masked
from iptexplain.rules.values import Family, Flags, Kind, Number, PortRange

FLAGS = Flags("FIN", "SYN", "RST", "PSH", "ACK", "URG", every="ALL", none="NONE")

ALL_PORTS = (0, 65535)


class FlagsUnderMask(Kind):
    """``MASK COMP``: of the flags in MASK, just those in COMP are set."""

    words = 2

    def parse(self, text: str, family: Family) -> tuple[tuple[str, ...], tuple[str, ...]]:
        mask, _, comp = text.partition(" ")
        return FLAGS.parse(mask, family), FLAGS.parse(comp, family)

    def save(self, value: tuple[tuple[str, ...], tuple[str, ...]]) -> str:
        return f"{FLAGS.save(value[0])} {FLAGS.save(value[1])}"

    def contains(self, value: tuple[tuple[str, ...], tuple[str, ...]], actual: Any) -> bool:
        """``actual``: the names of the flags that the packet carries."""
        mask, comp = value
        return {f for f in mask if f in actual} == set(comp)


class TcpOption(Number):
    """The number of a TCP option; a packet has a set of them."""

    def contains(self, value: int, actual: frozenset[int]) -> bool:
        return value in actual


class Tcp(Match):
    """The ports, flags and options of a TCP segment; loaded by ``-p tcp`` itself when one of its options is used.

    Fragments after the first carry no TCP header: they never match (xt_tcpudp.c).
    """

    name = "tcp"
    reads_header = True
    protocols = frozenset({"tcp"})
    options = (
        Option("--sport", PortRange(), "sport", invert=True, aliases=("--source-port",), nft="tcp sport"),
        Option("--dport", PortRange(), "dport", invert=True, aliases=("--destination-port",), nft="tcp dport"),
        Option("--tcp-option", TcpOption(1, 255), "tcp_options", invert=True),
        Option("--tcp-flags", FlagsUnderMask(), "flags", invert=True),
        Option("--syn", invert=True),
    )
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> list[str]:
        return conditions(self, family, _nft)

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """``--syn`` is short for the flags of a first segment; a range of all ports says nothing."""
        if "syn" in given:
            if "tcp_flags" in given:
                raise OptionError("tcp: --syn and --tcp-flags cannot be used together")
            value = (("FIN", "SYN", "RST", "ACK"), ("SYN",))
            given["tcp_flags"] = cls.setting("tcp_flags", value, given.pop("syn").inverted)
        drop_all_ports(given)

    def save_options(self, backend: Backend) -> str:
        return " ".join(s.save() for s in self.settings if s.value != ALL_PORTS)


def drop_all_ports(given: dict[str, Setting]) -> None:
    """iptables-save does not print ``--sport 0:65535``, nor its inversion, which no packet meets."""
    for key in ("sport", "dport"):
        if key in given and given[key].value == ALL_PORTS and not given[key].inverted:
            del given[key]


def _nft(setting: Setting, family: Family) -> str:
    option, value, inverted = setting
    if option.key == "tcp_option":
        return f"tcp option {value} {'missing' if inverted else 'exists'}"
    if option.key == "tcp_flags":
        mask, comp = (" | ".join(f.lower() for f in flags) or "0x0" for flags in value)
        return masked("tcp flags", comp, f"({mask})", inverted)
    return compared(setting, family)
