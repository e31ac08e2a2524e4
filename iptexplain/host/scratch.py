"""A network namespace that is thrown away at once: does this kernel take these rules? The host's own rules are not touched."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from iptexplain.errors import UsageError
from iptexplain.host.programs import PATH, TIMEOUT, is_installed
from iptexplain.rules.answer import Backend
from iptexplain.rules.values import Family

INSIDE = 'mount -t tmpfs tmpfs /run && if [ -n "$SETS" ]; then printf "%s\\n" "$SETS" | ipset -exist restore; fi && exec "$@"'
"""/run is where iptables-legacy keeps the lock of all namespaces."""

LINE = re.compile(r"\bline:? (\d+)")
"""How both iptables-restore name the line that they refuse."""

PYTHON = "python-iptables"


class Refusal(NamedTuple):
    """What was said, and the line that it is about (0: it names none)."""

    said: str
    line: int


class Tried(NamedTuple):
    """``refusal``: why the kernel, or the program, does not take the rules; ``unwritten``: the rules that the program cannot write,
    and without which it loaded the others."""

    refusal: Refusal | None
    unwritten: tuple[Refusal, ...] = ()


class Loader(NamedTuple):
    """A program that loads rules, and the backend into which it does."""

    program: str
    backend: Backend
    family: Family

    @property
    def is_there(self) -> bool:
        if self.program == PYTHON:
            return importlib.util.find_spec("iptc") is not None
        return is_installed(self.program)

    def load(self, text: str, sets: str = "") -> Tried:
        """Load a restore file in a namespace of its own. ``sets``: IP sets, as ``ipset save`` prints them.

        Raises UsageError where no namespace can be made.
        """
        tried = self._try(text, sets)
        lines = text.split("\n")
        number = tried.refusal.line if tried.refusal else 0
        if tried.refusal is None or not 0 < number <= len(lines) or lines[number - 1].strip() != "COMMIT":
            return tried
        line = _culprit(lines, number, lambda part: self._try(part, sets).refusal is None)
        said = f"{tried.refusal.said}. It means the whole table; without this rule and those behind it, the kernel takes it"
        return tried._replace(refusal=Refusal(said, line) if line != number else tried.refusal)

    def _try(self, text: str, sets: str) -> Tried:
        if self.program != PYTHON:
            done = _run([self.program], text, sets)
            return Tried(_refusal(done) if done.returncode else None)
        done = _run([sys.executable, "-m", "iptexplain.host.kernel_load", str(self.family)], text, sets)
        if done.returncode:
            return Tried(Refusal(f"{PYTHON} breaks off: {_first(done) or f'status {done.returncode}'}", 0))
        unwritten, refused = json.loads(done.stdout)
        return Tried(
            Refusal(refused[1], refused[0]) if refused else None, tuple(Refusal(why, line) for line, why in unwritten)
        )


def loaders(family: Family) -> list[Loader]:
    """All programs that may load rules, whether they are there or not."""
    name = "ip6tables" if family == 6 else "iptables"
    return [
        Loader(f"{name}-nft-restore", Backend.NFT, family),
        Loader(f"{name}-legacy-restore", Backend.LEGACY, family),
        Loader(PYTHON, Backend.LEGACY, family),
    ]


def _refusal(done: subprocess.CompletedProcess[bytes]) -> Refusal:
    found = LINE.search(done.stderr.decode("utf-8", "replace"))
    return Refusal(_first(done) or "no reason was given", int(found[1]) if found else 0)


def _first(done: subprocess.CompletedProcess[bytes]) -> str:
    """The first line that says something."""
    return next(filter(str.strip, done.stderr.decode("utf-8", "replace").splitlines()), "").strip()


def _culprit(lines: Sequence[str], commit: int, loads: Callable[[str], bool]) -> int:
    """The rule for which a whole table was refused: the last of the fewest first rules that are refused (iptables-legacy and
    python-iptables name the line with COMMIT alone)."""
    start = max(n for n, line in enumerate(lines[:commit]) if line.startswith("*"))
    rules = [n for n in range(start, commit) if lines[n].startswith("-")]
    low, high = 0, len(rules)
    while low < high:
        middle = (low + high) // 2
        left_out = set(rules[middle + 1 :])
        part = "\n".join(line for n, line in enumerate(lines[start:commit], start) if n not in left_out) + "\n"
        if loads(part):
            low = middle + 1
        else:
            high = middle
    return rules[low] + 1 if low < len(rules) else commit


def _run(program: Sequence[str], text: str, sets: str) -> subprocess.CompletedProcess[bytes]:
    argv = ["unshare", "--net", "--mount", "sh", "-c", INSIDE, "sh", *program]
    modules = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8", "SETS": sets.strip(), "PYTHONPATH": modules}
    try:
        done = subprocess.run(
            argv, env=environment, input=text.encode("utf-8", "surrogateescape"), capture_output=True, timeout=TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise UsageError(f"the rules cannot be tried: {e}") from None
    if done.returncode and _first(done).startswith("unshare:"):
        said = _first(done)
        raise UsageError(
            f"the rules cannot be tried, because no network namespace can be made ({said}): run this as root"
        )
    return done
