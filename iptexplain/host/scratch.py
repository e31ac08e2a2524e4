"""A network namespace that is thrown away at once: does this kernel take these rules? The host's own rules are not touched."""

from __future__ import annotations

import os
import re
import subprocess
from typing import NamedTuple

from iptexplain.errors import UsageError
from iptexplain.host.programs import PATH, TIMEOUT, is_installed
from iptexplain.rules.answer import Backend
from iptexplain.rules.values import Family

INSIDE = 'mount -t tmpfs tmpfs /run && if [ -n "$SETS" ]; then printf "%s\\n" "$SETS" | ipset -exist restore; fi && exec "$@"'
"""/run is where iptables-legacy keeps the lock of all namespaces."""

LINE = re.compile(r"\bline:? (\d+)")
"""How both iptables-restore name the line that they refuse."""


class Refusal(NamedTuple):
    """What iptables-restore said, and the line that it is about (0: it names none)."""

    said: str
    line: int


def program(family: Family, backend: Backend) -> str:
    return f"ip{'6' if family == 6 else ''}tables-{'nft' if backend is Backend.NFT else 'legacy'}-restore"


def is_there(family: Family, backend: Backend) -> bool:
    return is_installed(program(family, backend))


def load(text: str, family: Family, backend: Backend, sets: str = "") -> Refusal | None:
    """Load a restore file in a namespace of its own; what was refused, or None. ``sets``: IP sets, as ``ipset save`` prints them.

    Raises UsageError where no namespace can be made.
    """
    refused = _load(text, family, backend, sets)
    if refused is None:
        return None
    lines = text.split("\n")
    number = int(found[1]) if (found := LINE.search(refused)) else 0
    if 0 < number <= len(lines) and lines[number - 1].strip() == "COMMIT":
        number = _culprit(lines, number, family, backend, sets)
    return Refusal(next(filter(str.strip, refused.splitlines())), number)


def _culprit(lines: list[str], commit: int, family: Family, backend: Backend, sets: str) -> int:
    """The rule for which a whole table was refused: the last of the fewest first rules that are refused (iptables-legacy names
    the line with COMMIT alone)."""
    start = max(n for n, line in enumerate(lines[:commit]) if line.startswith("*"))
    rules = [n for n in range(start, commit) if lines[n].startswith("-")]
    low, high = 0, len(rules)
    while low < high:
        middle = (low + high) // 2
        left_out = set(rules[middle + 1 :])
        part = "\n".join(line for n, line in enumerate(lines[start:commit], start) if n not in left_out) + "\n"
        if _load(part, family, backend, sets) is None:
            low = middle + 1
        else:
            high = middle
    return rules[low] + 1 if low < len(rules) else commit


def _load(text: str, family: Family, backend: Backend, sets: str) -> str | None:
    """What iptables-restore says when it fails."""
    argv = ["unshare", "--net", "--mount", "sh", "-c", INSIDE, "sh", program(family, backend)]
    environment = {**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8", "SETS": sets.strip()}
    try:
        done = subprocess.run(
            argv, env=environment, input=text.encode("utf-8", "surrogateescape"), capture_output=True, timeout=TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise UsageError(f"the rules cannot be tried: {e}") from None
    said = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode and said.startswith("unshare:"):
        raise UsageError(
            f"the rules cannot be tried, because no network namespace can be made ({said}): run this as root"
        )
    return (said or "no reason was given") if done.returncode else None
