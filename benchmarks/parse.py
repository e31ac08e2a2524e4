"""How fast a dump is read, as a ratio to the real restore: python benchmarks/parse.py [RULES]

Makes a nat table like kube-proxy's (a chain for each service and each endpoint, comments everywhere, few clauses alike),
reads it into the full model, and lets iptables-nft-restore --test read the same file in a namespace of its own (root).
CPU seconds, the best of three each.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable

from iptexplain.rules.parse import parse
from iptexplain.rules.save import save


def kube_proxy(rules: int, seed: int = 1) -> str:
    """A dump with about ``rules`` rules, the same for the same seed."""
    rng = random.Random(seed)
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
    return "\n".join(["*nat", *head, *(f":{c} - [0:0]" for c in chains), *lines, "COMMIT", ""])


def cpu(work: Callable[[], object], who: int) -> float:
    """The CPU seconds (user and system) of the fastest of three runs."""

    def spent() -> float:
        usage = resource.getrusage(who)
        return usage.ru_utime + usage.ru_stime

    times = []
    for _ in range(3):
        before = spent()
        work()
        times.append(spent() - before)
    return min(times)


def main() -> None:
    text = kube_proxy(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
    rules = text.count("\n-A ")
    reading = cpu(lambda: parse(text), resource.RUSAGE_SELF)
    print(f"iptexplain reads           {rules / reading:9,.0f} rules a second ({rules} rules, {reading:.2f} s)")
    dump = parse(text)
    saving = cpu(lambda: save(dump), resource.RUSAGE_SELF)
    print(f"iptexplain saves           {rules / saving:9,.0f} rules a second")
    with tempfile.NamedTemporaryFile("w", suffix=".rules") as file:
        file.write(text)
        file.flush()
        command = ["unshare", "--net", "iptables-nft-restore", "--test", file.name]
        real = cpu(lambda: subprocess.run(command, check=True), resource.RUSAGE_CHILDREN)
    print(f"iptables-nft-restore reads {rules / real:9,.0f} rules a second")
    print(f"ratio, reading: {real / reading:.2f} (above 1: iptexplain is faster)")


if __name__ == "__main__":
    main()
