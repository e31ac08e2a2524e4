"""The examples in README.md and in the manual, run as they stand in a folder with the recording of a Docker host."""

import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
RECORDING = ROOT / "fixtures/docker/20.10/two-networks"
WIDTH = 96


def arguments(line: str) -> list[str] | None:
    """What follows ``iptexplain`` in a line, up to a pipe or a redirection; None when the line calls something else."""
    words = shlex.split(line)
    end = next((i for i, word in enumerate(words) if word in ("|", ">", "<", "&&")), len(words))
    return words[1:end] if words[:1] == ["iptexplain"] else None


def shown(words: list[str]) -> tuple[int, str]:
    """The exit status, and what a terminal of WIDTH columns shows."""
    terminal = {"COLUMNS": str(WIDTH), "TERM": "dumb", "PYTHONIOENCODING": "utf-8"}
    master, slave = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "iptexplain", *words],
        cwd=RECORDING,
        env=os.environ | terminal | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=slave,
        stderr=subprocess.STDOUT,
    )
    os.close(slave)
    pieces = []
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(master)
    return running.wait(), b"".join(pieces).decode().replace("\r\n", "\n")
