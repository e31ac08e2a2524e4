"""What rules are generated from: a dump or a snapshot with Docker's rules, or Docker's inspect JSON or a compose file, which have none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from iptexplain.errors import DumpError, ParseError, UsageError
from iptexplain.explain.expectations import DUMP
from iptexplain.explain.situation import Situation
from iptexplain.explain.words import said
from iptexplain.generate.compose.facts import inspected
from iptexplain.generate.compose.project import SUFFIXES, Project, is_compose, read_project
from iptexplain.generate.compose.wishes import has_wishes, wishes_of
from iptexplain.generate.engine import VERSION, dump_of
from iptexplain.generate.together import meant, together
from iptexplain.generate.wanted import wanted
from iptexplain.generate.wish import Wish
from iptexplain.host.inspect_file import read_inspected
from iptexplain.host.snapshot import FAMILIES, Snapshot, read_snapshot
from iptexplain.rules.parse import parse
from iptexplain.rules.values import Family

RULES = ("iptables", "ip6tables", "schema")
"""The keys that tell a snapshot from inspect JSON."""
TRIED = "; it is no snapshot and no inspect JSON either, which begin with { or [, and no compose file, which has the key 'services' on top"


class Source(NamedTuple):
    """``engine``: the engine whose rules were made up for it, None where it has rules; ``notes``: what was taken for granted;
    ``wishes``: what a compose file asks for under x-iptexplain."""

    snapshot: Snapshot
    engine: str | None = None
    notes: tuple[str, ...] = ()
    wishes: Mapping[Family, Wish] = MappingProxyType({})


def read_source(text: str, file: str, folder: str = "", given: Mapping[str, str] | None = None) -> Source:
    """Told apart by content. ``folder`` and ``given`` are for a compose file (compose/project.py).

    Raises DumpError for what cannot be read, UsageError for what rules cannot stand for.
    """
    if is_compose(text) or (file.endswith(SUFFIXES) and not DUMP.search(text)):
        return _composed(read_project(text, file, folder, given or {}), file)
    if not _is_inspected(text):
        return Source(_snapshot(text, file))
    docker = read_inspected(text, file)
    if not any(n.get("Driver") == "bridge" for n in docker["networks"]):
        raise UsageError(
            f"{said(file)}: there is no bridge network in it: 'docker network inspect $(docker network ls -q)' prints them"
        )
    try:
        snapshot, notes = _made_up(docker, file)
    except UsageError as e:
        raise UsageError(f"{said(file)}: {e.message}") from None
    return Source(snapshot, VERSION, notes)


def _made_up(docker: dict[str, Any], file: str) -> tuple[Snapshot, tuple[str, ...]]:
    """The rules that an engine would write, and what was taken for granted for them."""
    found = [wanted(docker, family) for family in FAMILIES]
    dumps = [parse(dump_of(w), f"{file}[IPv{w.family}]") for w in found if w.networks]
    return Snapshot(tuple(dumps), {"docker": docker}), tuple(dict.fromkeys(note for w in found for note in w.notes))


def _composed(project: Project, file: str) -> Source:
    """The rules of an engine, and what the file wishes for beside them."""
    docker = inspected(project)
    if project.written.errors:
        raise DumpError(project.written.errors)
    snapshot, notes = _made_up(docker, file)
    wishes = _wishes(project, snapshot) if has_wishes(project) else {}
    return Source(snapshot, VERSION, (*project.assumed(), *notes), wishes)


def _wishes(project: Project, snapshot: Snapshot) -> dict[Family, Wish]:
    situations = [Situation(snapshot, family) for family in snapshot.families]
    found = meant(wishes_of(project, situations), situations, project.written)
    wishes = {situation.family: together(situation, here, project.written) for situation, here in found}
    if project.written.errors:
        raise DumpError(project.written.errors)
    return wishes


def _snapshot(text: str, file: str) -> Snapshot:
    try:
        return read_snapshot(text, file)
    except DumpError as e:
        first = e.errors[0]
        start = text.lstrip("\ufeff \t\r\n")[:1]
        if DUMP.search(text) or start in ("{", "") or not first.location:
            raise
        raise DumpError([ParseError(first.message + TRIED, first.location, first.text), *e.errors[1:]]) from None


def _is_inspected(text: str) -> bool:
    start = text.lstrip("\ufeff \t\r\n")[:1]
    if start != "{":
        return start == "["
    try:
        return not any(key in json.loads(text) for key in RULES)
    except (ValueError, RecursionError):
        return '"iptables"' not in text and '"ip6tables"' not in text
