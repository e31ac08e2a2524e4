"""What rules are generated from: a dump or a snapshot with Docker's rules, or Docker's inspect JSON, which has none."""

from __future__ import annotations

import json
from typing import NamedTuple

from iptexplain.errors import UsageError
from iptexplain.explain.words import said
from iptexplain.generate.engine import VERSION, dump_of
from iptexplain.generate.wanted import wanted
from iptexplain.host.inspect_file import read_inspected
from iptexplain.host.snapshot import FAMILIES, Snapshot, read_snapshot
from iptexplain.rules.parse import parse

RULES = ("iptables", "ip6tables", "schema")
"""The keys that tell a snapshot from inspect JSON."""


class Source(NamedTuple):
    """``engine``: the engine whose rules were made up for it, None where it has rules; ``notes``: what was taken for granted."""

    snapshot: Snapshot
    engine: str | None = None
    notes: tuple[str, ...] = ()


def read_source(text: str, file: str) -> Source:
    """Told apart by content. Raises DumpError for what cannot be read, UsageError for what rules cannot stand for."""
    if not _is_inspected(text):
        return Source(read_snapshot(text, file))
    docker = read_inspected(text, file)
    if not any(n.get("Driver") == "bridge" for n in docker["networks"]):
        raise UsageError(
            f"{said(file)}: there is no bridge network in it: 'docker network inspect $(docker network ls -q)' prints them"
        )
    try:
        found = [wanted(docker, family) for family in FAMILIES]
    except UsageError as e:
        raise UsageError(f"{said(file)}: {e.message}") from None
    dumps = [parse(dump_of(w), f"{file}[IPv{w.family}]") for w in found if w.networks]
    notes = dict.fromkeys(note for w in found for note in w.notes)
    return Source(Snapshot(tuple(dumps), {"docker": docker}), VERSION, tuple(notes))


def _is_inspected(text: str) -> bool:
    start = text.lstrip("\ufeff \t\r\n")[:1]
    if start != "{":
        return start == "["
    try:
        return not any(key in json.loads(text) for key in RULES)
    except json.JSONDecodeError:
        return '"iptables"' not in text and '"ip6tables"' not in text
