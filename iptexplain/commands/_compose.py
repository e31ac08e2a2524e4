"""What commands that read a compose file share: the files that set its variables, and the name of its folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

import click

from iptexplain.commands._written import read_written
from iptexplain.errors import UsageError
from iptexplain.generate.compose.variables import read_variables

F = TypeVar("F", bound=Callable[..., Any])
OPTION = "--env-file"


class Surroundings(NamedTuple):
    """``inputs``: name and SHA-256 of the files that were read."""

    folder: str
    variables: dict[str, str]
    inputs: tuple[tuple[str, str], ...]


def env_file_option(function: F) -> F:
    """``--env-file``."""
    return click.option(
        OPTION, "env_files", multiple=True, metavar="FILE",
        help="The variables of a compose file, one NAME=VALUE a line, such as .env; of several files the last that sets one counts. The "
        "environment does not.",
    )(function)  # fmt: skip


def surroundings(file: str, env_files: Sequence[str]) -> Surroundings:
    """What a compose file depends on beside itself."""
    if "-" in env_files:
        raise UsageError(f"{OPTION} - would be standard input: name a file")
    variables: dict[str, str] = {}
    inputs = []
    for name in env_files:
        text = read_written(name, OPTION)
        variables = read_variables(text, variables)
        inputs.append((name, digest(text)))
    folder = "" if file == "-" else os.path.basename(os.path.dirname(os.path.abspath(file)))
    return Surroundings(folder, variables, tuple(inputs))


def digest(text: str) -> str:
    """The SHA-256 of a file's text."""
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
