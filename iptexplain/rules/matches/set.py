"""-m set"""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.values import Family, Kind, Number


class SetLookup(NamedTuple):
    """Which set is asked, and which side of the packet gives each part of what is looked up: ``src`` or ``dst``."""

    name: str
    sides: tuple[str, ...]


class SetLookupKind(Kind):
    """``NAME SIDE[,SIDE…]``, up to six sides."""

    words = 2

    def parse(self, text: str, family: Family) -> SetLookup:
        name, _, sides = text.rpartition(" ")
        if len(name.encode(errors="surrogateescape")) > 31:
            raise OptionError(f"set name '{name}' is longer than 31 bytes")
        lookup = SetLookup(name, tuple(sides.split(",")))
        if not {"src", "dst"}.issuperset(lookup.sides):
            raise OptionError(f"'{sides}' is no list of src and dst")
        if len(lookup.sides) > 6:
            raise OptionError("more than six sides (src, dst)")
        return lookup

    def save(self, value: SetLookup) -> str:
        return f"{value.name} {','.join(value.sides)}"


COUNTER = Number(0, (1 << 64) - 1)


class Set(Match):
    """Whether the packet's addresses, ports or interfaces are in an ipset, a list that is kept apart from the rules.

    For each part of the set's entries (an address, then perhaps a port) ``--match-set`` says whether it is taken from
    the packet's source or destination. With ``--return-nomatch``, entries that are marked nomatch are what matches.
    The entry's counters can be compared (``--packets-…``, ``--bytes-…``), and they count the packet, in a list of sets
    those of the sets within it too, unless ``! --update-counters`` or ``! --update-subcounters`` stands there
    (net/netfilter/xt_set.c).

    What a set holds is not in the rules. The packet's field ``set:NAME:SIDES`` (such as ``set:blocked:src``) says
    whether it is in there, as ``ipset test`` would.
    """

    name = "set"
    options = (
        Option("--match-set", SetLookupKind(), invert=True, aliases=("--set",), required=True),
        Option("--return-nomatch"),
        Option("--update-counters", invert=True),
        Option("--update-subcounters", invert=True),
        Option("--packets-eq", COUNTER, invert=True, group="packets"),
        Option("--packets-lt", COUNTER, group="packets"),
        Option("--packets-gt", COUNTER, group="packets"),
        Option("--bytes-eq", COUNTER, invert=True, group="bytes"),
        Option("--bytes-lt", COUNTER, group="bytes"),
        Option("--bytes-gt", COUNTER, group="bytes"),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """Counters are updated anyway."""
        for key in ("update_counters", "update_subcounters"):
            if key in given and not given[key].inverted:
                del given[key]

    def answer(self, packet: Packet) -> Answer:
        """An entry's counters and whether it says nomatch are known to the kernel alone."""
        _, lookup, inverted = self.settings[0]
        member = packet.field(f"set:{lookup.name}:{','.join(lookup.sides)}")
        if member is Answer.UNKNOWN or self.get("return_nomatch"):
            return Answer.UNKNOWN
        result = Answer.of(member)
        if any(s.option.group for s in self.settings):
            result &= Answer.UNKNOWN
        return ~result if inverted else result
