"""netavark, Podman's network program since Podman 4: a chain for each network, one for its published ports."""

from __future__ import annotations

from iptexplain.recognise.program import Fact, Line, Part, Program, Writes, written_by
from iptexplain.rules.model import Ruleset

ANSWERS = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"

WRITES = Writes(
    parts=(
        Part("forward", "filter NETAVARK_FORWARD", all=rf"filter \S+ (-d \S+ {ANSWERS}|-s \S+ -j ACCEPT|-m conntrack --ctstate INVALID -j DROP)"),
        Part("isolation", r"filter NETAVARK_ISOLATION_\d+"),
        Part("input", "filter NETAVARK_INPUT"),
        Part("network", "nat NETAVARK-[0-9A-F]{13}", all=r"nat \S+ (-d \S+ -j ACCEPT|! -d \S+ -j (MASQUERADE|SNAT .*))"),
        Part("port", "nat NETAVARK-DN-[0-9A-F]{13}", all=r"nat \S+ .*-j (NETAVARK-HOSTPORT-SETMARK|DNAT .*)"),
        Part("ports", "nat NETAVARK-HOSTPORT-DNAT"),
        Part("marks", "nat NETAVARK-HOSTPORT-(MASQ|SETMARK)"),
    ),
    lines=(
        Line(r"filter FORWARD (-m comment --comment \"netavark firewall plugin rules\" )?-j NETAVARK_(FORWARD|ISOLATION_\d+)"),
        Line(r"filter INPUT .*-j NETAVARK_INPUT"),
        Line(r"nat (PREROUTING|OUTPUT) -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT"),
        Line(r"nat POSTROUTING -j NETAVARK-HOSTPORT-MASQ"),
        Line(r"nat POSTROUTING -s \S+ -j NETAVARK-[0-9A-F]{13}"),
    ),
    signs=((r"filter FORWARD .*-j NETAVARK_FORWARD",), (r"nat PREROUTING -m addrtype --dst-type LOCAL -j NETAVARK-HOSTPORT-DNAT",)),
)  # fmt: skip


def recognise(ruleset: Ruleset) -> Program | None:
    """Podman's networks by their subnets, and the ports that containers publish."""
    program = written_by("netavark", WRITES, ruleset)
    if program is None:
        return None
    networks = program.inside(r"filter NETAVARK_FORWARD -s (?P<subnet>\S+) -j ACCEPT")
    ports = program.inside(
        r"nat NETAVARK-DN-\S+ (-d (?P<ip>[^ /]+)\S* )?-p (?P<proto>\S+) .*--dport (?P<port>\S+) -j DNAT --to-destination (?P<to>\S+)"
    )
    facts = [Fact("network", {"subnet": v["subnet"]}, _lines(program, v["subnet"])) for *_, v in networks]
    facts += [Fact("port", {k: v.get(k) for k in ("ip", "proto", "port", "to")}, (p.line,)) for p, _, v in ports]
    return program._replace(facts=tuple(facts)) if facts else None


def _lines(program: Program, subnet: str) -> tuple[int, ...]:
    return tuple(p.line for p, _, v in program.inside(r"\S+ \S+ -[sd] (?P<subnet>\S+) .*") if v["subnet"] == subnet)
