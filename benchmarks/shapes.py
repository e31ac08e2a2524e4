"""Rulesets of every size in the shapes that are met, and some that are hard: the same ones each time.

To add a shape, write what makes a dump of a size and give it a line in SHAPES.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from benchmarks.docker_host import docker

PORTS = (
    22,
    25,
    53,
    80,
    110,
    123,
    143,
    161,
    443,
    465,
    587,
    993,
    995,
    1433,
    2049,
    3306,
    3389,
    5432,
    6379,
    8080,
    8443,
    9090,
)


class Writer:
    """Writes rulesets; ``six``: of IPv6."""

    def __init__(self, six: bool = False) -> None:
        self.random, self.six = random.Random(1), six

    def network(self, base: int, length: int) -> str:
        """A network within 32 bits, of the one family or the other."""
        base &= ~((1 << 32 - length) - 1) & 0xFFFFFFFF
        if self.six:
            return (
                f"2001:db8:0:{base >> 16:x}:{base & 0xFFFF:x}::/{64 + length - 16}"
                if length > 16
                else f"2001:db8:0:{base >> 16:x}::/64"
            )
        return ".".join(str(base >> shift & 255) for shift in (24, 16, 8, 0)) + f"/{length}"

    def condition(self, sources: list[int], destinations: list[tuple[int, int]]) -> str:
        pick, rng = self.random.choice, self.random
        words = []
        if rng.random() < 0.7:
            words.append(f"-s {self.network(pick(sources) | rng.getrandbits(8), pick([24, 24, 28, 32, 32]))}")
        if rng.random() < 0.75 or not words:
            base, length = pick(destinations)
            words.append(f"-d {self.network(base | rng.getrandbits(32 - length), max(length, pick([24, 28, 32, 32])))}")
        if rng.random() < 0.15:
            words.append(f"-i eth{rng.randrange(8)}")
        if rng.random() < 0.85:
            proto = "tcp" if rng.random() < 0.75 else "udp"
            words.append(f"-p {proto}")
            if rng.random() < 0.3:
                words.append("-m multiport --dports " + ",".join(map(str, rng.sample(PORTS, 4))))
            elif rng.random() < 0.9:
                words.append(f"-m {proto} --dport {pick(PORTS)}")
        if rng.random() < 0.2:
            words.append("-m conntrack --ctstate NEW")
        return " ".join(words)

    def acl(self, count: int) -> Iterator[str]:
        """A main chain that jumps by destination to chains of some 25 rules, with RETURNs and a DROP at the end."""
        rng = self.random
        sources = [0x0A000000 | rng.getrandbits(16) << 8 for _ in range(max(8, count // 50))]
        main, body = ["-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"], []
        for number in range(count // 27):
            base = 0x0A000000 | rng.getrandbits(16) << 8
            body.append(f":U{number} - [0:0]")
            for _ in range(25):
                target = rng.choices(["ACCEPT", "DROP", "RETURN"], [70, 24, 6])[0]
                body.append(f"-A U{number} {self.condition(sources, [(base, 24)])} -j {target}")
            body.append(
                f"-A U{number} -j DROP" if rng.random() < 0.6 else f"-A U{number} -p icmp{'v6' * self.six} -j ACCEPT"
            )
            main.append(f"-A FORWARD -d {self.network(base, 24)} -j U{number}")
        yield from (line for line in body if line.startswith(":"))
        yield from main
        yield from (line for line in body if not line.startswith(":"))

    def services(self, count: int) -> Iterator[str]:
        """A chain for each service, in filter."""
        yield from (f":S{n} - [0:0]" for n in range(count // 4))
        for n in range(count // 4):
            port = self.random.choice(PORTS)
            yield f"-A FORWARD -d {self.network(0x0A600000 + n, 32)} -p tcp -m tcp --dport {port} -j S{n}"
            yield f"-A S{n} ! -s {self.network(0x0AF40000 | self.random.getrandbits(8) << 8, 24)} -p tcp -j RETURN"
            yield f"-A S{n} -s {self.network(0x0AF40000 | self.random.getrandbits(16), 32)} -j DROP"
            yield f"-A S{n} -j ACCEPT"

    def unrelated(self, count: int) -> Iterator[str]:
        """Rules that have nothing to do with each other."""
        bases = [(self.random.getrandbits(24) << 8, 24) for _ in range(count // 50)]
        for _ in range(count):
            target = "ACCEPT" if self.random.random() < 0.7 else "DROP"
            yield f"-A FORWARD {self.condition([base for base, _ in bases], bases)} -j {target}"

    def ladder(self, count: int) -> Iterator[str]:
        """Each chain jumps twice to the next one."""
        yield from (f":L{n} - [0:0]" for n in range(count + 1))
        yield "-A FORWARD -j L0"
        for n in range(count):
            yield f"-A L{n} -p tcp -m tcp --sport {1000 + n}: -j L{n + 1}"
            yield f"-A L{n} -p udp -m udp --dport {1000 + n}: -j L{n + 1}"
        yield f"-A L{count} -j ACCEPT"

    def returns(self, count: int) -> Iterator[str]:
        """One long chain in which every fourth rule returns."""
        yield ":LONG - [0:0]"
        yield "-A FORWARD -j LONG"
        for n in range(count):
            yield f"-A LONG -s 10.{n >> 8 & 255}.{n & 255}.0/24 -p tcp -m tcp --dport {PORTS[n % 20]} -j {'RETURN' if n % 4 == 0 else 'ACCEPT'}"

    def blocklist(self, count: int) -> Iterator[str]:
        """A rule for each address that is kept out."""
        yield from (f"-A FORWARD -s {self.host()} -j DROP" for _ in range(count - 1))
        yield "-A FORWARD -j ACCEPT"

    def host(self) -> str:
        return f"203.{self.random.randrange(256)}.{self.random.randrange(256)}.{self.random.randrange(1, 255)}/32"


def kube_proxy(rules: int) -> str:
    """The nat table of a node: a chain for each service and each endpoint, comments everywhere, few clauses alike."""
    rng = random.Random(1)
    chains = ["KUBE-MARK-MASQ", "KUBE-POSTROUTING", "KUBE-SERVICES"]
    lines = [
        '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
        "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
        "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
        "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
        "-A KUBE-POSTROUTING -j MASQUERADE --random-fully",
    ]
    number = 0
    while len(lines) < rules:
        number += 1
        name, service = f"team-{number % 83}/app-{number}:web", f"KUBE-SVC-{rng.getrandbits(64):016X}"
        address, port = (
            f"10.{96 + (number >> 16)}.{number >> 8 & 255}.{number & 255}",
            rng.choice([80, 443, 8080, 9090]),
        )
        comment = f'-m comment --comment "{name} cluster IP"'
        chains.append(service)
        lines.append(f"-A KUBE-SERVICES -d {address}/32 -p tcp {comment} -m tcp --dport {port} -j {service}")
        lines.append(
            f"-A {service} ! -s 10.244.0.0/16 -d {address}/32 -p tcp {comment} -m tcp --dport {port} -j KUBE-MARK-MASQ"
        )
        count = rng.choice([1, 2, 3, 5])
        for n in range(count):
            pod, endpoint = (
                f"10.244.{rng.randrange(256)}.{rng.randrange(1, 255)}",
                f"KUBE-SEP-{rng.getrandbits(64):016X}",
            )
            share = f" -m statistic --mode random --probability {1 / (count - n):.11f}" if n < count - 1 else ""
            chains.append(endpoint)
            lines.append(f'-A {service} -m comment --comment "{name} -> {pod}:8080"{share} -j {endpoint}')
            lines.append(f'-A {endpoint} -s {pod}/32 -m comment --comment "{name}" -j KUBE-MARK-MASQ')
            lines.append(
                f'-A {endpoint} -p tcp -m comment --comment "{name}" -m tcp -j DNAT --to-destination {pod}:8080'
            )
    head = [f":{c} ACCEPT [0:0]" for c in ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")]
    lines.sort(key=lambda line: line.split()[1])
    nat = "\n".join(["*nat", *head, *(f":{c} - [0:0]" for c in chains), *lines, "COMMIT", ""])
    return nat + dump("-A FORWARD -m conntrack --ctstate INVALID -j DROP\n-A FORWARD -j ACCEPT\n")


def ipset(count: int) -> str:
    """A snapshot with one rule, which asks an IP set of ``count`` addresses."""
    writer = Writer()
    members = dict.fromkeys(writer.host()[:-3] for _ in range(count))
    rules = dump("-A FORWARD -m set --match-set blocked src -j DROP\n-A FORWARD -j ACCEPT\n")
    text = "create blocked hash:ip family inet hashsize 1024 maxelem 131072\n" + "".join(
        f"add blocked {m}\n" for m in members
    )
    return json.dumps({"schema": 1, "iptables": rules, "ipsets": text})


def dump(rules: str, six: bool = False) -> str:
    """A dump of filter; FORWARD's policy is DROP."""
    program = "ip6tables-save" if six else "iptables-save"
    policies = ":INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n"
    return f"# Generated by {program} v1.8.9 (nf_tables) on today\n*filter\n{policies}{rules}COMMIT\n"


def plain(write: Callable[[Writer, int], Iterator[str]], six: bool = False) -> Callable[[int], str]:
    return lambda count: dump("\n".join(write(Writer(six), count)) + "\n", six)


class Shape(NamedTuple):
    """``write`` makes a dump or a snapshot of a size; ``means``: what the sizes count, and what it is like."""

    write: Callable[[int], str]
    sizes: tuple[int, ...]
    means: str


BY_TEN = (100, 1_000, 10_000, 100_000)
SHAPES = {
    "acl": Shape(plain(Writer.acl), BY_TEN, "access lists: chains of some 25 rules by destination, with RETURNs"),
    "acl6": Shape(plain(Writer.acl, six=True), BY_TEN, "the same for IPv6"),
    "services": Shape(plain(Writer.services), BY_TEN, "a chain of three rules in filter for each service"),
    "kube": Shape(kube_proxy, BY_TEN, "kube-proxy's nat table: chains for services and endpoints, `statistic`, DNAT"),
    "blocklist": Shape(plain(Writer.blocklist), BY_TEN, "`-s ADDRESS -j DROP` for each address"),
    "ipset": Shape(ipset, BY_TEN, "one rule with an IP set of so many addresses (which the column for rules counts)"),
    "docker": Shape(docker, (5, 50, 500), "a Docker host with 5, 50 and 500 published ports, a network for ten ports"),
    "unrelated": Shape(plain(Writer.unrelated), BY_TEN, "rules that have nothing to do with each other: the worst case"),
    "ladder": Shape(plain(Writer.ladder), (30,), "each of 30 chains jumps twice to the next one"),
    "returns": Shape(plain(Writer.returns), (20, 5_000), "one chain in which every fourth rule returns"),
}  # fmt: skip
