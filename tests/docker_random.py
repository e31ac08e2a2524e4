"""Random setups of Docker hosts, and dumps of them: names, subnets, orders, counters, and what people write beside Docker."""

from __future__ import annotations

import ipaddress
import random
from typing import Any

from tests.docker_engines import VERSIONS, Engine
from tests.docker_setup import Link, Net, Port, Setup

NAMES = (
    "bridge1",
    "web.front",
    "lan_0",
    "b",
    "vmbr7",
    "docker1",
    "app-net",
    "br-0f1e2d3c4b5a",
    "br-a0b1c2d3e4f5",
    "x" * 15,
)
SUBNETS = {
    4: (
        "10.0.0.0/8",
        "172.20.0.0/14",
        "192.168.64.0/20",
        "192.0.2.0/25",
        "198.51.100.128/26",
        "203.0.113.8/29",
        "100.64.0.0/10",
    ),
    6: (
        "2001:db8:7::/64",
        "fd00:1:2::/48",
        "2001:db8:8:9::/80",
        "fd49:efd7:54aa::/64",
        "fdff::/16",
        "2001:db8:aa::/120",
    ),
}
HOSTS = {
    4: (None, None, "192.168.1.10", "203.0.113.77", "127.0.0.1", "127.0.0.53"),
    6: (None, None, "2001:db8::10", "fd12::1", "::1"),
}

BESIDE: dict[str, tuple[str, ...]] = {
    "raw": (
        "PREROUTING -i eth9 -p udp -m udp --dport 53 -j DROP",
        "PREROUTING -d 198.18.7.2/32 ! -i eth9 -j DROP",
        "PREROUTING -d 198.18.7.2/32 -i eth9 -j ACCEPT",
    ),
    "mangle": ("POSTROUTING -o eth9 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",),
    "filter": (
        "INPUT -i lo -j ACCEPT",
        "INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "FORWARD -i virbr0 -j ACCEPT",
        "FORWARD -i virbr0 -o virbr0 -j ACCEPT",
        "FORWARD -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "FORWARD -i lxdbr0 ! -o lxdbr0 -j ACCEPT",
        "FORWARD -i eth9 -o eth9 -j DROP",
        "FORWARD -s 198.18.7.0/24 -d 198.18.8.0/24 -j DROP",
        "FORWARD -d 198.18.7.2/32 ! -i eth9 -o eth9 -p tcp -m tcp --dport 80 -j ACCEPT",
        "FORWARD -j ufw-before-forward",
        "ufw-before-forward -p icmp -m icmp --icmp-type 8 -j ACCEPT",
        "OUTPUT -o eth9 -p tcp -m tcp --dport 25 -j DROP",
    ),
    "nat": (
        "PREROUTING -i eth9 -p tcp -m tcp --dport 2222 -j DNAT --to-destination 198.18.7.2:22",
        "POSTROUTING -s 198.18.7.0/24 ! -d 198.18.7.0/24 -j MASQUERADE",
        "POSTROUTING -s 198.18.9.0/24 ! -o tun0 -j MASQUERADE",
        "POSTROUTING -o eth9 -j MASQUERADE",
        "POSTROUTING -s 198.18.7.2/32 -d 198.18.7.2/32 -p tcp -m tcp --dport 22 -j MASQUERADE",
        "POSTROUTING -o virbr0 -m addrtype --src-type LOCAL -j MASQUERADE",
    ),
}
"""Rules that people and other programs write, some in Docker's own shapes; with IPv6 those without an address."""

IN_USER = (
    "DOCKER-USER -i eth9 -m conntrack --ctorigdstport 8080 --ctdir ORIGINAL -j DROP",
    "DOCKER-USER -s 198.18.7.0/24 -j RETURN",
    "DOCKER-USER -i eth9 -p tcp -m tcp --dport 80 -j ACCEPT",
)


class Dice(random.Random):
    """Random choices with a seed."""

    def often(self, share: float = 0.5) -> bool:
        return self.random() < share


def setup(dice: Dice, version: str, family: int) -> Setup:
    """A host as an engine of this version can have it."""
    at = VERSIONS.index(version)

    def since(name: str) -> bool:
        return at >= VERSIONS.index(name)

    direct = since("28.2.1") and dice.often(0.15)
    nets = [net(dice, since, family, "docker0", subnet, direct) for subnet in ("172.17.0.0/16",)] if family == 4 else []
    if since("1.9"):
        chosen = zip(dice.sample(NAMES, 6), dice.sample(SUBNETS[family], 6), strict=True)
        nets += [net(dice, since, family, name, subnet, direct) for name, subnet in list(chosen)[: dice.randint(0, 5)]]
    mesh: tuple[Port, ...] = ()
    if since("1.12") and family == 4 and dice.often(0.2):
        gateway = Net("docker_gwbridge", "172.31.0.0/16", ("172.31.0.2",), icc=False)
        nets.append(gateway)
        mesh = tuple(
            Port(gateway, None, n, "172.31.0.2", n, dice.choice(("tcp", "udp")))
            for n in dice.sample(range(1, 65536), dice.randint(0, 3))
        )
    default = nets[0] if family == 4 else None
    publishing = [n for n in nets if n.containers and not n.internal and n.bridge != "docker_gwbridge"]
    host_ports = iter(dice.sample(range(1, 65536), 200))
    return Setup(
        nets=tuple(nets),
        ports=tuple(p for n in publishing for p in ports(dice, n, family, host_ports, since)),
        links=tuple(links(dice, default)) if default and not default.icc else (),
        mesh=mesh,
        proxy=not since("1.7") or dice.often(0.7),
        raw=not since("28.1.1") or dice.often(0.85),
        direct=direct,
        mark=dice.choice(("0x1/0xff", "0x2a")) if since("29.7.2") and dice.often(0.3) else None,
        wsl2=family == 4 and since("27.5.1") and dice.often(0.2),
        family=family,
    )


def net(dice: Dice, since: Any, family: int, name: str, subnet: str, direct: bool) -> Net:
    inside = ipaddress.ip_network(subnet)
    size = min(inside.num_addresses - 2, 250)
    default = name == "docker0"
    modes = ("nat",) * 4 + (("routed",) if since("27.5.1") else ()) + (("nat-unprotected",) if since("28.0.0") else ())
    internal = since("1.10") and not default and dice.often(0.2)
    mode = "nat" if internal else dice.choice(modes)
    masquerade = not since("1.3") or mode == "nat-unprotected" or dice.often(0.8)
    snat = (
        {4: "192.168.1.10", 6: "2001:db8::77"}[family] if since("20.10.24") and masquerade and dice.often(0.2) else None
    )
    trusted = (
        tuple(dice.sample(("wg0", "eth1", "tun7"), dice.randint(1, 2))) if since("28.2.1") and dice.often(0.2) else ()
    )
    found = tuple(str(inside[n]) for n in sorted(dice.sample(range(2, size), dice.randint(0, min(3, size - 2)))))
    guarded = mode == "nat" and not internal and not direct
    return Net(name, subnet, found, dice.often(0.7), internal, masquerade, snat, mode, trusted if guarded else ())


def ports(dice: Dice, n: Net, family: int, numbers: Any, since: Any) -> list[Port]:
    """Ports, ranges, and one port of a container on several addresses of the host."""
    found = []
    protocols = ("tcp", "tcp", "udp", *(("sctp",) if since("18.09") else ()))
    for container in n.containers:
        for _ in range(dice.choice((0, 1, 1, 2))):
            host, proto, first = dice.choice(HOSTS[family]), dice.choice(protocols), dice.randint(1, 60000)
            found += [
                Port(n, host, next(numbers), container, first + i, proto) for i in range(dice.choice((1, 1, 1, 4)))
            ]
        if since("1.10") and found and dice.often(0.2):
            found.append(found[-1]._replace(host_ip=dice.choice(HOSTS[family][2:]), host_port=next(numbers)))
    return found


def links(dice: Dice, n: Net) -> list[Link]:
    pairs = [(a, b) for a in n.containers for b in n.containers if a != b]
    return [Link(n, a, b, dice.randint(1, 65535), "tcp") for a, b in pairs if dice.often(0.4)]


def dump(dice: Dice, engine: Engine, crowded: bool) -> tuple[str, list[str]]:
    """The dump of a host, and the rules in it that no Docker wrote.

    Up to 1.4 MASQUERADE ``-s S ! -d S`` is left to Docker: without a port nobody can tell another's from its own.
    """
    rules = list(dict.fromkeys(engine.rules()))
    beside = [
        (t, f"-A {r}")
        for t, some in BESIDE.items()
        for r in some
        if engine.s.family == 4 or ("/" not in r and "icmp" not in r and ":" not in r)
    ]
    beside += [
        ("filter", f"-A {r}") for r in IN_USER if engine.since("17.06") and (engine.s.family == 4 or "/" not in r)
    ]
    written = [b for b in beside if dice.often() and not (engine.up_to("1.3") and " ! -d " in b[1])] if crowded else []
    if engine.s.family == 6 and engine.version == "20.10.24":
        written = [w for w in written if "DOCKER-USER" not in w[1]]
    counted = dice.often(0.3)
    program, backend = f"ip{'6' if engine.s.family == 6 else ''}tables-save", dice.choice((" (nf_tables)", ""))
    text = f"# Generated by {program} v1.8.9{backend} on Tue Nov 24 06:22:08 2026\n"
    for table in ("raw", "mangle", "filter", "nat"):
        mine, others = [r for t, r in rules if t == table], [r for t, r in written if t == table]
        if mine or others or table in ("filter", "nat"):
            text += _table(dice, table, _mixed(dice, mine, others), engine, counted)
    return text, [r for _, r in written]


def _mixed(dice: Dice, mine: list[str], others: list[str]) -> list[str]:
    """Others' rules anywhere between Docker's, whose order stays."""
    for rule in others:
        mine.insert(dice.randint(0, len(mine)), rule)
    return mine


def _table(dice: Dice, table: str, rules: list[str], engine: Engine, counted: bool) -> str:
    base = {"raw": "PREROUTING OUTPUT", "mangle": "PREROUTING INPUT FORWARD OUTPUT POSTROUTING", "filter": "INPUT FORWARD OUTPUT",
            "nat": "PREROUTING INPUT OUTPUT POSTROUTING"}[table]  # fmt: skip
    named = {r.split()[1] for r in rules} | {w for r in rules for w in r.split() if w.startswith("ufw-")}
    chains = sorted(set(engine.chains().get(table, ())) | named - set(base.split()))
    head = "".join(
        f":{c} {dice.choice(('ACCEPT', 'DROP')) if c == 'FORWARD' else 'ACCEPT'} [0:0]\n" for c in base.split()
    )
    head += "".join(f":{c} - [0:0]\n" for c in chains)
    order = sorted(rules, key=lambda r: [*base.split(), *chains].index(r.split()[1]))
    body = "".join(f"[{dice.randint(0, 9999)}:{dice.randint(0, 99999)}] {r}\n" if counted else f"{r}\n" for r in order)
    return f"*{table}\n{head}{body}COMMIT\n"
