"""-j CT"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Packet
from iptexplain.rules.extension import Option, Setting, Target
from iptexplain.rules.model import Rule
from iptexplain.rules.targets.log import Cut
from iptexplain.rules.values import Family, Flags, Kind, Number


class Events(Flags):
    """A comma list of names in lower case."""

    def parse(self, text: str, family: Family) -> tuple[str, ...]:
        wanted = text.split(",")
        unknown = [word for word in wanted if word not in self.names]
        if unknown:
            raise OptionError(f"'{unknown[0]}' is none of {', '.join(self.names)}")
        return tuple(name for name in self.names if name in wanted)


class Zone(Kind):
    """A zone's number, or ``mark``: the packet's mark is the number."""

    _number = Number(0, 65535)

    def parse(self, text: str, family: Family) -> int | str:
        return "mark" if text.lower() == "mark" else self._number.parse(text, family)


ZONES = ("zone", "zone_orig", "zone_reply")


class Ct(Target):
    """Says how the connection that this packet opens shall be tracked, before it is looked up; the next rule is asked.

    ``--notrack``: not at all, its state is UNTRACKED then and nat is not asked. A zone is a separate table of
    connections, ``--zone-orig`` and ``--zone-reply`` for one direction. ``--helper`` and ``--timeout`` name what shall
    read the connection, or time it out, and need ``-p``; the events are those of which programs are told. Valid in the
    raw table only (net/netfilter/xt_CT.c).
    """

    name = "CT"
    tables = frozenset({"raw"})
    options = (
        Option("--notrack"),
        Option("--helper", Cut(15, quoted=False)),
        Option("--timeout", Cut(31, quoted=False)),
        Option(
            "--ctevents",
            Events(
                "new", "related", "destroy", "reply", "assured", "protoinfo", "helper", "mark", "natseqinfo", "secmark"
            ),
        ),
        Option("--expevents", Events("new")),
        Option("--zone", Zone()),
        Option("--zone-orig", Zone()),
        Option("--zone-reply", Zone()),
    )
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> str:
        if [s.option.key for s in self.settings] == ["notrack"]:
            return "notrack"
        return super().nft(rule, family)

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """There is one zone: the last number given, for the one direction that was named; number 0 is no zone."""
        keys = [k for k in given if k in ZONES]
        if not keys:
            return
        values = [given.pop(k).value for k in keys]
        value = "mark" if "mark" in values else values[-1]
        directions = [k for k in keys if k != "zone"]
        if value:
            key = directions[0] if len(directions) == 1 else "zone"
            given[key] = cls.setting(key, value)

    def refuse(self, rule: Rule, table: str, family: Family) -> str | None:
        wanting = self.get("helper") or self.get("timeout")
        if wanting and rule.parameters.protocol is None:
            return f"{wanting.option.name} needs -p and one protocol"
        return super().refuse(rule, table, family)

    def changes(self, packet: Packet) -> Mapping[str, Any]:
        """The fields ``zone_orig`` and ``zone_reply``: in which zone a packet of each direction is looked up."""
        if self.get("notrack") or packet.field("tracked") is True:
            return untracked(packet)
        found = next((s for s in self.settings if s.option.key in ZONES), None)
        if found is None:
            return {"tracked": True}
        zone = packet.field("mark") if found.value == "mark" else found.value
        return {**{key: zone for key in ZONES[1:] if found.option.key in ("zone", key)}, "tracked": True}


def untracked(packet: Packet) -> Mapping[str, Any]:
    """The state of a packet that is not to be tracked. One that carries something for conntrack already (``tracked``) keeps
    it: on loopback, where the host answers a packet, and behind another such rule."""
    return {} if packet.field("tracked") is True else {"ctstate": "UNTRACKED", "tracked": True}
