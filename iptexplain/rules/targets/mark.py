"""-j MARK"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Extension, Option, Setting, Target
from iptexplain.rules.model import Rule
from iptexplain.rules.values import Family, Kind, Mark, Number


class BitChange(NamedTuple):
    """What becomes of a number: the bits of ``mask`` are cleared, then those of ``value`` are flipped."""

    value: int
    mask: int

    @property
    def beyond(self) -> int:
        """The bits that are flipped without being cleared before."""
        return self.value & ~self.mask

    def nft(self, field: str) -> str:
        """The statement that changes a 32-bit ``field`` of nft's."""
        keep = ~self.mask & 0xFFFFFFFF
        changed = f"{field} & {hex(keep)}" if self.mask else field
        flipped = f" ^ {hex(self.value)}" if self.value else ""
        return f"{field} set {changed}{flipped}" if keep else f"{field} set {hex(self.value)}"

    def of(self, old: Any, full: int = 0xFFFFFFFF) -> Any:
        """The number that ``old`` becomes; unknown when it keeps bits of an unknown one."""
        if self.mask == full:
            return self.value
        return Answer.UNKNOWN if old is Answer.UNKNOWN else (old & ~self.mask) ^ self.value


class BitChangeKind(Kind):
    """``VALUE[/MASK]``, saved in hexadecimal with at least ``digits`` digits, and always with the mask."""

    def __init__(self, full: int = 0xFFFFFFFF, digits: int = 1) -> None:
        self.full = full
        self._number = Number(0, full)
        self._format = f"#0{digits + 2}x"

    def parse(self, text: str, family: Family) -> BitChange:
        value, slash, mask = text.partition("/")
        number = self._number
        return BitChange(number.parse(value, family), number.parse(mask, family) if slash else self.full)

    def save(self, value: BitChange) -> str:
        return f"{value.value:{self._format}}/{value.mask:{self._format}}"


def fold(cls: type[Extension], given: dict[str, Setting], key: str, full: int = 0xFFFFFFFF) -> None:
    """Turn ``--set-mark``, ``--and-mark``, ``--or-mark``, ``--xor-mark`` into ``--set-xmark`` (``key``), in place."""
    noun = key.rpartition("_")[2].removeprefix("x")
    ways = [k for k in given if k in (key, f"set_{noun}", f"and_{noun}", f"or_{noun}", f"xor_{noun}")]
    if len(ways) > 1:
        raise OptionError(f"{cls.name}: {' and '.join(given[k].option.name for k in ways)} cannot be used together")
    if not ways or ways[0] == key:
        return
    value = given.pop(ways[0]).value
    changes = {
        "set": lambda: BitChange(value.value, value.value | value.mask),
        "and": lambda: BitChange(0, full ^ value),
        "or": lambda: BitChange(value, value),
        "xor": lambda: BitChange(value, 0),
    }
    given[key] = cls.setting(key, changes[ways[0].partition("_")[0]]())


class MarkTarget(Target):
    """Sets bits of the packet's mark, a 32-bit number that stays with the packet within this host.

    Other rules (``-m mark``) and the routing (``ip rule … fwmark``) can ask for it. ``--set-xmark VALUE/MASK`` clears
    the bits of MASK and flips those of VALUE; the other options are read as that one: ``--set-mark`` clears VALUE's own
    bits too, ``--and-mark``, ``--or-mark`` and ``--xor-mark`` combine the mark with a number (net/netfilter/xt_mark.c).
    """

    name = "MARK"
    needs = ("mark",)
    options = (
        Option("--set-xmark", BitChangeKind(), group="mark"),
        Option("--set-mark", Mark(), group="mark"),
        Option("--and-mark", Number(), group="mark"),
        Option("--or-mark", Number(), group="mark"),
        Option("--xor-mark", Number(), group="mark"),
    )
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> str:
        change: BitChange = self.value("set_xmark")
        return change.nft("meta mark")

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        fold(cls, given, "set_xmark")

    def changes(self, packet: Packet) -> Mapping[str, Any]:
        return {"mark": self.value("set_xmark").of(packet.field("mark"))}
