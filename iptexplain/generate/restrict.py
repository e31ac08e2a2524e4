"""Published ports for some clients alone: rules for DOCKER-USER."""

from __future__ import annotations

from collections.abc import Sequence

from iptexplain.explain.situation import Situation
from iptexplain.generate.wish import USER, Line, Wish, line, plain
from iptexplain.recognise.docker_port import Port
from iptexplain.rules.addresses import Network

OWN = "IPTX-RESTRICT"


def restrict(situation: Situation, ports: Sequence[Port], clients: Sequence[Network], drops_rest: bool) -> Wish:
    """Only ``clients`` may open connections to the ports; ``drops_rest``: and nothing else of the ports' networks is open to others.

    A packet is told by the port that the client asked for (--ctorigdstport), for Docker has rewritten it before. Where DOCKER-USER has
    rules already, the new ones get a chain of their own, so that they let nothing past the old ones.
    """
    own = OWN if situation.docker.user_rules else None
    names = {c for t in situation.ruleset.tables.values() for c in t.chains}
    own = next(n for n in (OWN, *(f"{OWN}-{i}" for i in range(2, 1000))) if n not in names) if own else None
    wanted = [
        ("-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN", "restrict-answers", {}),
        *_of_ports(ports, clients),
    ]
    if drops_rest:
        bridges = dict.fromkeys(p.bridge for p in ports if p.bridge)
        wanted += [(f"! -i {plain(b)} -o {plain(b)} -j DROP", "restrict-rest", {"bridge": b}) for b in bridges]
    made: list[Line] = [
        line(situation, "filter", own or USER, None if own else number, options, name, **values)
        for number, (options, name, values) in enumerate(wanted, 1)
    ]
    jump = [line(situation, "filter", USER, 1, f"-j {own}", "restrict-jump")] if own else []
    return Wish(situation.family, own, (*made, *jump))


def _of_ports(ports: Sequence[Port], clients: Sequence[Network]) -> list[tuple[str, str, dict[str, str]]]:
    """First who may, then nobody else."""
    asked = dict.fromkeys((p.host_ip if not p.is_everywhere else "", p.host_port, p.proto) for p in ports)
    found = []
    for host_ip, port, proto in asked:
        bound = f" --ctorigdst {host_ip}" if host_ip else ""
        which = f"-p {proto} -m conntrack --ctstate DNAT{bound} --ctorigdstport {port} --ctdir ORIGINAL"
        values = {"host_port": str(port), "proto": proto}
        found += [(f"-s {c} {which} -j RETURN", "restrict-from", {**values, "subnet": str(c)}) for c in clients]
        found.append((f"{which} -j DROP", "restrict-others", values))
    return found
