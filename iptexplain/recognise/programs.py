"""All programs beside Docker whose rules are recognised."""

from __future__ import annotations

import importlib
import re
from collections.abc import Container, Iterator
from typing import Any

from iptexplain.recognise.program import Line, Part, Piece, Program, Writes, groups, text_of
from iptexplain.recognise.shape import recognisers
from iptexplain.rules.model import BASE_CHAINS, Jump, Place, Rule, Ruleset


def recognise_programs(ruleset: Ruleset, taken: Container[Place]) -> list[Program]:
    """Every program that wrote into a ruleset, by name. ``taken``: places whose rules are Docker's."""
    found: list[Program] = []
    for _, module in _modules():
        program: Program | None = module.recognise(ruleset)
        if program is not None:
            elsewhere = [f.by_place for f in found]
            mine = {p: x for p, x in program.by_place.items() if p not in taken and not any(p in e for e in elsewhere)}
            if mine:
                found.append(program._replace(by_place=mine))
    return found


def _modules() -> Iterator[tuple[str, Any]]:
    """The modules of this folder that say what a program WRITES."""
    for name in recognisers():
        module = importlib.import_module(f"iptexplain.recognise.{name}")
        if hasattr(module, "WRITES"):
            yield name, module


def likely_writer(table: str, rule: Rule) -> tuple[str, Piece] | None:
    """The program that a rule alone, without the rest of its dump, looks like: by the name of its chain, by that of the chain
    it jumps to, or by its remark."""
    for name, module in _modules():
        writes: Writes = module.WRITES
        part = _part(writes, table, rule.chain, rule) if rule.chain not in BASE_CHAINS[table] else None
        for line in () if part else writes.lines:
            part = part or _entry(writes, line, table, rule)
        if part:
            return name, Piece(part[0].name, part[0].own, table, rule.chain, part[1], (rule.line,))
    return None


def _part(writes: Writes, table: str, chain: str, rule: Rule | None = None) -> tuple[Part, dict[str, str]] | None:
    """The part to which a chain of that name belongs, with the rule in it, if one is given."""
    for part in writes.parts:
        match = re.fullmatch(part.chain, f"{table} {chain}")
        fits = (part.all or ".*").replace("{chain}", re.escape(chain))
        if match and (rule is None or re.fullmatch(fits, text_of(table, rule))):
            return part, groups(match)
    return None


def _entry(writes: Writes, line: Line, table: str, rule: Rule) -> tuple[Part, dict[str, str]] | None:
    """The part to which a rule in a base chain belongs, where nobody else has reason to write it."""
    match = re.fullmatch(line.pattern, text_of(table, rule))
    if match and isinstance(rule.target, Jump):
        found = _part(writes, table, rule.target.chain)
        return found and (found[0]._replace(name=line.name or found[0].name, own=False), {**found[1], **groups(match)})
    return (Part(line.name, ""), groups(match)) if match and "--comment" in line.pattern else None
