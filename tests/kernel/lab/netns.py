"""Network namespaces without a name: a descriptor of this process holds each, so none outlives the process."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.kernel.lab import LabError
from tests.kernel.namespace import ENVIRONMENT

CLONE_NEWNET = 0x40000000
CURRENT = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


class NetNS:
    """A new network namespace. The thread that makes it stays where it is; ``enter`` and ``run`` go inside."""

    def __init__(self) -> None:
        home = os.open(CURRENT, os.O_RDONLY)
        try:
            _checked(_libc.unshare(CLONE_NEWNET), "unshare")
            self.fd = os.open(CURRENT, os.O_RDONLY)
            _checked(_libc.setns(home, CLONE_NEWNET), "setns")
        finally:
            os.close(home)

    @property
    def path(self) -> str:
        """Where ip finds the namespace."""
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    @contextmanager
    def enter(self) -> Iterator[None]:
        """This thread's sockets and children belong to the namespace as long as the block runs."""
        home = os.open(CURRENT, os.O_RDONLY)
        _checked(_libc.setns(self.fd, CLONE_NEWNET), "setns")
        try:
            yield
        finally:
            _checked(_libc.setns(home, CLONE_NEWNET), "setns")
            os.close(home)

    def attempt(self, argv: Sequence[str], input: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command inside; its exit status is the caller's to check."""
        with self.enter():
            return subprocess.run(argv, input=input, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)

    def run(self, argv: Sequence[str], input: str = "") -> str:
        """What a command prints; raises LabError when it fails."""
        done = self.attempt(argv, input)
        if done.returncode != 0:
            raise LabError(f"{' '.join(argv)} failed ({done.returncode}): {done.stderr.strip()[:2000]}")
        return done.stdout

    def sysctl(self, key: str, value: object) -> None:
        """Set a sysctl, written with dots, or with slashes where an interface's name has dots. One that this kernel lacks is passed over."""
        path = Path("/proc/sys", key if "/" in key else key.replace(".", "/"))
        with self.enter(), suppress(OSError):
            path.write_text(str(value))

    def close(self) -> None:
        os.close(self.fd)
