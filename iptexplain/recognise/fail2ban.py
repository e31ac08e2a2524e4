"""fail2ban: a chain for each jail, with the banned addresses and a RETURN at its end (its actions iptables-*.conf)."""

from __future__ import annotations

import re

from iptexplain.recognise.program import Fact, Line, Part, Program, Writes, text_of, written_by
from iptexplain.rules.model import Ruleset

BAN = r"(-s (?P<banned>\S+)( -p \S+)?|.*-m set --match-set (?P<set>\S+) src)( -m \S+)* -j (REJECT.*|DROP|BLACKHOLE|TARPIT)"
NAME = "(f2b|fail2ban)-(?P<jail>.+)"

WRITES = Writes(
    parts=(Part("jail", f"filter {NAME}", has="filter {chain} -j RETURN", all=f"filter {{chain}} ({BAN}|-j RETURN)", strict=True),),
    lines=(
        Line("filter (INPUT|FORWARD|DOCKER-USER) .*-j (f2b|fail2ban)-.+"),
        Line(r"filter (INPUT|FORWARD|DOCKER-USER) .*--match-set (?P<set>f2b-(?P<jail>\S+)) src -j (REJECT.*|DROP)", "set"),
    ),
    signs=(
        (r"filter (INPUT|FORWARD|DOCKER-USER) .*-j (f2b|fail2ban)-.+",),
        (r"filter (INPUT|FORWARD|DOCKER-USER) .*--match-set f2b-\S+ src -j (REJECT.*|DROP)",),
    ),
)  # fmt: skip


def recognise(ruleset: Ruleset) -> Program | None:
    """The jails: who is banned, and where their chains are asked."""
    program = written_by("fail2ban", WRITES, ruleset)
    if program is None:
        return None
    jails = dict.fromkeys((p.values["jail"]) for p in program.pieces)
    return program._replace(facts=tuple(_jail(program, jail) for jail in jails))


def _jail(program: Program, jail: str) -> Fact:
    """``asked``: the chains that ask the jail; ``banned``: addresses, ``sets``: ipsets that hold them."""
    places = [p for p, piece in program.by_place.items() if piece.values["jail"] == jail]
    asking = [p for p in places if (p.table, p.chain) not in program.chains]
    bans = [(p, re.fullmatch(rf"\S+ \S+ {BAN}", text_of(p.table, program.rules[p]))) for p in places]
    seen = [(p, m) for p, m in bans if m]
    values = {
        "jail": jail,
        "asked": list(dict.fromkeys(p.chain for p in asking)),
        "asked_lines": [p.line for p in asking],
        "banned": [m["banned"].removesuffix("/32").removesuffix("/128") for _, m in seen if m["banned"]],
        "sets": [m["set"] for _, m in seen if m["set"]],
    }
    return Fact("jail", values, tuple(sorted({*(p.line for p in asking), *(p.line for p, _ in seen)})))
