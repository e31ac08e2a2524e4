"""What terminal, environment and locale change of an answer: headings in bold, lines wrapped, signs in ASCII; nothing else."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import ROOT

BOLD = "\x1b[1m"
ASKED = (
    "trace",
    str(ROOT / "fixtures/docker/20.10/two-networks/rules.v4"),
    "--from",
    "172.17.0.2",
    "--to",
    "172.18.0.2:80",
)
CLEAN = {
    name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM", "COLUMNS", "LC_ALL", "LANG")
}


def started(words: tuple[str, ...], stdout: int, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "iptexplain", *words]
    return subprocess.Popen(argv, cwd=ROOT, env=CLEAN | environment, stdin=subprocess.DEVNULL, stdout=stdout)


def on_a_terminal(*words: str, **environment: str) -> str:
    near, far = pty.openpty()
    with started(words, far, {"TERM": "xterm", "COLUMNS": "80"} | environment) as process:
        os.close(far)
        found = b""
        while part := _read(near):
            found += part
        assert process.wait() == 0
    os.close(near)
    return found.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # nobody writes any more
        return b""


def into_a_pipe(*words: str, **environment: str) -> bytes:
    with started(words, subprocess.PIPE, environment) as process:
        found, _ = process.communicate()
    assert process.returncode == 0
    return found


@pytest.mark.parametrize(
    ("options", "environment", "bold"),
    [
        ((), {}, True),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"NO_COLOR": ""}, True),
        ((), {"TERM": "dumb"}, False),
        (("--color", "never"), {}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
    ],
)
def test_headings_on_a_terminal(options: tuple[str, ...], environment: dict[str, Any], bold: bool) -> None:
    shown = on_a_terminal(*ASKED, *options, **environment)
    assert (BOLD in shown) is bold


@pytest.mark.parametrize(("columns", "width"), [("60", 60), ("80", 80), ("300", 110)])
def test_text_is_wrapped_on_a_terminal(columns: str, width: int) -> None:
    """Paragraphs are; a heading is a line of its own."""
    _, *paragraphs = on_a_terminal(*ASKED, NO_COLOR="1", COLUMNS=columns).splitlines()
    assert width - 20 < max(map(len, paragraphs)) <= width
    assert max(map(len, into_a_pipe(*ASKED, COLUMNS=columns).decode().splitlines())) > 110


def test_no_bold_in_a_pipe() -> None:
    plain = into_a_pipe(*ASKED)
    assert BOLD.encode() not in plain
    assert BOLD.encode() in into_a_pipe(*ASKED, "--color", "always")
    assert (
        on_a_terminal(*ASKED, COLUMNS="200").replace(BOLD, "").replace("\x1b[0m", "").split() == plain.decode().split()
    )


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8", "nonsense"])
def test_the_locale_changes_nothing(locale: str) -> None:
    assert into_a_pipe(*ASKED, LC_ALL=locale) == into_a_pipe(*ASKED)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_is_not_utf8_gets_ascii(encoding: str) -> None:
    shown, full = into_a_pipe(*ASKED, PYTHONIOENCODING=encoding), into_a_pipe(*ASKED)
    assert shown.isascii() and not full.isascii()
    assert b"->" in shown and "→".encode() in full
