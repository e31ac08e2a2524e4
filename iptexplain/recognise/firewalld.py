"""firewalld with its iptables backend: zones that packets are given to by interface or by source, asked from the base chains."""

from __future__ import annotations

from typing import Any

from iptexplain.recognise.program import Fact, Line, Part, Program, Writes, written_by
from iptexplain.rules.model import Place, Ruleset, Verdict

BASE = "(PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING)"
TABLE = "(raw|mangle|nat|filter|security)"
ZONE = "(PRE|POST|IN|FWD|FWDI|FWDO|OUT)_(?P<zone>.+?)"
STATE = "-m (conntrack --ctstate|state --state)"

WRITES = Writes(
    parts=(
        Part("direct", f"{TABLE} {BASE}_direct", loose=True, own=True),
        Part("zones", f"{TABLE} {BASE}(_IN|_OUT)?_ZONES(_SOURCE|_IFACES)?"),
        Part("policies", f"{TABLE} {BASE}_POLICIES_(pre|post)"),
        Part("rules", f"{TABLE} {ZONE}_allow"),
        Part("refusals", f"{TABLE} {ZONE}_deny"),
        Part("logging", f"{TABLE} {ZONE}_log"),
        Part("rules", f"{TABLE} {ZONE}_(pre|post)"),
        Part("zone", f"{TABLE} {ZONE}", has=".* -j {chain}_allow", loose=True),
        Part("six-to-four", "filter RFC3964_IPv4"),
    ),
    lines=(
        Line(
            f"{TABLE} (?P<hook>{BASE}) -j (?P=hook)((_IN|_OUT)?_ZONES(_SOURCE|_IFACES)?|_direct|_POLICIES_(pre|post))"
        ),
        Line("filter (FORWARD|OUTPUT) -j RFC3964_IPv4"),
        Line(f"filter (INPUT|FORWARD|OUTPUT) {STATE} RELATED,ESTABLISHED(,DNAT)? -j ACCEPT", "base", once=True),
        Line("filter (INPUT|FORWARD) -i lo -j ACCEPT", "base", once=True),
        Line("filter OUTPUT -o lo -j ACCEPT", "base", once=True),
        Line("filter INPUT -p (icmp|ipv6-icmp) -j ACCEPT", "base", once=True),
        Line(f"filter (INPUT|FORWARD) {STATE} INVALID -j DROP", "base", once=True),
        Line(f'filter (INPUT|FORWARD) {STATE} INVALID -j LOG --log-prefix "?STATE_INVALID_DROP: "?', "base"),
        Line('filter (INPUT|FORWARD) -j LOG --log-prefix "?FINAL_REJECT: "?', "base"),
        Line("filter (INPUT|FORWARD) -j REJECT --reject-with icmp6?-(host|adm)-prohibited", "base", once=True),
        Line("(raw|mangle) PREROUTING -m rpfilter .*--invert -j DROP", "spoofed"),
        Line("(raw|mangle) PREROUTING -p ipv6-icmp -m icmp6 --icmpv6-type 134 -j ACCEPT", "spoofed", once=True),
        Line("(raw|mangle) PREROUTING -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT", "spoofed", once=True),
    ),
    signs=(("filter INPUT -j INPUT_ZONES",),),
)


def recognise(ruleset: Ruleset) -> Program | None:
    """The zones with their interfaces, sources and rules, and what was written past them (direct rules)."""
    program = written_by("firewalld", WRITES, ruleset)
    if program is None or not any(p.part == "zone" for p in program.pieces):
        return None
    given = program.inside(
        r"filter INPUT_ZONES(_SOURCE|_IFACES)? (-i (?P<interface>\S+) )?(-s (?P<source>\S+) )?-[gj] IN_(?P<zone>.+)"
    )
    zones: dict[str, list[tuple[Place, dict[str, str]]]] = {}
    for place, _, values in given:
        zones.setdefault(values["zone"], []).append((place, values))
    facts = [_zone(program, zone, entries) for zone, entries in zones.items()]
    direct = program.of("direct")
    if direct:
        facts.append(Fact("direct", {}, tuple(p.line for p, _ in direct), tuple(r for _, r in direct)))
    return program._replace(facts=tuple(facts))


def _zone(program: Program, zone: str, entries: list[tuple[Place, dict[str, str]]]) -> Fact:
    """``default``: for what no other zone is given; ``ends``: what becomes of the rest (None: it goes back to INPUT)."""
    allowed = program.in_chain("filter", f"IN_{zone}_allow")
    values: dict[str, Any] = {
        "zone": zone,
        "interfaces": list(dict.fromkeys(v["interface"].rstrip("+") for _, v in entries if v.get("interface", "+") != "+")),
        "sources": [v["source"] for _, v in entries if "source" in v],
        "default": any(not {"interface", "source"} & set(v) or v.get("interface") == "+" for _, v in entries),
        "ends": _end(program, zone),
        "masquerade": [p.line for p, *_ in program.inside(r"nat POST_.+_allow .*-j MASQUERADE") if p.chain == f"POST_{zone}_allow"],
        "forwards": _forwards(program, zone),
    }  # fmt: skip
    lines = (*(p.line for p, _ in entries), *(p.line for p, _ in allowed))
    return Fact("zone", values, lines, tuple(r for _, r in allowed))


def _end(program: Program, zone: str) -> str | None:
    """What the zone's last rule does with all that is left."""
    last = next((r for _, r in reversed(program.in_chain("filter", f"IN_{zone}"))), None)
    if last is None or any(last.conditions()):
        return None
    word = last.target.word if isinstance(last.target, Verdict) else last.target.name if last.target else ""
    return word if word in ("ACCEPT", "DROP", "REJECT") else None


def _forwards(program: Program, zone: str) -> list[dict[str, str]]:
    """Ports that the zone sends elsewhere."""
    found = program.inside(
        r"nat PRE_(?P<zone>.+)_allow .*-p (?P<proto>\S+) .*--dport (?P<port>\S+) .*-j (DNAT --to-destination|REDIRECT --to-ports) (?P<to>\S+)"
    )
    return [{k: v[k] for k in ("proto", "port", "to")} for *_, v in found if v["zone"] == zone]
