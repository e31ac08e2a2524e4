"""LXD and Incus: rules in the base chains for each of their networks, each with a remark that says so."""

from __future__ import annotations

from iptexplain.recognise.program import Fact, Line, Program, Writes, written_by
from iptexplain.rules.model import Ruleset

REMARK = r'.*-m comment --comment "generated for (?P<by>LXD|Incus) (?P<kind>network|container|instance) (?P<name>[^ "]+)[^"]*".*'

WRITES = Writes(
    parts=(),
    lines=(Line(rf"(filter|nat|mangle) (PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING) {REMARK}", "network"),),
    signs=((rf"(filter|nat|mangle) (INPUT|FORWARD|POSTROUTING) {REMARK}",),),
)


def recognise(ruleset: Ruleset) -> Program | None:
    """The networks (and instances) that rules were written for, with the subnets whose source is rewritten."""
    program = written_by("lxd", WRITES, ruleset)
    if program is None:
        return None
    names = dict.fromkeys((p.values["kind"], p.values["name"]) for p in program.pieces)
    rewritten = program.inside(rf"nat POSTROUTING -s (?P<subnet>\S+) {REMARK}")
    facts = [
        Fact(
            "network",
            {"kind": kind, "name": name, "subnets": list(dict.fromkeys(v["subnet"] for *_, v in rewritten if v["name"] == name))},
            tuple(n for p in program.pieces if p.values["name"] == name for n in p.lines),
        )
        for kind, name in names
    ]  # fmt: skip
    return program._replace(facts=tuple(facts))
