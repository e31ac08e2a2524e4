"""-m dscp"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import EXPRESSION
from iptexplain.rules.values import Family, Interval, Kind, Number

CLASSES = {
    "CS0": 0x00, "CS1": 0x08, "CS2": 0x10, "CS3": 0x18, "CS4": 0x20, "CS5": 0x28, "CS6": 0x30, "CS7": 0x38, "BE": 0x00,
    "AF11": 0x0A, "AF12": 0x0C, "AF13": 0x0E, "AF21": 0x12, "AF22": 0x14, "AF23": 0x16,
    "AF31": 0x1A, "AF32": 0x1C, "AF33": 0x1E, "AF41": 0x22, "AF42": 0x24, "AF43": 0x26, "EF": 0x2E,
}  # fmt: skip
"""The DiffServ classes that iptables knows, and their codepoints."""


class Dscp(Number):
    """A codepoint of 6 bits, saved as 0x2e; the packet's field is the whole byte."""

    def __init__(self) -> None:
        super().__init__(0, 63)

    def save(self, value: int) -> str:
        return f"0x{value:02x}"

    def contains(self, value: int, actual: int) -> bool:
        return actual >> 2 == value

    def as_set(self, value: int) -> tuple[Interval, ...]:
        return ((value << 2, value << 2 | 3),)


class DscpClass(Kind):
    """The name of a DiffServ class; what follows the name is ignored, as iptables does."""

    def parse(self, text: str, family: Family) -> int:
        for name, value in CLASSES.items():
            if text.upper().startswith(name):
                return value
        raise OptionError(f"'{text}' is none of the classes {', '.join(CLASSES)}")


def class_of(codepoint: int) -> str | None:
    """The name of the codepoint's class, when it has one."""
    return next((name for name, value in CLASSES.items() if value == codepoint), None)


class DscpMatch(Match):
    """The DSCP: the upper six bits of the TOS byte (IPv4) or traffic class (IPv6), by which routers queue packets.

    ``--dscp-class`` is only another way to write the number (net/netfilter/xt_dscp.c).
    """

    name = "dscp"
    needs = ("dscp",)
    options = (
        Option("--dscp", Dscp(), "tos", invert=True, group="dscp"),
        Option("--dscp-class", DscpClass(), invert=True, group="dscp"),
    )
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> list[str]:
        sign = "!= " if self.settings[0].inverted else ""
        return [f"{EXPRESSION[family]} dscp {sign}{self.value('dscp')}"]

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        if "dscp_class" in given and "dscp" not in given:
            named = given.pop("dscp_class")
            given["dscp"] = cls.setting("dscp", named.value, named.inverted)

    @property
    def class_name(self) -> str | None:
        """The name of the codepoint's class, when it has one."""
        return class_of(self.value("dscp"))
