"""The chains' own names: none is one that Docker would take for its own."""

from __future__ import annotations

import re

from iptexplain.generate.draft import Draft, DraftTable, Entry
from iptexplain.rules.model import Jump

OWN = {
    ("filter", "DOCKER"): "IPTX-PORTS",
    ("filter", "DOCKER-USER"): "IPTX-USER",
    ("filter", "DOCKER-FORWARD"): "IPTX-FORWARD",
    ("filter", "DOCKER-CT"): "IPTX-ANSWERS",
    ("filter", "DOCKER-BRIDGE"): "IPTX-TO-PORTS",
    ("filter", "DOCKER-INTERNAL"): "IPTX-INTERNAL",
    ("filter", "DOCKER-ISOLATION"): "IPTX-APART",
    ("filter", "DOCKER-ISOLATION-STAGE-1"): "IPTX-APART-FROM",
    ("filter", "DOCKER-ISOLATION-STAGE-2"): "IPTX-APART-TO",
    ("filter", "DOCKER-PROXY"): "IPTX-HAIRPIN",
    ("nat", "DOCKER"): "IPTX-DNAT",
}
"""(table, Docker's chain) → ours. What else begins with DOCKER begins with IPTX."""

GATHERED = {
    ("filter", "FORWARD"): "IPTX-FORWARD",
    ("nat", "POSTROUTING"): "IPTX-SNAT",
    ("raw", "PREROUTING"): "IPTX-DIRECT",
    ("mangle", "POSTROUTING"): "IPTX-CHECKSUM",
}
"""(table, base chain) → the chain of ours that takes the rules which Docker writes straight into it."""


def rename(draft: Draft) -> None:
    """Give Docker's chains their own names, everywhere."""
    for table in draft.tables.values():
        names: dict[str, str] = {}
        for name in sorted(table.own):
            wanted = OWN.get((table.name, name), f"IPTX{name.removeprefix('DOCKER').replace('_', '-')}")
            names[name] = _free(table, wanted, names)
        table.chains = {
            names.get(name, name): [_renamed(entry, names) for entry in entries]
            for name, entries in table.chains.items()
        }
        table.own = set(names.values())


def _free(table: DraftTable, wanted: str, taken: dict[str, str]) -> str:
    name = table.free(wanted)
    while name in taken.values():
        name = table.free(f"{name}-2")
    return name


def _renamed(entry: Entry, names: dict[str, str]) -> Entry:
    rule = entry.rule._replace(chain=names.get(entry.rule.chain, entry.rule.chain))
    if isinstance(rule.target, Jump) and rule.target.chain in names:
        rule = rule._replace(target=Jump(names[rule.target.chain], rule.target.goto))
    return entry._replace(rule=rule)


def own_name(prefix: str, bridge: str) -> str:
    """A chain's name with a bridge in it, of characters that need no quotes anywhere."""
    return f"{prefix}-{re.sub('[^A-Za-z0-9_.-]', '_', bridge)}"


def gather(draft: Draft, by_bridge: bool) -> None:
    """Move each run of rules that Docker wrote straight into a base chain to a chain of ours, and jump there;
    ``by_bridge``: with a chain for each bridge in FORWARD."""
    for (table_name, base), wanted in GATHERED.items():
        table = draft.tables.get(table_name)
        if table is None or base not in table.policies:
            continue
        kept: list[Entry] = []
        for own, run in _runs(table.chains[base]):
            if not own or len(run) < 2:
                kept += run
                continue
            chain = table.add_chain(wanted, _by_bridge(draft, table, run) if base == "FORWARD" and by_bridge else run)
            kept.append(draft.entry(table_name, f"{base} -j {chain}", "jump-gathered"))
        table.chains[base] = kept


STAYING = ("jump-user",)
"""What is asked before all of ours stays in the base chain."""


def _runs(entries: list[Entry]) -> list[tuple[bool, list[Entry]]]:
    """The rules in their order, as runs of such that are to be moved and such that are not."""
    runs: list[tuple[bool, list[Entry]]] = []
    for entry in entries:
        own = entry.own and entry.reason.name not in STAYING
        if not runs or runs[-1][0] is not own:
            runs.append((own, []))
        runs[-1][1].append(entry)
    return runs


def _by_bridge(draft: Draft, table: DraftTable, run: list[Entry]) -> list[Entry]:
    """A run with the rules of one bridge that follow each other in a chain of their own."""
    found: list[Entry] = []
    at = 0
    while at < len(run):
        bridge = _house(run[at])
        end = at + 1
        while end < len(run) and bridge and _house(run[end]) == bridge:
            end += 1
        if end - at > 1:
            chain = table.add_chain(own_name("IPTX-NET", str(bridge)), run[at:end])
            found.append(draft.entry("filter", f"FORWARD -j {chain}", "jump-network", bridge=bridge))
        else:
            found.append(run[at])
        at = end
    return found


def _house(entry: Entry) -> str | None:
    """The bridge in whose chain a rule may stand; what concerns several networks has none."""
    return None if entry.reason.name.startswith("proxied") else entry.bridge


def prune(draft: Draft) -> None:
    """Leave out chains of ours that nothing leads to and that hold no rule of the source's, and a RETURN at a chain's end, which
    says nothing."""
    for table in draft.tables.values():
        for name in table.own:
            entries = table.chains[name]
            while entries and entries[-1].own and _is_end(entries[-1]):
                entries.pop()
        kept = [name for name, entries in table.chains.items() if any(not e.own for e in entries)]
        for name in [n for n in table.chains if n in table.own - table.reached(*kept)]:
            del table.chains[name]
            table.own.discard(name)


def _is_end(entry: Entry) -> bool:
    return entry.reason.name in ("user-end", "isolation-end", "isolation-end-old", "ingress-end", "overlay-end")
