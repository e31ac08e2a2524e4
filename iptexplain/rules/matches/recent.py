"""-m recent"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.addresses import BITS, Address, AddressKind
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.values import Family, Kind, Number

OPERATIONS = ("set", "rcheck", "update", "remove")


class ProcName(Kind):
    """A name under which the kernel shows a list in /proc; longer ones are cut to ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def parse(self, text: str, family: Family) -> str:
        if text in ("", ".", "..") or "/" in text:
            raise OptionError(f"'{text}' cannot be the name of a file in /proc")
        return text[: self.limit]


class Recent(Match):
    """A list of addresses with the times when packets from (or to) them were last seen.

    ``--set`` notes the address and always matches; ``--rcheck`` matches when the address is on the list, ``--update``
    too and then notes it again, ``--remove`` takes it off and matches if it was there. ``--seconds`` and ``--hitcount``
    ask that it was seen at least that often in that time; ``--reap`` also forgets older entries; ``--rttl`` asks for
    the same TTL as noted. ``--mask`` keeps networks instead of single addresses. What is on a list, no dump says; it is
    to be seen in /proc/net/xt_recent/NAME. Kernels before 4.0 count to 20, unless told otherwise (xt_recent.c).
    """

    name = "recent"
    needs = ("operation",)
    options = (
        *(Option(f"--{operation}", invert=True, group="operation") for operation in OPERATIONS),
        Option("--seconds", Number(1)),
        Option("--reap"),
        Option("--hitcount", Number(0, 65535), default=0, hide_default=True),
        Option("--rttl"),
        Option("--name", ProcName(199), default="DEFAULT"),
        Option("--mask", AddressKind()),
        Option("--rsource"),
        Option("--rdest"),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """Mask and side are always printed; of two sides the last one counts."""
        sides = [k for k in given if k in ("rsource", "rdest")] or ["rsource"]
        given.setdefault(sides[-1], cls.setting(sides[-1]))
        for side in sides[:-1]:
            del given[side]
        given.setdefault("mask", cls.setting("mask", Address(family, (1 << BITS[family]) - 1)))
        if "reap" in given and "seconds" not in given:
            raise OptionError("recent: --reap needs --seconds")
        limits = [k for k in ("seconds", "reap", "hitcount", "rttl") if k in given and given[k].value]
        for operation in ("set", "remove"):
            if operation in given and limits:
                raise OptionError(f"recent: --{limits[0]} cannot be used together with --{operation}")

    @property
    def whole(self) -> bool:
        """Whether single addresses are noted, not networks."""
        mask: Address = self.value("mask")
        return mask.number == (1 << BITS[mask.family]) - 1

    def answer(self, packet: Packet) -> Answer:
        noted = self.get("set")
        return Answer.of(not noted.inverted) if noted else Answer.UNKNOWN
