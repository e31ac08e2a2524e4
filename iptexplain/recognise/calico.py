"""Calico (felix): every rule of its chains carries a remark ``cali:HASH``."""

from __future__ import annotations

from iptexplain.recognise.program import Fact, Line, Part, Program, Writes, written_by
from iptexplain.rules.model import Ruleset

REMARK = r'.*-m comment --comment "?cali:[\w-]{16}"? .*'
TABLE = "(raw|mangle|nat|filter)"

WRITES = Writes(
    parts=tuple(
        Part(name, f"{TABLE} cali-{chain}", all=f"{TABLE} {{chain}} {REMARK}", loose=True)
        for name, chain in (
            ("to-workload", r"tw-(?P<workload>.+)"),
            ("from-workload", r"fw-(?P<workload>.+)"),
            ("policy", r"(pi|po)-(?P<policy>.+)"),
            ("profile", r"(pri|pro)-(?P<profile>.+)"),
            ("dispatch", r"(from|to)-(wl|hep|host)(-dispatch|-forward|-endpoint)?.*"),
            ("nat", r"(nat-outgoing|fip-dnat|fip-snat|PREROUTING|POSTROUTING)"),
            ("base", r"(INPUT|FORWARD|OUTPUT|wl-to-host|cidr-block|rpf-skip|.*)"),
        )
    ),
    lines=(Line(f"{TABLE} (PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING) {REMARK}", "base"),),
    signs=((f"filter (INPUT|FORWARD) {REMARK}-j cali-(INPUT|FORWARD)",), (f"filter (INPUT|FORWARD) {REMARK}",)),
)


def recognise(ruleset: Ruleset) -> Program | None:
    """The workloads whose interfaces it guards, and the policies and profiles that it asks."""
    program = written_by("calico", WRITES, ruleset)
    if program is None or not program.chains:
        return None
    facts = []
    for key in ("workload", "policy", "profile"):
        pieces = [p for p in program.pieces if key in p.values]
        names = sorted({p.values[key] for p in pieces})
        if names:
            facts.append(Fact(key, {"names": names}, tuple(sorted(n for p in pieces for n in p.lines))))
    return program._replace(facts=tuple(facts))
