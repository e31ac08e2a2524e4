"""A program that writes rules: its chains by name and by shape, its rules in the chains that everybody uses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

from iptexplain.rules.answer import Backend
from iptexplain.rules.model import Chain, Jump, Place, Rule, Ruleset
from iptexplain.rules.save import save_rule


class Part(NamedTuple):
    """Chains with one purpose.

    ``chain``: a pattern for ``TABLE CHAIN``, its groups are the values of the part; ``has``: what one rule of such a chain
    must look like; ``all``: what every rule of it looks like that the program wrote; ``strict``: a single other rule, and the
    chain is somebody else's; ``loose``: it counts although no rule of the program jumps to it; ``own``: what the
    administrator told the program to write. In a pattern for rules ``{chain}`` is the name of the chain.
    """

    name: str
    chain: str
    has: str = ""
    all: str = ""
    strict: bool = False
    loose: bool = False
    own: bool = False


class Line(NamedTuple):
    """A rule of the program's in a chain that everybody uses: a pattern for ``TABLE CHAIN OPTIONS``.

    A jump must lead to a chain that counts. Without a name it belongs to the part of that chain. ``once``: others write such
    rules as well, so that in each chain only the one counts that stands nearest to a jump of the program.
    """

    pattern: str
    name: str = ""
    once: bool = False


class Writes(NamedTuple):
    """What a program writes. ``signs``: alternatives; of one of them every pattern must fit a rule in a chain that everybody
    uses. Where a sign and a line have a group of the same name, the line must hold what a sign held there."""

    parts: tuple[Part, ...]
    lines: tuple[Line, ...]
    signs: tuple[tuple[str, ...], ...]


class Piece(NamedTuple):
    """A part as a ruleset has it: the rules of one chain."""

    part: str
    own: bool
    table: str
    chain: str
    values: dict[str, str]
    lines: tuple[int, ...]


class Fact(NamedTuple):
    """What rules of a program amount to; the words for it are in the program's template. ``rules``: those to be told one by one."""

    name: str
    values: dict[str, Any]
    lines: tuple[int, ...]
    rules: tuple[Rule, ...] = ()


class Program(NamedTuple):
    """A program and what it wrote; ``chains``: (table, chain) of its own chains, empty ones too."""

    name: str
    chains: frozenset[tuple[str, str]]
    pieces: tuple[Piece, ...]
    by_place: dict[Place, Piece]
    rules: dict[Place, Rule]
    facts: tuple[Fact, ...] = ()

    def of(self, part: str) -> list[tuple[Place, Rule]]:
        """The rules of a part in its own chains."""
        own = self.chains
        return [(p, self.rules[p]) for p, x in self.by_place.items() if x.part == part and (p.table, p.chain) in own]

    def inside(self, pattern: str) -> list[tuple[Place, Rule, dict[str, str]]]:
        """The rules whose ``TABLE CHAIN OPTIONS`` fit a pattern, with its groups."""
        texts = ((p, r, re.fullmatch(pattern, text_of(p.table, r))) for p, r in self.rules.items())
        return [(p, r, groups(m)) for p, r, m in texts if m]

    def in_chain(self, table: str, chain: str) -> list[tuple[Place, Rule]]:
        """Its rules in one chain."""
        return [(p, r) for p, r in self.rules.items() if (p.table, p.chain) == (table, chain)]


def groups(match: re.Match[str]) -> dict[str, str]:
    return {k: v for k, v in match.groupdict().items() if v is not None}


def text_of(table: str, rule: Rule) -> str:
    """``TABLE CHAIN OPTIONS``: what the patterns are held against."""
    return f"{table} {save_rule(rule, Backend.NFT)[3:]}"


SHARED = "DOCKER-USER"
"""The chain beside the base chains that is there for others to write in."""


_last: list[tuple[Ruleset, list[tuple[Place, Rule, str]]]] = []
"""The ruleset in which a program was looked for last, with what is the same for all programs."""


def _shared(ruleset: Ruleset) -> Iterator[tuple[Place, Rule, str]]:
    for table in ruleset.tables.values():
        for chain in table.chains.values():
            if chain.policy is not None or chain.name == SHARED:
                for place, rule in chain.placed(table.name):
                    yield place, rule, text_of(place.table, rule)


class Search:
    """One program, looked for in one ruleset."""

    def __init__(self, writes: Writes, ruleset: Ruleset) -> None:
        self.writes, self.ruleset = writes, ruleset

    @cached_property
    def shared(self) -> list[tuple[Place, Rule, str]]:
        """The rules of the chains that everybody uses, with their texts."""
        if not _last or _last[0][0] is not self.ruleset:
            _last[:] = [(self.ruleset, list(_shared(self.ruleset)))]
        return _last[0][1]

    @cached_property
    def known(self) -> dict[str, set[str]] | None:
        """What the signs hold; None when none of the alternatives is there."""
        found: dict[str, set[str]] = {}
        seen = False
        for signs in self.writes.signs:
            matches: list[list[re.Match[str]]] = []
            for fits in (re.compile(sign).fullmatch for sign in signs):
                matches.append([m for _, _, text in self.shared if (m := fits(text))])
                if not matches[-1]:
                    break
            else:
                seen = True
                for name, value in (pair for m in matches for each in m for pair in groups(each).items()):
                    found.setdefault(name, set()).add(value)
        return found if seen else None

    @cached_property
    def named(self) -> dict[tuple[str, str], tuple[Part, dict[str, str]]]:
        """The chains that have a name and a shape of the program's."""
        found: dict[tuple[str, str], tuple[Part, dict[str, str]]] = {}
        for table in self.ruleset.tables.values():
            for chain in table.chains.values():
                full = f"{table.name} {chain.name}"
                for part in self.writes.parts if chain.policy is None else ():
                    match = re.fullmatch(part.chain, full)
                    if match and self._has_shape(part, table.name, chain):
                        found[(table.name, chain.name)] = (part, groups(match))
                        break
        return found

    def _has_shape(self, part: Part, table: str, chain: Chain) -> bool:
        if not (part.has or part.strict):
            return True
        texts = [text_of(table, r) for r in chain.rules]
        has = re.compile(part.has.replace("{chain}", re.escape(chain.name)))
        fits = re.compile(part.all.replace("{chain}", re.escape(chain.name)))
        shaped = not part.has or any(has.fullmatch(t) for t in texts)
        return shaped and (not part.strict or all(fits.fullmatch(t) for t in texts))

    @cached_property
    def entries(self) -> list[tuple[Place, Rule, Line, dict[str, str]]]:
        """The rules that fit a line of the program's, before it is known which of them count once."""
        found = []
        lines = [(line, re.compile(line.pattern).fullmatch) for line in self.writes.lines]
        for place, rule, text in self.shared:
            for line, fits in lines:
                match = fits(text)
                if match and self._agrees(rule, place.table, groups(match)):
                    found.append((place, rule, line, groups(match)))
                    break
        return found

    def _agrees(self, rule: Rule, table: str, values: dict[str, str]) -> bool:
        known = self.known or {}
        jumps = isinstance(rule.target, Jump)
        leads = not jumps or (isinstance(rule.target, Jump) and (table, rule.target.chain) in self.named)
        return leads and all(v in known[k] for k, v in values.items() if k in known)

    @cached_property
    def counted(self) -> set[tuple[str, str]]:
        """The chains that the program's rules lead to, and those that need no such way."""
        found: set[tuple[str, str]] = set()
        waiting = [key for key, (part, _) in self.named.items() if part.loose]
        waiting += [(p.table, r.target.chain) for p, r, _, _ in self.entries if isinstance(r.target, Jump)]
        while waiting:
            key = waiting.pop()
            if key in self.named and key not in found:
                found.add(key)
                chain = self.ruleset.tables[key[0]].chains[key[1]]
                waiting += [(key[0], r.target.chain) for r in chain.rules if isinstance(r.target, Jump)]
        return found

    def written(self) -> Iterator[tuple[Place, Rule, str, dict[str, str], bool]]:
        """Every rule of the program's: its place, its part, the part's values, and whether it is the administrator's own."""
        firm = {p for p, _, line, _ in self.entries if not line.once}
        single = nearest([(p, line.pattern) for p, _, line, _ in self.entries if line.once], firm)
        for place, rule, line, values in self.entries:
            if place in firm or place in single:
                part, more = (
                    self.named[(place.table, rule.target.chain)] if isinstance(rule.target, Jump) else (None, {})
                )
                yield place, rule, line.name or (part.name if part else ""), {**more, **values}, False
        for (table, name), (part, values) in self.named.items():
            if (table, name) in self.counted:
                fits = re.compile((part.all or ".*").replace("{chain}", re.escape(name)))
                for place, rule in self.ruleset.tables[table].chains[name].placed(table):
                    if not part.all or fits.fullmatch(text_of(table, rule)):
                        yield place, rule, part.name, values, part.own


def nearest(candidates: Iterable[tuple[Place, str]], firm: set[Place]) -> set[Place]:
    """Of the rules of one chain that fit the same pattern, the one that stands nearest to one of the ``firm`` rules there."""
    best: dict[tuple[str, str, str], tuple[int, Place]] = {}
    for place, pattern in candidates:
        others = [abs(place.line - f.line) for f in firm if (f.table, f.chain) == (place.table, place.chain)]
        key = (place.table, place.chain, pattern)
        if others and (key not in best or min(others) < best[key][0]):
            best[key] = (min(others), place)
    return {place for _, place in best.values()}


def written_by(name: str, writes: Writes, ruleset: Ruleset) -> Program | None:
    """What the program ``name`` wrote into a ruleset; None where its signs are missing."""
    search = Search(writes, ruleset)
    if search.known is None:
        return None
    found = list(search.written())
    if not found:
        return None
    pieces: dict[tuple[Any, ...], Piece] = {}
    for place, _, part, values, own in found:
        key = (part, place.table, place.chain, *values.items())
        before = pieces.get(key) or Piece(part, own, place.table, place.chain, values, ())
        pieces[key] = before._replace(lines=(*before.lines, place.line))
    by_place = {place: pieces[(part, place.table, place.chain, *values.items())] for place, _, part, values, _ in found}
    return Program(
        name, frozenset(search.counted), tuple(pieces.values()), by_place, {place: rule for place, rule, *_ in found}
    )
