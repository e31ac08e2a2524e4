"""Network namespaces to try rules in. Nothing done in one reaches the host, and nothing is left of it afterwards."""

import os
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Self

Command = Sequence[str | Path]

# A plain user's PATH, and root's after su, lacks the folders in which iptables lies.
ENVIRONMENT = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"}


class Namespace:
    """A network namespace for as long as the `with` block runs.

    It has a /run of its own too, because iptables-legacy keeps one lock for all namespaces there, and a process
    namespace, so that programs left running end with it. Its first process reads from a pipe that this process
    holds: however this process ends, the pipe closes and the namespace goes.
    """

    def __enter__(self) -> Self:
        unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self._holder = subprocess.Popen(
            [*unshare, "sh", "-c", "mount -t tmpfs tmpfs /run && echo ready && exec cat"],
            env=ENVIRONMENT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._holder.stdout and self._holder.stderr
        if self._holder.stdout.readline() != "ready\n":
            reason = self._holder.stderr.read().strip()
            self.close()
            raise OSError(f"no network namespace: {reason}")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._holder.kill()
        self._holder.communicate()

    def run(self, argv: Command, input: str | None = None, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a command inside and wait for it; its exit status is the caller's to check."""
        process = f"/proc/{self._holder.pid}/ns"
        enter = ["nsenter", f"--net={process}/net", f"--mount={process}/mnt", f"--pid={process}/pid_for_children"]
        return subprocess.run(
            [*enter, f"--wd={Path.cwd()}", "--", *argv],
            env=ENVIRONMENT,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
        )


def run_in_namespace(argv: Command, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command in a namespace made for it alone."""
    with Namespace() as namespace:
        return namespace.run(argv, input=stdin)


@cache
def why_not() -> str | None:
    """Why kernel tests cannot run here, found out by trying; None when they can."""
    if os.geteuid() != 0:
        return "not root"
    rules = "*filter\n-A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n"
    try:
        for restore in "iptables-nft-restore", "iptables-legacy-restore":
            done = run_in_namespace([restore], stdin=rules)
            if done.returncode != 0:
                return f"{restore} fails in a network namespace: {done.stderr.strip()}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None
