"""Published ports for some clients alone: rules for DOCKER-USER."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from iptexplain.explain.proxy import runs_proxy
from iptexplain.explain.situation import Situation
from iptexplain.explain.words import listed, said
from iptexplain.generate.asked import Asked, Landing, Packets
from iptexplain.generate.between import sides
from iptexplain.generate.engine import ANSWERS
from iptexplain.generate.wish import USER, Line, Wish, line, plain
from iptexplain.recognise.docker_port import Port
from iptexplain.rules.addresses import Network, to_address, to_network

OWN = "IPTX-RESTRICT"
LINK_LOCAL = to_network("fe80::/10")


class Restriction(NamedTuple):
    """Only ``clients`` may open connections to the ports; ``drops_rest``: and nothing else of the ports' networks is open to others."""

    ports: Sequence[Port]
    clients: Sequence[Network]
    drops_rest: bool


def published(situation: Situation, wanted: Sequence[str], container: str | None, network: str | None) -> list[Port]:
    """The published ports that all of this means: PORT or PORT/PROTOCOL as clients ask for them, a container, a network."""
    found = situation.docker.ports
    if wanted:
        found = [p for p in found if {str(p.host_port), f"{p.host_port}/{p.proto}"} & set(wanted)]
    if network:
        bridges = {side.bridge for side in sides(situation, network) if side.address is None}
        found = [p for p in found if p.bridge in bridges]
    if container:
        addresses = {str(side.address).partition("/")[0] for side in sides(situation, container) if side.address}
        found = [p for p in found if p.container_ip in addresses]
    return found


def nothing_published(
    situations: Sequence[Situation], wanted: Sequence[str], container: str | None, network: str | None
) -> str | None:
    """What to say of a port that means none, or when all of this means none; None where each means some."""
    each = [[word] for word in wanted] or [[]]
    none = [w for w in each if not any(published(s, w, container, network) for s in situations)]
    if not none:
        return None
    which = f"{said(none[0][0])} of these" if none[0] and len(none) < len(each) else "that"
    known = sorted({f"{p.host_port}/{p.proto}" for s in situations for p in s.docker.ports})
    return f"no published port is meant by {which}: there {'are ' + listed(known) if known else 'is none'}"


def restrict(situation: Situation, wanted: Sequence[Restriction], followed: bool = False) -> Wish:
    """Published ports for some clients alone. ``followed``: other new rules of DOCKER-USER are to be asked afterwards.

    A packet is told by the port that the client asked for (--ctorigdstport), for Docker has rewritten it before. Where DOCKER-USER has
    other rules, these get a chain of their own, so that they let nothing past the others.
    """
    own = OWN if followed or situation.docker.user_rules else None
    names = {c for t in situation.ruleset.tables.values() for c in t.chains}
    own = next(n for n in (OWN, *(f"{OWN}-{i}" for i in range(2, 1000))) if n not in names) if own else None
    rules: list[tuple[str, str, dict[str, str]]] = [
        (f"{ANSWERS} -j RETURN", "restrict-answers", {}),
        *(rule for one in wanted for rule in _of_ports(one.ports, one.clients)),
    ]
    closed = dict.fromkeys(p.bridge for one in wanted if one.drops_rest for p in one.ports if p.bridge)
    rules += [(f"! -i {plain(b)} -o {plain(b)} -j DROP", "restrict-rest", {"bridge": b}) for b in closed]
    made: list[Line] = [
        line(situation, "filter", own or USER, None if own else number, options, name, **values)
        for number, (options, name, values) in enumerate(rules, 1)
    ]
    proxied = [
        line(situation, "filter", "INPUT", 1, options, "restrict-link-local", **values)
        for one in wanted
        for options, values in _link_local(situation, one)
    ]
    jump = [line(situation, "filter", USER, 1, f"-j {own}", "restrict-jump")] if own else []
    asked = tuple(each for one in wanted for each in _asked(situation, one))
    return Wish(situation.family, own, (*made, *jump, *proxied), asked)


def _link_local(situation: Situation, wanted: Restriction) -> Iterator[tuple[str, dict[str, str]]]:
    """Neighbours with link-local addresses, whom Docker's rules leave to docker-proxy (``! -s fe80::/10``, since 20.10), do not
    pass DOCKER-USER."""
    if situation.family == 4 or any(LINK_LOCAL.overlaps(client) for client in wanted.clients):
        return
    for port in wanted.ports:
        if runs_proxy(situation, port) is not False:
            bound = "" if port.is_everywhere else f"-d {port.host_ip} "
            which = f"-s {LINK_LOCAL} {bound}! -i lo -p {port.proto} -m {port.proto} --dport {port.host_port}"
            yield (
                f"{which} -m addrtype --dst-type LOCAL -m conntrack --ctstate NEW -j DROP",
                {"host_port": str(port.host_port), "proto": port.proto},
            )


def _asked(situation: Situation, wanted: Restriction) -> Iterator[Asked]:
    """Nobody else gets to a container by its published port, nor to docker-proxy, nor (``drops_rest``) otherwise to its network."""
    bridges = [network.bridge for network in situation.docker.networks]
    by_port: dict[str | None, list[Packets]] = {}
    for port in wanted.ports:
        bound = None if port.is_everywhere else [(to_address(port.host_ip).number,) * 2]
        packets = Packets(
            but_from=wanted.clients, dst=bound, to_host=bound is None, proto=port.proto, port=("dport", port.host_port)
        )
        container = to_address(port.container_ip).number
        values = {"port": f"{port.host_port}/{port.proto}", "clients": listed(wanted.clients)}
        yield Asked("restrict", values, packets, Landing(port.bridge, [(container, container)]))
        if runs_proxy(situation, port) is not False:
            inside = packets._replace(interfaces=bridges)
            yield Asked("restrict-proxy", values, packets._replace(but=[inside]), Landing(""))
            yield Asked("restrict-proxy", values, inside, Landing(""), noted=True)
        by_port.setdefault(port.bridge, []).append(packets._replace(but_from=()))
    for bridge, known in by_port.items():
        if bridge and wanted.drops_rest:
            packets = Packets(but=[Packets([bridge]), *known])
            yield Asked("restrict-rest", {"bridge": bridge}, packets, Landing(bridge))


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
