"""The one place where programs of the live host are run, and what may be asked without changing anything there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TIMEOUT = 60
"""Seconds after which a program is given up; a few thousand rules or containers take less than one."""

PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
"""Where programs are looked for: a plain user's PATH, and root's after su, lacks the folders in which iptables lies."""


class Unread(Exception):
    """What could not be read, and why; ``printed``: what the program gave before it failed."""

    def __init__(self, why: str, printed: str = "") -> None:
        super().__init__(why)
        self.why, self.printed = why, printed


class NotInstalled(Unread):
    """There is no such program."""


def is_installed(name: str) -> bool:
    return shutil.which(name, path=PATH) is not None


def output(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """What a program prints; raises Unread when it is not there, fails, or gives no answer within TIMEOUT."""
    found = shutil.which(argv[0], path=PATH)
    if found is None:
        raise NotInstalled(f"{argv[0]} is not installed")
    try:
        done = subprocess.run(
            [found, *argv[1:]],
            env={**os.environ, "PATH": PATH, "LC_ALL": "C", **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise Unread(f"{argv[0]} gave no answer within {TIMEOUT} seconds") from None
    except OSError as e:
        raise Unread(f"{argv[0]} does not run: {e.strerror or e}") from None
    if done.returncode:
        complaint = next(filter(str.strip, done.stderr.splitlines()), f"status {done.returncode}").strip()
        raise Unread(complaint if complaint.startswith(argv[0]) else f"{argv[0]}: {complaint}", done.stdout)
    return done.stdout


def listed(argv: Sequence[str]) -> list[Any]:
    """The list that a program prints as JSON; some print nothing where they have nothing to list."""
    return as_list(output(argv) or "[]", argv[0])


def as_list(text: str, source: str) -> list[Any]:
    """A list from JSON; raises Unread when it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise Unread(f"what {source} answers is no list in JSON: is it too old?")
    return found


def has_module(name: str, proc: Path = Path("/proc"), modules: Path = Path("/lib/modules")) -> bool:
    """Whether the kernel has a module, loaded or built in: to ask one that it has not would load it.

    A kernel without /proc/modules loads none, so it may be asked anything. Raises Unread where a built-in module cannot be told
    from a missing one (in a container without the host's /lib/modules).
    """
    loaded = proc / "modules"
    if not loaded.exists() or re.search(rf"^{name} ", loaded.read_text(), re.MULTILINE):
        return True
    builtin = modules / os.uname().release / "modules.builtin"
    try:
        return f"/{name}.ko" in builtin.read_text()
    except OSError:
        raise Unread(f"whether the kernel has {name} cannot be told without {builtin}") from None
