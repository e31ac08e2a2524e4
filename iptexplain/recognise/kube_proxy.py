"""kube-proxy (and the kubelet, which shares some of its chains): a Kubernetes service each, with its endpoints."""

from __future__ import annotations

import re

from iptexplain.recognise.program import Fact, Line, Part, Program, Writes, written_by
from iptexplain.rules.model import Jump, Rule, Ruleset

HASH = "[A-Z0-9]{16}"
REMARK = r'.*--comment "?kubernetes '
SERVICE = r'.*--comment "?(?P<service>[^" /]+/[^" ]+)'

WRITES = Writes(
    parts=(
        Part("services", "(nat|filter) KUBE-(SERVICES|EXTERNAL-SERVICES)", loose=True),
        Part("node-ports", "(nat|filter) KUBE-(NODEPORTS|NODE-PORT)", loose=True),
        Part("service", f"nat KUBE-(SVC|SVL|EXT|XLB|FW)-{HASH}", loose=True),
        Part("endpoint", f"nat KUBE-SEP-{HASH}", all=r".* -j (DNAT .*|KUBE-MARK-MASQ|TPROXY .*)|.*-m recent .*", loose=True),
        Part("masquerade", "nat KUBE-(MARK-MASQ|POSTROUTING)", loose=True),
        Part("drop", "(nat|filter) KUBE-MARK-DROP", loose=True),
        Part("balancers", "(nat|filter) KUBE-(LOAD-BALANCER|SOURCE-RANGES-FIREWALL|IPVS-.*)", loose=True),
        Part("forward", "filter KUBE-FORWARD"),
        Part("firewall", "(nat|filter) KUBE-(PROXY-FIREWALL|LOAD-BALANCER-.*)"),
        Part("kubelet", "filter KUBE-FIREWALL"),
        Part("canary", "(nat|filter|mangle) KUBE-((PROXY|KUBELET)-CANARY|IPTABLES-HINT)", loose=True),
    ),
    lines=(
        Line(r"(nat|filter) (PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING) .*-j KUBE-[A-Z-]+"),
    ),
    signs=(
        (rf'nat (PREROUTING|OUTPUT) {REMARK}service portals" -j KUBE-SERVICES',),
        (rf'filter FORWARD {REMARK}forwarding rules" -j KUBE-FORWARD',),
        ("filter (INPUT|OUTPUT) -j KUBE-FIREWALL", r"nat POSTROUTING .*-j KUBE-POSTROUTING"),
    ),
)  # fmt: skip


def recognise(ruleset: Ruleset) -> Program | None:
    """The services with their addresses, their ports on the nodes, and their endpoints."""
    program = written_by("kube_proxy", WRITES, ruleset)
    if program is None:
        return None
    endpoints = _endpoints(program)
    facts = [
        Fact("service", {**values, "endpoints": endpoints.get(chain, [])}, (line,))
        for chain, line, values in _services(program)
    ]
    facts += [
        Fact("without", {k: v.get(k) for k in ("service", "ip", "proto", "port")}, (p.line,))
        for p, _, v in program.inside(
            rf'filter KUBE-SERVICES -d (?P<ip>[^ /]+)\S* -p (?P<proto>\S+) {SERVICE} has no endpoints" .*--dport (?P<port>\d+) .*'
        )
    ]
    return program._replace(facts=tuple(facts))


def _services(program: Program) -> list[tuple[str, int, dict[str, str | None]]]:
    """(the service's chain, line, values) of every address that the services chain hands on."""
    cluster = rf'nat KUBE-SERVICES -d (?P<ip>[^ /]+)\S* -p (?P<proto>\S+) {SERVICE} cluster IP".*--dport (?P<port>\d+) -j KUBE-(SVC|SVL)-.*'
    node = rf"nat KUBE-NODEPORTS .*-p (?P<proto>\S+) {SERVICE}.*--dport (?P<port>\d+) -j KUBE-(EXT|SVC|SVL|XLB)-.*"
    found = []
    for pattern, kind in ((cluster, "cluster"), (node, "node")):
        for place, rule, v in program.inside(pattern):
            values = {k: v.get(k) for k in ("service", "ip", "proto", "port")}
            found.append((_target(rule), place.line, {**values, "service": v["service"].rstrip('"'), "kind": kind}))
    return found


def _target(rule: Rule) -> str:
    return rule.target.chain if isinstance(rule.target, Jump) else ""


def _endpoints(program: Program) -> dict[str, list[str]]:
    """Chain of a service → its endpoints; the chain for outside (KUBE-EXT-) leads to the one of the service."""
    of: dict[str, list[str]] = {}
    for place, _, values in program.inside(r"nat KUBE-SEP-\S+ .*-j DNAT .*--to-destination (?P<to>\S+).*"):
        of[place.chain] = [values["to"]]
    jumps: dict[str, list[str]] = {}
    for place, rule in program.of("service"):
        if re.match(r"KUBE-(SEP|SVC|SVL)-", _target(rule)):
            jumps.setdefault(place.chain, []).append(_target(rule))
    direct = {chain: [e for t in targets for e in of.get(t, [])] for chain, targets in jumps.items()}
    return {c: direct[c] or [e for t in targets for e in direct.get(t, [])] for c, targets in jumps.items()}
