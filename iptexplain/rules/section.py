"""The tables of a dump before they are read: which table, which family, which backend."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from iptexplain.rules.answer import Backend
from iptexplain.rules.model import BASE_CHAINS, Generated
from iptexplain.rules.values import Family

HOOK_ORDER = BASE_CHAINS["mangle"]
_BEFORE_NFT = ("0", "1.0", "1.2", "1.3", "1.4", "1.6")
_ONLY_6 = re.compile(
    r"-m (icmp6|ipv6header|hl|frag|rt|eui64|mh|hbh|dst)\b|-p (ipv6-icmp|icmpv6)|--reject-with (icmp6|adm-prohib)"
)
_ONLY_4 = re.compile(r" -m (icmp|ttl|realm)\b|-p icmp\b|--reject-with icmp-|--to-(?:source|destination) \d+\.\d")
_ADDRESS = re.compile(r" (?:-s|-d|--source|--destination|--src|--dst) (?:! )?([0-9a-fA-F:.]+)")


class Section:
    """The lines of one table with their numbers. ``listed``: they come from ``iptables -S``, which names no table.

    ``hint``, ``hinted_family`` and ``hinted_backend`` are what the command in the prompt above asked for.
    """

    def __init__(
        self,
        table: str,
        number: int,
        generated: Generated | None = None,
        hinted_family: Family | None = None,
        hinted_backend: Backend | None = None,
    ) -> None:
        self.table, self.number, self.generated = table, number, generated
        self.hinted_family, self.hinted_backend = hinted_family, hinted_backend
        self.listed = False
        self.hint: str | None = None
        self.lines: list[tuple[int, str]] = []
        self.committed = False

    def begins_anew(self, text: str) -> bool:
        """Whether the ``-P`` line ``text`` opens another listing: each has its policies first, in the hooks' order."""
        last = self.lines[-1][1].split() if self.lines else ["-P", ""]
        words = text.split()
        if last[0] != "-P":
            return True
        both = (last[1], words[1]) if len(last) > 1 and len(words) > 1 else ("", "")
        return all(c in HOOK_ORDER for c in both) and HOOK_ORDER.index(both[1]) <= HOOK_ORDER.index(both[0])

    def name(self) -> str:
        """The table's name; of a listing the one that was asked for, or that has just these base chains."""
        if self.table or self.hint:
            return self.table or self.hint or ""
        lines = [line.split() for _, line in self.lines]
        policies = {words[1] for words in lines if words[0] == "-P" and len(words) > 1}
        exact = [t for t in ("filter", "nat", "raw", "mangle") if policies == set(BASE_CHAINS[t])]
        fits = exact + [t for t in ("filter", "nat", "mangle") if policies <= set(BASE_CHAINS[t])]
        return fits[0] if fits else "filter"

    @cached_property
    def backend(self) -> Backend | None:
        """From the header, since iptables 1.8, when there came to be two."""
        if self.generated is None:
            return self.hinted_backend
        if self.generated.version.startswith(_BEFORE_NFT):
            return None
        program = self.generated.program
        is_nft = self.generated.backend == "nf_tables" or "nft" in program or "xtables" in program
        return Backend.NFT if is_nft else Backend.LEGACY

    @cached_property
    def family(self) -> Family | None:
        """From the header or the prompt, or from what only one family has; an address tells more than ``-p icmp``."""
        if self.generated is not None and "iptables" in self.generated.program:
            return 4
        if self.generated is not None and "ip6tables" in self.generated.program:
            return 6
        if self.hinted_family is not None:
            return self.hinted_family
        seems: Family | None = None
        for _, line in self.lines:
            if _ONLY_6.search(line):
                return 6
            address = _ADDRESS.search(line)
            if address:
                return 6 if ":" in address[1] else 4
            if seems is None and _ONLY_4.search(line):
                seems = 4
        return seems


class Run:
    """Sections that one program wrote one after the other: of one family and backend, no table twice."""

    def __init__(self) -> None:
        self.sections: dict[str, Section] = {}
        self.family: Family | None = None
        self.backend: Backend | None = None

    def takes(self, section: Section) -> bool:
        family, backend = section.family, section.backend
        return (
            section.name() not in self.sections
            and (family is None or self.family in (None, family))
            and (backend is None or self.backend in (None, backend))
        )

    def add(self, section: Section) -> None:
        self.sections[section.name()] = section
        self.family = self.family or section.family
        self.backend = self.backend or section.backend


def runs(sections: Iterable[Section]) -> Iterator[tuple[Run, Family, Backend, bool]]:
    """The sections in runs, each with its family and backend, and whether a backend was told at all.

    What a run does not tell is as in the run before it, or else behind it; else IPv4 and nf_tables.
    """
    found: list[Run] = []
    for section in sections:
        if not found or not found[-1].takes(section):
            found.append(Run())
        found[-1].add(section)
    families = [r.family for r in found if r.family]
    family: Family = families[0] if families else 4
    backends = [r.backend for r in found if r.backend]
    backend = backends[0] if backends else Backend.NFT
    for run in found:
        family, backend = run.family or family, run.backend or backend
        yield run, family, backend, bool(backends)
