"""The rules of the live host: those of both backends of iptables, and which others there are beside them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from iptexplain.host.kernel import read_legacy
from iptexplain.host.programs import NotInstalled, Unread, has_module, is_installed, output
from iptexplain.rules.answer import Backend
from iptexplain.rules.values import Family

SUFFIX = {Backend.NFT: "nft", Backend.LEGACY: "legacy"}
NFT_FAMILY: dict[Family, str] = {4: "ip", 6: "ip6"}
TABLES = re.compile(r"^\*(\w+)", re.MULTILINE)
INCOMPATIBLE = re.compile(r"^# .*[Tt]able `(\S+)' is incompatible", re.MULTILINE)


class Space(NamedTuple):
    """A network namespace: the words before a command that is to run in it, and its /proc/net."""

    enter: tuple[str, ...] = ()
    net: Path = Path("/proc/net")


HERE = Space()


def saved(space: Space, family: Family, backend: Backend) -> str:
    """What iptables-save prints of one backend, "" where the kernel has no table of it; raises Unread."""
    return _nft(space, family) if backend is Backend.NFT else _legacy(space, family)


def _nft(space: Space, family: Family) -> str:
    if not has_module("nf_tables"):
        return ""
    text = output((*space.enter, program(family, Backend.NFT)))
    if TABLES.search(text):
        return text
    written = INCOMPATIBLE.findall(text)
    if written:
        raise Unread(f"iptables-nft-save does not print tables that nft wrote, such as {written[0]}")
    return ""


def _legacy(space: Space, family: Family) -> str:
    """iptables-legacy-save makes the tables that it is asked for, so it is asked only where the kernel lists some."""
    names = space.net / f"{NFT_FAMILY[family]}_tables_names"
    try:
        tables = names.read_text().split()
    except FileNotFoundError:
        return ""  # the module is not loaded
    except OSError as e:
        raise Unread(f"{names}: {e.strerror}") from None
    if not tables:
        return ""
    try:
        return output((*space.enter, program(family, Backend.LEGACY)))
    except NotInstalled:
        if space.enter:
            raise
        return read_legacy(family, tables)


def program(family: Family, backend: Backend) -> str:
    """The iptables-save of a backend: by its own name, or the plain one where that is it; raises NotInstalled."""
    plain = f"{NFT_FAMILY[family]}tables"
    own = f"{plain}-{SUFFIX[backend]}-save"
    if is_installed(own):
        return own
    # iptables tells its version since long before iptables-save does; before 1.8 there was one backend.
    if is_installed(plain) and ("nf_tables" in output((plain, "--version"))) is (backend is Backend.NFT):
        return f"{plain}-save"
    raise NotInstalled(f"{own} is not installed")


def foreign_tables(own: Mapping[Family, Iterable[str]]) -> list[str]:
    """The nft tables that are none of iptables', such as ``inet firewalld``; ``own``: those that iptables-nft-save printed.

    Raises Unread where nft cannot tell.
    """
    if not has_module("nf_tables"):
        return []
    known = {f"{NFT_FAMILY[family]} {table}" for family, tables in own.items() for table in tables}
    listed = (line.removeprefix("table ").strip() for line in output(("nft", "list", "tables")).splitlines())
    return [table for table in listed if table not in known and not table.startswith("arp ")]
