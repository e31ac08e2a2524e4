"""-j SET"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Option, Setting, Target
from iptexplain.rules.matches.set import SetLookupKind
from iptexplain.rules.model import Rule
from iptexplain.rules.values import Family, Number

MAPS = ("map_mark", "map_prio", "map_queue")


class SetTarget(Target):
    """Adds the packet's addresses or ports to a set of ipset(8), or removes them; the next rule is asked.

    ``-m set`` finds there what was added before. ``--timeout`` is how many seconds the entry stays, and ``--exist``
    starts that time anew for one that is there already. ``--map-set`` looks the packet up in a set with skbinfo and
    copies the mark, the traffic class or the queue that is noted there: valid in the mangle table only, class and queue
    in FORWARD, OUTPUT and POSTROUTING only (net/netfilter/xt_set.c).
    """

    name = "SET"
    needs_any = True
    options = (
        Option("--add-set", SetLookupKind()),
        Option("--exist"),
        Option("--timeout", Number(0, 0xFFFFFFFE)),
        Option("--del-set", SetLookupKind()),
        Option("--map-set", SetLookupKind()),
        Option("--map-mark"),
        Option("--map-prio"),
        Option("--map-queue"),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        maps = [k for k in MAPS if k in given]
        for keys, owner in ((("exist", "timeout"), "add_set"), (MAPS, "map_set")):
            for key in keys:
                if key in given and owner not in given:
                    raise OptionError(f"SET: {given[key].option.name} needs {cls.option(owner).name}")
        if "map_set" in given and not maps:
            raise OptionError("SET: --map-set needs one of --map-mark, --map-prio, --map-queue")

    def refuse(self, rule: Rule, table: str, family: Family) -> str | None:
        if self.get("map_set") and table != "mangle":
            return f"--map-set is only valid in table mangle, not in {table}"
        if (self.get("map_prio") or self.get("map_queue")) and rule.chain in ("PREROUTING", "INPUT"):
            return f"--map-prio and --map-queue are only valid in FORWARD, OUTPUT or POSTROUTING, not in {rule.chain}"
        return super().refuse(rule, table, family)

    def changes(self, packet: Packet) -> Mapping[str, Any]:
        """Whether the packet is in a set is the field ``set:NAME:SIDES``, see ``-m set``."""
        changed: dict[str, Any] = {"mark": Answer.UNKNOWN} if self.get("map_mark") else {}
        for key, inside in (("add_set", True), ("del_set", False)):
            entry = self.value(key)
            if entry is not None:
                changed[f"set:{entry.name}:{','.join(entry.sides)}"] = inside
        return changed
