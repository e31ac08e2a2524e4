"""How long sets of packets take: access lists of many rules, kube-proxy's kind of rules, and the worst case.

    python benchmarks/sets.py [SHAPE [RULES]]

Run by hand; prints CPU seconds, nodes and memory. SHAPE: acl, acl6, kube, ladder, returns, hostile; all of them when none is named.
"verdicts": what is accepted; "who decides": by which rule each packet is.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from collections.abc import Callable, Iterator

from iptexplain.host.topology import Topology
from iptexplain.rules.parse import parse
from iptexplain.sets.chains import Chains
from iptexplain.sets.conditions import Conditions
from iptexplain.sets.fields import Fields
from iptexplain.sets.kinds import Kinds
from iptexplain.sets.nat import Nat
from iptexplain.sets.space import Space, TooLarge
from iptexplain.sets.ways import ACCEPT, Ways

PORTS = [
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
]


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

    def kube(self, count: int) -> Iterator[str]:
        """A chain for each service."""
        yield from (f":S{n} - [0:0]" for n in range(count // 4))
        for n in range(count // 4):
            port = self.random.choice(PORTS)
            yield f"-A FORWARD -d {self.network(0x0A600000 + n, 32)} -p tcp -m tcp --dport {port} -j S{n}"
            yield f"-A S{n} ! -s {self.network(0x0AF40000 | self.random.getrandbits(8) << 8, 24)} -p tcp -j RETURN"
            yield f"-A S{n} -s {self.network(0x0AF40000 | self.random.getrandbits(16), 32)} -j DROP"
            yield f"-A S{n} -j ACCEPT"

    def hostile(self, count: int) -> Iterator[str]:
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


SHAPES: dict[str, tuple[int, bool, Callable[[Writer, int], Iterator[str]]]] = {
    "acl": (10_000, False, Writer.acl), "acl6": (10_000, True, Writer.acl), "kube": (10_000, False, Writer.kube),
    "ladder": (30, False, Writer.ladder), "returns": (5_000, False, Writer.returns), "hostile": (10_000, False, Writer.hostile),
}  # fmt: skip


def measure(name: str, count: int, six: bool, write: Callable[[Writer, int], Iterator[str]]) -> None:
    program = "ip6tables-save" if six else "iptables-save"
    head = f"# Generated by {program} v1.8.9 (nf_tables) on today\n*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n"
    ruleset = parse(head + "\n".join(write(Writer(six), count)) + "\nCOMMIT\n").rulesets[0]
    topology = Topology(ruleset.family)
    for named in (False, True):
        fields = Fields([ruleset], topology)
        space = Space(fields.tops, limit=8_000_000)
        ways, conditions = Ways(space), Conditions(space, Kinds(space, fields, topology), topology, {})
        nat = Nat(ways, conditions, topology)
        begin = time.process_time()
        try:
            chains = Chains(ways, conditions, ruleset.tables["filter"], nat.of, named)
            found = chains.at("FORWARD").map
            accepted = space.where(found, lambda end: end.way == ACCEPT)
            size = f"{len(space.reachable(accepted)):>8} nodes accept"
        except TooLarge as e:
            size = str(e)
        seconds = time.process_time() - begin
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        what = "who decides" if named else "verdicts"
        print(
            f"{name:8} {count:6} rules  {what:11} {seconds:7.2f} s  {len(space.level):>9} nodes made {size}  {memory} MB",
            flush=True,
        )


if __name__ == "__main__":
    wanted = sys.argv[1:2] or list(SHAPES)
    for shape in wanted:
        usual, is_six, writer = SHAPES[shape]
        measure(shape, int(sys.argv[2]) if len(sys.argv) > 2 else usual, is_six, writer)
