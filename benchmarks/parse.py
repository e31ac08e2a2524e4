"""How fast a dump is read, as a ratio to the real restore: python -m benchmarks.parse [RULES]

Makes a nat table like kube-proxy's (a chain for each service and each endpoint, comments everywhere, few clauses alike),
reads it into the full model, and lets iptables-nft-restore --test read the same file in a namespace of its own (root).
CPU seconds, the best of three each.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable

from benchmarks.shapes import kube_proxy
from iptexplain.rules.parse import parse
from iptexplain.rules.save import save


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
