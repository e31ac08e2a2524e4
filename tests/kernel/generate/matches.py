"""The conditions of a rule: addresses, interfaces, protocol, and matches beside them."""

from __future__ import annotations

from collections.abc import Callable

from tests.kernel.generate import conntrack_matches as ct
from tests.kernel.generate import host_matches as host
from tests.kernel.generate import more_matches
from tests.kernel.generate import packet_matches as packet
from tests.kernel.generate.pools import PORTS
from tests.kernel.generate.scene import Clause, Scene, Wish

Maker = Callable[[Scene], Clause | None]
"""Makes a clause; None where it would not be allowed or say nothing."""

MATCHES: list[tuple[int, Maker]] = [
    (6, ct.ctstate), (1, ct.state), (2, ct.address), (2, ct.details), (1, ct.connmark),
    (3, host.addrtype), (2, host.mark), (1, host.mac), (1, host.physdev), (4, host.member), (1, host.iprange),
    (1, packet.length), (1, packet.ttl), (1, packet.dscp), (1, packet.tos), (1, packet.pkttype), (1, packet.comment),
]  # fmt: skip

PROTOCOLS = [(8, "tcp"), (5, "udp"), (3, "icmp"), (1, "sctp"), (1, "gre")]
FLAGS = [
    ("FIN,SYN,RST,ACK", "SYN"), ("ALL", "NONE"), ("ALL", "ALL"), ("SYN,FIN", "SYN,FIN"), ("SYN,RST", "SYN,RST"),
    ("ACK", "ACK"), ("ALL", "FIN,PSH,URG"), ("FIN,ACK", "FIN"), ("RST", "RST"), ("SYN,ACK", "SYN,ACK"), ("PSH,ACK", "PSH,ACK"),
]  # fmt: skip
EVERY_FLAG = "FIN,SYN,RST,PSH,ACK,URG"
ICMP_TYPES = {
    4: ["8", "8", "0", "3", "11", "13", "3/1", "3/3", "3/4", "any", "5"],
    6: ["128", "128", "129", "1", "1/4", "2", "3"],
}
NAMES = {4: {}, 6: {"icmp": "ipv6-icmp"}}
IN_PACKETS = {"ipv6-icmp": "icmpv6"}


def conditions(scene: Scene, protocol: str | None = None) -> Clause:
    """All conditions of one rule. ``protocol``: the one that its target needs, perhaps with the ports."""
    clauses = [*_ends(scene), *_interfaces(scene)]
    rare = more_matches.clause(scene) if scene.rare and not protocol and scene.chance(0.6) else None
    if rare:
        return _joined([*clauses, rare])
    protocol, named = _protocol(scene, protocol)
    clauses += named
    if protocol in ("tcp", "udp", "sctp"):
        clauses += _ports(scene, protocol)
    elif protocol == "icmp" and scene.chance(0.6):
        clauses.append(_icmp(scene))
    for _ in range(scene.pick([0, 0, 0, 1, 1, 2])):
        made = scene.weighted(MATCHES)(scene)
        said = " ".join(clause.text for clause in clauses)
        if made and made.text.split()[1] not in said:
            clauses.append(made)
    return _joined(clauses)


def _joined(clauses: list[Clause]) -> Clause:
    wish: Wish = {}
    for clause in clauses:
        wish |= clause.wish
    return Clause(" ".join(clause.text for clause in clauses), wish)


def _ends(scene: Scene) -> list[Clause]:
    clauses = []
    for option, side in (("-s", "src"), ("-d", "dst")):
        if scene.chance(0.22):
            network, no = scene.network(), scene.inverted()
            clauses.append(Clause(f"{no}{option} {network}", {} if no else {side: network}))
    return clauses


def _interfaces(scene: Scene) -> list[Clause]:
    """In a user chain -i and -o are taken whatever calls it; in a base chain only the one that there is."""
    clauses = []
    sides = (("-i", "iif", ("OUTPUT", "POSTROUTING")), ("-o", "oif", ("INPUT", "PREROUTING")))
    for option, side, without in sides:
        allowed = scene.never_at(*without) or (scene.user_chain and scene.chance(0.4))
        if allowed and scene.chance(0.25):
            name, no = scene.interface(), scene.inverted(0.25)
            clauses.append(Clause(f"{no}{option} {name}", {} if no else {side: name}))
    return clauses


def _protocol(scene: Scene, needed: str | None) -> tuple[str | None, list[Clause]]:
    """The protocol that the rule is sure of, as IPv4 names it, and how the rule says so."""
    protocol = needed or (scene.weighted(PROTOCOLS) if scene.chance(0.55) else None)
    if protocol is None:
        return None, []
    if protocol == "syn":
        return None, [Clause("-p tcp -m tcp --tcp-flags SYN,RST SYN", {"proto": "tcp", "flags": "SYN"})]
    if " " in protocol:
        name, _, ports = protocol.partition(" ")
        port = int(ports.split()[-1].partition(":")[0])
        return protocol, [
            Clause(f"-p {name} -m {name} {ports}", {"proto": name, "dport": port + scene.pick([0, 0, 5])})
        ]
    no = "" if needed else scene.inverted(0.06)
    name = NAMES[scene.family].get(protocol, protocol)
    clause = Clause(f"{no}-p {name}", {} if no else {"proto": IN_PACKETS.get(name, name)})
    return None if no else protocol, [clause]


def _ports(scene: Scene, protocol: str) -> list[Clause]:
    kind = scene.random.random()
    if kind < 0.5:
        clauses = [_port(scene, f"-m {protocol} ", "dport", scene.inverted())]
        return [*clauses, _port(scene, "", "sport", "")] if scene.chance(0.12) else clauses
    if kind < 0.6:
        return [_port(scene, f"-m {protocol} ", "sport", scene.inverted())]
    if kind < 0.78:
        return [_multiport(scene)]
    return [_flags(scene)] if protocol == "tcp" and kind < 0.92 else []


def _port(scene: Scene, match: str, side: str, no: str) -> Clause:
    text, port = scene.ports()
    return Clause(f"{match}{no}--{side} {text}", {} if no else {side: port})


def _multiport(scene: Scene) -> Clause:
    ports = scene.random.sample(PORTS, scene.random.randint(1, 5))
    texts = [str(port) for port in ports]
    if scene.chance(0.4):
        low = scene.pick(PORTS)
        texts.append(f"{low}:{low + scene.random.randint(1, 500)}")
    side, no = scene.pick(["dports", "dports", "dports", "sports", "ports"]), scene.inverted()
    wish = {} if no else {"sport" if side == "sports" else "dport": ports[0]}
    return Clause(f"-m multiport {no}--{side} {','.join(texts)}", wish)


def _flags(scene: Scene) -> Clause:
    no = scene.inverted(0.3)
    if scene.chance(0.5):
        return Clause(f"-m tcp {no}--syn", {"flags": "ACK" if no else "SYN"})
    mask, wanted = scene.pick(FLAGS)
    wish = {} if no else {"flags": EVERY_FLAG if wanted == "ALL" else wanted}
    return Clause(f"-m tcp {no}--tcp-flags {mask} {wanted}", wish)


def _icmp(scene: Scene) -> Clause:
    kind = scene.pick(ICMP_TYPES[scene.family])
    option = "-m icmp {}--icmp-type" if scene.family == 4 else "-m icmp6 {}--icmpv6-type"
    if kind == "any":
        return Clause(f"{option.format('')} any")
    number, _, code = kind.partition("/")
    wish = {"icmp_type": int(number), **({"icmp_code": int(code)} if code else {})}
    return Clause(f"{option.format(scene.inverted(0.1))} {kind}", wish)
