"""Tailscale: three chains beside the base chains, for its interface and for the range of its addresses (100.64.0.0/10)."""

from __future__ import annotations

from iptexplain.recognise.program import Fact, Line, Part, Program, Writes, written_by
from iptexplain.rules.model import Ruleset

MARK = r"-m mark --mark 0x40000(/0xff0000)?"

INPUT = (
    r"-s \S+ -i lo -j ACCEPT",
    r"-s \S+ ! -i \S+ -j (RETURN|DROP)",
    r"-i \S+ -j ACCEPT",
    r"-p udp -m udp --dport \d+ -j ACCEPT",
)
FORWARD = (
    r"-i \S+ -j MARK --set-x?mark 0x40000(/0xff0000)?",
    rf"{MARK} -j ACCEPT",
    r"(-s \S+ )?-o \S+ -j (DROP|ACCEPT)",
    r"-o \S+ -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP",
    r"-i \S+ -j DROP",
)
"""What its rules look like, with its exceptions for other networks in the same range."""

WRITES = Writes(
    parts=(
        Part("input", "filter ts-input", all=f"filter ts-input ({'|'.join(INPUT)})"),
        Part("forward", "filter ts-forward", all=f"filter ts-forward ({'|'.join(FORWARD)})"),
        Part("postrouting", "nat ts-postrouting", all=f"nat ts-postrouting {MARK} -j MASQUERADE"),
    ),
    lines=(Line("(filter|nat) (INPUT|FORWARD|POSTROUTING) -j ts-(input|forward|postrouting)"),),
    signs=(("filter (INPUT|FORWARD) -j ts-(input|forward)",),),
)


def recognise(ruleset: Ruleset) -> Program | None:
    """Its interface, the host's own addresses on it, the port that it listens on."""
    program = written_by("tailscale", WRITES, ruleset)
    if program is None:
        return None
    trusted = program.inside(r"filter ts-(input|forward) -i (?P<interface>\S+) -j (ACCEPT|MARK .*)")
    guarded = program.inside(r"filter ts-input -s (?P<range>\S+) ! -i \S+ -j DROP")
    if not trusted:
        return None
    own = program.inside(r"filter ts-input -s (?P<address>[^ /]+)\S* -i lo -j ACCEPT")
    ports = program.inside(r"filter ts-input -p udp -m udp --dport (?P<port>\d+) -j ACCEPT")
    rewritten = program.inside(r"nat ts-postrouting .*-j MASQUERADE")
    values = {
        "interface": trusted[0][2]["interface"],
        "ranges": [v["range"] for *_, v in guarded],
        "addresses": [v["address"] for *_, v in own],
        "ports": [v["port"] for *_, v in ports],
        "rewritten": bool(rewritten),
    }
    lines = tuple(p.line for p, *_ in (*trusted, *guarded, *own, *ports, *rewritten))
    return program._replace(facts=(Fact("interface", values, lines),))
