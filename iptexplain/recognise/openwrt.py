"""OpenWrt's firewall (fw3, the one that writes iptables rules): zones of interfaces; its rules carry the remark ``!fw3``."""

from __future__ import annotations

from iptexplain.recognise.program import Fact, Line, Part, Program, Writes, written_by
from iptexplain.rules.model import Ruleset

REMARK = r'.*-m comment --comment "?!fw3[:"\s].*'
TABLE = "(raw|mangle|nat|filter)"
BASE = "(PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING)"
FW3 = f"{TABLE} {{chain}} {REMARK}"

WRITES = Writes(
    parts=(
        Part("custom", f"{TABLE} (input|output|forwarding|prerouting|postrouting)_(?P<zone>.+)_rule", own=True, loose=True),
        Part("custom", f"{TABLE} (input|output|forwarding|prerouting|postrouting)_rule", own=True, loose=True),
        Part("verdict", "filter zone_(?P<zone>.+)_(src|dest)_(ACCEPT|REJECT|DROP)", all=FW3),
        Part("zone", f"{TABLE} zone_(?P<zone>.+)_(input|output|forward|prerouting|postrouting|helper|notrack)", all=FW3),
        Part("syn-flood", "filter syn_flood", all=FW3),
        Part("reject", "filter reject", all=FW3),
    ),
    lines=(Line(f"{TABLE} {BASE} {REMARK}", "base"),),
    signs=((r"filter INPUT .*--comment \"?!fw3.*-j zone_.+_input",),),
)  # fmt: skip


def recognise(ruleset: Ruleset) -> Program | None:
    """The zones: their interfaces, what they accept, whether they rewrite sources; and the administrator's own chains."""
    program = written_by("openwrt", WRITES, ruleset)
    if program is None:
        return None
    given = program.inside(r"filter INPUT -i (?P<interface>\S+) .*-j zone_(?P<zone>.+)_input")
    zones = dict.fromkeys(v["zone"] for *_, v in given)
    rewriting = {z: program.in_chain("nat", f"zone_{z}_postrouting") for z in zones}
    masquerade = {
        z: tuple(p.line for p, r in rewriting[z] if r.target and r.target.name == "MASQUERADE") for z in zones
    }
    facts = [
        Fact(
            "zone",
            {
                "zone": zone,
                "interfaces": [v["interface"] for *_, v in given if v["zone"] == zone],
                "ends": _end(program, zone),
                "masquerade": bool(masquerade[zone]),
            },
            tuple(p.line for p, _, v in given if v["zone"] == zone) + masquerade[zone],
        )
        for zone in zones
    ]
    own = program.of("custom")
    if own:
        facts.append(Fact("custom", {}, tuple(p.line for p, _ in own), tuple(r for _, r in own)))
    return program._replace(facts=tuple(facts))


def _end(program: Program, zone: str) -> str | None:
    """What becomes of packets to the router itself that no rule of the zone decides."""
    found = program.inside(r"filter zone_(?P<zone>.+)_input .*-j zone_(?P=zone)_src_(?P<end>ACCEPT|REJECT|DROP)")
    return next((v["end"] for *_, v in found if v["zone"] == zone), None)
