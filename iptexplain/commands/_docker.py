"""The option --docker: names for a bare dump."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from iptexplain.commands._io import read
from iptexplain.commands._written import read_written, refuse
from iptexplain.errors import DumpError, UsageError
from iptexplain.explain.words import listed, said
from iptexplain.host.inspect_file import with_docker
from iptexplain.host.snapshot import Snapshot
from iptexplain.host.topology import bridge_name

F = TypeVar("F", bound=Callable[..., Any])
OPTION = "--docker"


def docker_option(function: F) -> F:
    """``--docker``."""
    return click.option(
        OPTION,
        "inspected",
        metavar="FILE",
        help="Read the names of containers and networks from FILE, with what 'docker network inspect' and 'docker inspect' print, "
        "one after the other; a snapshot has them already.",
    )(function)


def read_named(file: str, inspected: str | None, assumed: tuple[str, ...] = ()) -> Snapshot:
    """The snapshot or dump in a file, with the names that the file ``inspected`` has for what is in it."""
    if inspected == file == "-":
        raise UsageError(f"DUMP and {OPTION} cannot both be standard input: name a file for one of them")
    snapshot = read(file, assumed)
    if inspected is None:
        return snapshot
    try:
        named = with_docker(snapshot, read_written(inspected, OPTION), inspected)
    except DumpError as e:
        refuse(e.errors, OPTION)
    _check(named, inspected)
    return named


def _check(named: Snapshot, file: str) -> None:
    """Say where the file does not fit the rules, or not tell enough: the names are then not found."""
    docker = named.facts["docker"]
    bridges = [bridge_name(n) for n in docker.get("networks", []) if n.get("Driver") == "bridge"]
    if bridges and not any(bridge in dump.text for bridge in bridges for dump in named.dumps):
        click.echo(f"note: {file}: the rules name none of its bridges: are they of another host?", err=True)
    known = {network["Name"] for network in docker.get("networks", [])}
    settings = [c.get("NetworkSettings", {}).get("Networks", {}) for c in docker.get("containers", [])]
    unknown = sorted({name for networks in settings for name, s in networks.items() if s.get("IPAddress")} - known)
    if unknown:
        click.echo(
            f"note: {file}: which bridge belongs to {listed(map(said, unknown))}, only 'docker network inspect' tells, "
            "and it is not in there",
            err=True,
        )
