"""Rulesets and sets as iptables-save and ipset save print them, once the kernel has taken them."""

from __future__ import annotations

import re

from tests.kernel.lab import LabError
from tests.kernel.lab.laboratory import PROGRAMS, Backend
from tests.kernel.lab.netns import NetNS

LINE = re.compile(r"line:? (\d+)")
DATE = re.compile(r"( on) \w{3} \w{3} +\d+ [\d:]+ \d{4}")
SOME_DAY = r"\1 Mon Jan  1 00:00:00 2024"
ATTEMPTS = 12


def saved_sets(text: str) -> str:
    namespace = NetNS()
    try:
        namespace.run(["ipset", "restore"], text)
        return namespace.run(["ipset", "save"])
    finally:
        namespace.close()


def saved(text: str, ipset: str, family: int, backend: Backend, counters: bool = False) -> str:
    """The dump of a ruleset. A rule that this iptables or this kernel does not take is left out."""
    program, lines = f"{PROGRAMS[family]}-{backend}", text.splitlines()
    for _ in range(ATTEMPTS):
        namespace = NetNS()
        try:
            if ipset:
                namespace.run(["ipset", "restore"], ipset)
            done = namespace.attempt([f"{program}-restore", "-w"], "\n".join(lines) + "\n")
            if done.returncode == 0:
                dump = namespace.run([f"{program}-save", *(["-c"] if counters else [])])
                return DATE.sub(SOME_DAY, dump)
        finally:
            namespace.close()
        named = LINE.search(done.stderr)
        if not named or not lines[int(named[1]) - 1].startswith("-A"):
            raise LabError(f"{program}-restore: {done.stderr.strip()}\n{text}")
        del lines[int(named[1]) - 1]
    raise LabError(f"{program}-restore refuses too many rules of:\n{text}")
