"""What of two snapshots is held against each other: the IPv4 rules and the IPv6 rules, of each backend by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from iptexplain.host.snapshot import FAMILIES, Snapshot
from iptexplain.host.topology import Assumption
from iptexplain.rules.model import Dump, Ruleset
from iptexplain.rules.values import Family

Half = tuple[Dump, Ruleset]


class Pair(NamedTuple):
    """Two rulesets of one family with their dumps, and what is taken for granted where one of them was not given."""

    old: Half
    new: Half
    assumptions: tuple[Assumption, ...] = ()


def pairs(old: Snapshot, new: Snapshot) -> Iterator[Pair]:
    """The rulesets that belong together: of one family, and where several backends hold rules, of one backend. One that
    stands on one side only is compared with no rules at all."""
    for family in FAMILIES:
        theirs, ours = ([half for half in side.halves() if half[1].family == family] for side in (old, new))
        if len(theirs) == len(ours) == 1:
            yield Pair(theirs[0], ours[0])
            continue
        backends = dict.fromkeys(ruleset.backend for _, ruleset in (*theirs, *ours))
        for backend in backends:
            was, now = (next((h for h in side if h[1].backend is backend), None) for side in (theirs, ours))
            if was and now:
                yield Pair(was, now)
            elif now:
                yield Pair(_empty(old, now[1]), now, (_missing("old", family, backend.value, len(backends)),))
            elif was:
                yield Pair(was, _empty(new, was[1]), (_missing("new", family, backend.value, len(backends)),))


def _empty(snapshot: Snapshot, like: Ruleset) -> Half:
    dump = snapshot.dumps[0]
    return dump, like._replace(file=dump.file, tables={})


def _missing(side: str, family: Family, backend: str, backends: int) -> Assumption:
    return Assumption("no_rules", {"side": side, "family": family, "backend": backend if backends > 1 else None})
