"""The laboratory's own chains at each hook, which make the kernel trace and show a packet before and after all rules.

Nothing is put into the tables of the dump, so the numbers of its rules are what iptables would list.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.kernel.lab.netns import NetNS
from tests.kernel.lab.visits import OWN_TABLE

AFTER_CONFIRM = 2147483647
"""The priority of conntrack's last hook (INT_MAX)."""
DELIVERED = "in_last"
"""Drops what INPUT has let pass: the host's own stack would answer with a reset or port-unreachable, and change the
connection. It stands behind conntrack's confirmation, because it is registered before it at the same priority."""
TRACKED = ("pre_ct", "out_ct")
"""Right behind conntrack."""
SENT = "post_end"
MADE_HERE = "out_start"

CHAINS = (
    (DELIVERED, "input", AFTER_CONFIRM, "policy drop;"),
    ("pre_start", "prerouting", -399, "meta nftrace set 1;"),
    ("pre_ct", "prerouting", -190, ""),
    ("pre_end", "prerouting", 1000, ""),
    ("in_start", "input", -399, ""),
    ("fwd_start", "forward", -399, ""),
    ("fwd_end", "forward", 1000, ""),
    (MADE_HERE, "output", -399, "meta nftrace set 1;"),
    ("out_ct", "output", -190, ""),
    ("out_end", "output", 1000, ""),
    ("post_start", "postrouting", -399, ""),
    (SENT, "postrouting", 1000, ""),
)
HOOKS = {"pre": "PREROUTING", "in": "INPUT", "fwd": "FORWARD", "out": "OUTPUT", "post": "POSTROUTING"}


def hook_of(checkpoint: str) -> str:
    return HOOKS[checkpoint.split("_")[0]]


def load(namespace: NetNS, families: Iterable[int]) -> None:
    """Put the checkpoints in; then have conntrack, which a rule asks for, register its hooks behind the last one."""
    tables = [f"{'ip6' if family == 6 else 'ip'} {OWN_TABLE}" for family in families]
    chains = "".join(
        f"  chain {name} {{ type filter hook {hook} priority {priority}; {does} }}\n"
        for name, hook, priority, does in CHAINS
    )
    namespace.run(["nft", "-f", "-"], "".join(f"table {table} {{\n{chains}}}\n" for table in tables))
    conntrack = "".join(f"table {table} {{\n  chain conntrack {{ ct state new; }}\n}}\n" for table in tables)
    namespace.run(["nft", "-f", "-"], conntrack)
