"""libvirt: rules for each of its virtual networks, in chains of their own since 5.1, before that in the base chains."""

from __future__ import annotations

import re

from iptexplain.recognise.program import Fact, Line, Part, Program, Writes, written_by
from iptexplain.rules.model import Ruleset

BRIDGE = r"(?P<bridge>virbr\d+)"
NET = r"[0-9a-f:.]+/\d+"
PORTS = r"-p (tcp|udp) -m (tcp|udp) --dport (53|67|68|69|547|546) -j ACCEPT"
REFUSE = r"-j REJECT --reject-with icmp6?-port-unreachable"
STATE = r"-m (conntrack --ctstate|state --state) RELATED,ESTABLISHED -j ACCEPT"
NAT = r"-j (MASQUERADE( --to-ports 1024-65535)?( --random)?|SNAT .*)"
LOCAL = r"-d (224\.0\.0\.0/24|255\.255\.255\.255/32|ff02::/16) -j RETURN"

WRITES = Writes(
    parts=(
        Part("host", "filter LIBVIRT_INP", all=rf"filter LIBVIRT_INP -i \S+ {PORTS}"),
        Part("host", "filter LIBVIRT_OUT", all=rf"filter LIBVIRT_OUT -o \S+ {PORTS}"),
        Part("incoming", "filter LIBVIRT_FWI", all=rf"filter LIBVIRT_FWI (-d {NET} )?(-i \S+ )?-o \S+ ({STATE}|-j ACCEPT|{REFUSE})"),
        Part("outgoing", "filter LIBVIRT_FWO", all=rf"filter LIBVIRT_FWO (-s {NET} )?-i \S+ (-o \S+ )?(-j ACCEPT|{REFUSE})"),
        Part("among", "filter LIBVIRT_FWX", all=r"filter LIBVIRT_FWX -i (?P<a>\S+) -o (?P=a) -j ACCEPT"),
        Part("nat", "nat LIBVIRT_PRT", all=rf"nat LIBVIRT_PRT -s {NET} .*({LOCAL}|{NAT})"),
        Part("checksum", "mangle LIBVIRT_PRT", all=r"mangle LIBVIRT_PRT -o \S+ -p udp -m udp --dport 68 -j CHECKSUM --checksum-fill"),
    ),
    lines=(
        Line("(filter|nat|mangle) (INPUT|OUTPUT|FORWARD|POSTROUTING) -j LIBVIRT_(INP|OUT|FWI|FWO|FWX|PRT)"),
        Line(rf"filter INPUT -i {BRIDGE} {PORTS}", "host"),
        Line(rf"filter OUTPUT -o {BRIDGE} {PORTS}", "host"),
        Line(rf"filter FORWARD -i {BRIDGE} -o (?P=bridge) -j ACCEPT", "among"),
        Line(rf"filter FORWARD (-d (?P<subnet>{NET}) )?-o {BRIDGE} ({STATE}|-j ACCEPT|{REFUSE})", "incoming"),
        Line(rf"filter FORWARD (-s (?P<subnet>{NET}) )?-i {BRIDGE} (-j ACCEPT|{REFUSE})", "outgoing"),
        Line(rf"nat POSTROUTING -s (?P<subnet>{NET}) (! -d (?P=subnet) (-p (tcp|udp) )?{NAT}|{LOCAL})", "nat"),
        Line(rf"mangle POSTROUTING -o {BRIDGE} -p udp -m udp --dport 68 -j CHECKSUM --checksum-fill", "checksum"),
    ),
    signs=(
        ("filter FORWARD -j LIBVIRT_FWX", "filter FORWARD -j LIBVIRT_FWI", "filter FORWARD -j LIBVIRT_FWO"),
        (
            rf"filter FORWARD -i {BRIDGE} -o (?P=bridge) -j ACCEPT",
            rf"filter FORWARD -s (?P<subnet>{NET}) -i {BRIDGE} -j ACCEPT",
            rf"filter INPUT -i {BRIDGE} {PORTS}",
        ),
    ),
)  # fmt: skip


def recognise(ruleset: Ruleset) -> Program | None:
    """The virtual networks, each with its bridge, its subnet and how its guests get out."""
    program = written_by("libvirt", WRITES, ruleset)
    if program is None:
        return None
    among = program.inside(r"filter (LIBVIRT_FWX|FORWARD) -i (?P<bridge>\S+) -o (?P=bridge) -j ACCEPT")
    bridges = dict.fromkeys(values["bridge"] for *_, values in among)
    empty = not any(ruleset.tables[t].chains[c].rules for t, c in program.chains)
    return program._replace(facts=tuple(_network(program, bridge) for bridge in bridges)) if bridges or empty else None


def _network(program: Program, bridge: str) -> Fact:
    """``mode``: nat, routed, or isolated, which has no rule that lets its guests out."""
    out = program.inside(rf"filter (LIBVIRT_FWO|FORWARD) -s (?P<subnet>\S+) -i {re.escape(bridge)} .*-j ACCEPT")
    subnets = [values["subnet"] for *_, values in out]
    rewritten = program.inside(rf"nat (LIBVIRT_PRT|POSTROUTING) -s (?P<subnet>\S+) ! -d (?P=subnet) {NAT}")
    nat = [p.line for p, _, values in rewritten if values["subnet"] in subnets]
    mode = "nat" if nat else "routed" if subnets else "isolated"
    named = program.inside(rf"filter \S+ .*-[io] {re.escape(bridge)} .*")
    lines = tuple(sorted({*(p.line for p, *_ in named), *nat}))
    return Fact("network", {"bridge": bridge, "subnets": subnets, "mode": mode}, lines)
