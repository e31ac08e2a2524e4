"""What every operation costs on rulesets of every shape and size: CPU seconds and peak memory of the command, start-up included.

    python -m benchmarks.run [SHAPE...]

From the checkout's root; by hand. Without SHAPE it takes about half an hour, and writes benchmarks/RESULTS.md and benchmarks/growth.png
(which needs matplotlib: pip install '.[bench]'); of single shapes the table is printed. Each command runs in a process of its own.
"""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.shapes import SHAPES

HERE = Path(__file__).parent
SECONDS, MEMORY = 120, 4 << 30
"""What one measurement may take: seconds of CPU, bytes."""

HOPELESS = 12
"""Seconds of CPU beyond which the next size, ten times as large, is not tried."""

JSON = ("-o", "json")
OPERATIONS: dict[str, tuple[int, Callable[[str, str], tuple[str, ...]]]] = {
    "parse": (0, lambda old, to: ("save", old)),
    "trace": (0, lambda old, to: ("trace", old, "--from", "internet", "--to", to, *JSON)),
    "reach a service": (0, lambda old, to: ("reach", old, "--to", to, *JSON)),
    "reach from internet": (0, lambda old, to: ("reach", old, "--from", "internet", *JSON)),
    "lint": (0, lambda old, to: ("lint", old, "--fail-on", "never", *JSON)),
    "diff, a twin": (0, lambda old, to: ("diff", old, f"{old}.twin", *JSON)),
    "diff, one packet": (1, lambda old, to: ("diff", old, f"{old}.changed", *JSON)),
    "check": (0, lambda old, to: ("check", f"{old}.twin", "--against", old, *JSON)),
}
"""Operation → the exit status of the right answer, and the command for a file and a service."""


IN_PART = r'"decided": false|"not_looked_for": \[($|")'
"""What an answer says when it was not worked out as a whole."""


class Cost(NamedTuple):
    """``seconds`` of CPU, ``memory`` in bytes; ``is_whole``: False where a part of the answer says that it was not worked out."""

    seconds: float
    memory: int
    is_whole: bool = True

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, {self.memory >> 20} MB{'' if self.is_whole else ' (in part)'}"


class Row(NamedTuple):
    """One ruleset: its shape, its size, how many rules it has, and what each operation cost (None: more than it may)."""

    shape: str
    size: int
    rules: int
    costs: dict[str, Cost | None]


def limits() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def measure(operation: str, old: str, to: str) -> Cost | None:
    """Run one operation; raises SystemExit when its answer is wrong."""
    wanted, command = OPERATIONS[operation]
    words = [sys.executable, "-m", "iptexplain", *command(old, to)]
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(words, stdout=answer, stderr=errors, preexec_fn=limits)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        answer.seek(0)
        errors.seek(0)
        # Not read here: whoever starts a process lends it its own size, as a peak.
        is_whole = subprocess.run(["grep", "-qE", IN_PART], stdin=answer).returncode != 0
        wrong = errors.read().decode()
    if process.returncode < 0 or "MemoryError" in wrong:
        return None
    if process.returncode != wanted and is_whole:
        raise SystemExit(f"{' '.join(words)}: exit status {process.returncode}, not {wanted}\n{wrong}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10, is_whole)


def rows(shape: str) -> Iterable[Row]:
    """One row for each size of a shape."""
    hopeless: set[str] = set()
    for size in SHAPES[shape].sizes:
        with tempfile.TemporaryDirectory() as folder:
            old = f"{folder}/rules"
            write = [sys.executable, "-m", "benchmarks.variants", shape, str(size), old]
            rules, to = subprocess.run(write, check=True, capture_output=True, text=True).stdout.split()
            costs: dict[str, Cost | None] = {}
            for operation in OPERATIONS:
                cost = None if operation in hopeless else measure(operation, old, to)
                costs[operation] = cost
                if cost is None or cost.seconds > HOPELESS or not cost.is_whole:
                    hopeless.add(operation)
                print(f"{shape} {size}: {operation}: {cost or '-'}", file=sys.stderr, flush=True)
        yield Row(shape, size, int(rules), costs)


def table(found: list[Row]) -> str:
    lines = [f"| shape | rules | {' | '.join(OPERATIONS)} |", "| --- | ---: |" + " --- |" * len(OPERATIONS)]
    for row in found:
        lines.append(f"| {row.shape} | {row.rules:,} | {' | '.join(str(row.costs[o] or '-') for o in OPERATIONS)} |")
    return "\n".join(lines)


def machine() -> str:
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return (
        f"{names[0] if names else platform.machine()}, Linux {platform.release()}, Python {platform.python_version()}"
    )


def document(found: list[Row]) -> str:
    shapes = "\n".join(f"- **{name}**: {shape.means}" for name, shape in SHAPES.items())
    return f"""# What the operations cost

Made by `python -m benchmarks.run` on {machine()}.

Each cell is one command in a process of its own: CPU seconds (user and system, start-up of Python included, about 0.3) and peak
memory. `-`: more than {SECONDS} s or {MEMORY >> 30} GB, or not tried because a tenth of the size took more than {HOPELESS} s. "In part":
the command ended within its own budget, and says in its answer what it did not work out. Of `diff` and `check` the
answer is checked (a twin is equal, a change of one packet is found), of the others the exit status.

{table(found)}

{shapes}

A twin has neighbours in another order, ports grouped otherwise and, in access lists, other names of chains; "one packet" is one
more packet that
passes, or one fewer.

![How the cost grows](growth.png)
"""


def plot(found: list[Row], file: Path) -> None:
    """CPU seconds against rules, an operation a panel and a shape a line."""
    from matplotlib.figure import Figure  # nothing else needs it

    figure = Figure(figsize=(16, 8), layout="constrained")
    panels = figure.subplots(2, (len(OPERATIONS) + 1) // 2, sharex=True, sharey=True).flat
    for operation, panel in zip(OPERATIONS, panels, strict=False):
        for shape in dict.fromkeys(row.shape for row in found):
            costs = [(row.rules, cost) for row in found if row.shape == shape and (cost := row.costs[operation])]
            points = [(rules, cost.seconds) for rules, cost in costs if cost.is_whole]
            panel.plot(*zip(*points, strict=True) if points else ([], []), marker="o", markersize=3, label=shape)
        panel.set(title=operation, xscale="log", yscale="log", xlabel="rules", ylabel="CPU seconds")
        panel.grid(visible=True, alpha=0.3)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    figure.savefig(file, dpi=80, metadata={"Software": None})


def main() -> None:
    wanted = sys.argv[1:] or list(SHAPES)
    found = [row for shape in wanted for row in rows(shape)]
    if sys.argv[1:]:
        print(table(found))
        return
    (HERE / "RESULTS.md").write_text(document(found))
    plot(found, HERE / "growth.png")


if __name__ == "__main__":
    main()
