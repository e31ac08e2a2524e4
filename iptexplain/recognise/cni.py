"""The CNI plugins bridge, portmap and firewall (Podman before 4, nerdctl, containerd, CRI-O): a chain for each container."""

from __future__ import annotations

import re

from iptexplain.recognise.program import Fact, Line, Part, Program, Writes, text_of, written_by
from iptexplain.rules.model import Ruleset

REMARK = r'-m comment --comment "name: \\"(?P<network>[^"]+)\\" id: \\"(?P<container>[^"]+)\\""'
ANSWERS = r"-d \S+ -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"

WRITES = Writes(
    parts=(
        Part("admin", "filter CNI-ADMIN", own=True),
        Part("forward", "filter CNI-FORWARD", all=rf"filter \S+ (.*-j CNI-ADMIN|{ANSWERS}|-s \S+ -j ACCEPT)"),
        Part("isolation", r"filter CNI-ISOLATION-STAGE-\d"),
        Part("container", "nat CNI-[0-9a-f]{24}", all=rf"nat \S+ .*{REMARK} -j (ACCEPT|MASQUERADE|SNAT .*)"),
        Part("port", "nat CNI-(DN|SN)-[0-9a-f]{21}", all=r"nat \S+ .*-j (CNI-HOSTPORT-SETMARK|DNAT .*|MASQUERADE)"),
        Part("ports", "nat CNI-HOSTPORT-DNAT"),
        Part("marks", "nat CNI-HOSTPORT-(MASQ|SETMARK|SNAT)"),
    ),
    lines=(
        Line(r'filter FORWARD (-m comment --comment "CNI firewall plugin rules.*" )?-j CNI-(FORWARD|ISOLATION-STAGE-1)'),
        Line(r"nat (PREROUTING|OUTPUT) -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT"),
        Line(r"nat POSTROUTING .*-j CNI-HOSTPORT-(MASQ|SNAT)"),
        Line(rf"nat POSTROUTING -s \S+ {REMARK} -j CNI-[0-9a-f]{{24}}"),
    ),
    signs=(
        (r"filter FORWARD .*-j CNI-FORWARD",),
        (rf"nat POSTROUTING .*{REMARK} -j CNI-[0-9a-f]{{24}}",),
        (r"nat PREROUTING .*-j CNI-HOSTPORT-DNAT",),
    ),
)  # fmt: skip


def recognise(ruleset: Ruleset) -> Program | None:
    """The containers with their networks, and the ports that they publish."""
    program = written_by("cni", WRITES, ruleset)
    if program is None:
        return None
    found = program.inside(rf"nat POSTROUTING -s (?P<ip>[^ /]+)\S* {REMARK} -j CNI-[0-9a-f]{{24}}")
    facts = [Fact("container", {k: v[k] for k in ("ip", "network", "container")}, (p.line,)) for p, _, v in found]
    ports = program.inside(
        r"nat CNI-DN-\S+ (-d (?P<ip>[^ /]+)\S* )?-p (?P<proto>\S+) .*--dport (?P<port>\S+) -j DNAT --to-destination (?P<to>\S+)"
    )
    facts += [Fact("port", {k: v.get(k) for k in ("ip", "proto", "port", "to")}, (p.line,)) for p, _, v in ports]
    admin = program.of("admin")
    if admin:
        facts.append(Fact("admin", {}, tuple(p.line for p, _ in admin), tuple(r for _, r in admin)))
    return program._replace(facts=tuple(facts)) if any(_is_plugins(program)) else None


def _is_plugins(program: Program) -> list[bool]:
    """Whether rules of the plugins' own shapes are there, not only chains with their names."""
    own = r"(filter CNI-FORWARD -s \S+ -j ACCEPT|nat CNI-[0-9a-f]{24} .*|nat CNI-DN-.* -j DNAT .*)"
    return [re.fullmatch(own, text_of(p.table, r)) is not None for p, r in program.rules.items()]
