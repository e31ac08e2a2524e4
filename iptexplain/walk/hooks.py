"""The order in which the kernel asks the tables, as data (netfilter's hook priorities, nf_tables and legacy)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from iptexplain.rules.answer import Backend

CONNTRACK = "conntrack"
"""Not a table: here the packet is looked up among the known connections."""

HOOKS: dict[str, tuple[str, ...]] = {
    "PREROUTING": ("raw", CONNTRACK, "mangle", "nat"),
    "INPUT": ("mangle", "filter", "security", "nat"),
    "FORWARD": ("mangle", "filter", "security"),
    "OUTPUT": ("raw", CONNTRACK, "mangle", "nat", "filter", "security"),
    "POSTROUTING": ("mangle", "nat"),
}

MANIP = {"PREROUTING": "dst", "OUTPUT": "dst", "INPUT": "src", "POSTROUTING": "src"}
"""Which end of the packet the nat table rewrites at a hook."""


def asked_at(hook: str, backends: Sequence[Backend]) -> Iterator[tuple[str, tuple[Backend, ...]]]:
    """The tables of a hook in order, each with the backends whose table of that name is asked there: tables of one priority
    follow each other, in nat until one has rewritten the packet. iptables-nft registers security's INPUT chain after nat's
    (150 and 100)."""
    late = (Backend.NFT,) if hook == "INPUT" and Backend.NFT in backends else ()
    for table in HOOKS[hook]:
        yield table, tuple(b for b in backends if table != "security" or b not in late)
    if late:
        yield "security", late
