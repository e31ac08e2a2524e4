"""The programs beside Docker that wrote rules: whose a rule is, what their rules amount to."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.explain.situation import Situation
from iptexplain.explain.words import conditions, environment, said
from iptexplain.recognise.program import Fact, Piece, Program
from iptexplain.rules.model import Place


class SaidPart(NamedTuple):
    """A part of a program in words: its chains and its rules."""

    says: str
    own: bool
    chains: list[str]
    lines: list[int]


class SaidFact(NamedTuple):
    """What some rules amount to, in words; ``rules``: what the single rules are about, with their lines."""

    says: str
    lines: list[int]
    rules: list[tuple[str, int]]


class SaidProgram(NamedTuple):
    name: str
    title: str
    about: str
    rules: int
    facts: list[SaidFact]
    parts: list[SaidPart]


def program_facts(situation: Situation) -> list[SaidProgram]:
    """Every program in words, for templates/documents/programs.j2."""
    return [
        SaidProgram(
            name=program.name,
            title=title(program.name),
            about=_words(program.name, "about"),
            rules=len(program.by_place),
            facts=[_fact(program, f) for f in program.facts],
            parts=_parts(program),
        )
        for program in situation.programs
    ]


def programs_json(situation: Situation) -> list[dict[str, Any]]:
    """The programs of one family, as JSON."""
    return [
        {
            "name": program.name,
            "title": title(program.name),
            "family": situation.family,
            "rules": len(program.by_place),
            "parts": [
                {"name": part_words(program.name, p).replace("`", ""), "part": p.part, "table": p.table, "chain": said(p.chain),
                 "administrators_own": p.own, "lines": list(p.lines)}
                for p in program.pieces
            ],
            "summary": [
                {"kind": f.name, "says": _fact(program, f).says.replace("`", ""), "lines": list(f.lines), "values": f.values}
                for f in program.facts
            ],
        }
        for program in situation.programs
    ]  # fmt: skip


def written_by(situation: Situation, place: Place) -> str:
    """Which program wrote a rule, and as what part: ``ufw: user rules``; empty for Docker's rules and those of nobody known."""
    found = situation.program_of(place)
    return f"{title(found[0].name)}: {part_words(found[0].name, found[1])}" if found else ""


def title(name: str) -> str:
    """The program's name as it writes itself."""
    return _words(name, "title")


def part_words(program: str, piece: Piece) -> str:
    """What a part is for."""
    return _words(program, "part", name=piece.part, values=_Values(piece.values))


def _fact(program: Program, fact: Fact) -> SaidFact:
    numbered = [(conditions(r), r.line) for r in fact.rules]
    says = _words(program.name, "fact", name=fact.name, values=_Values(fact.values), rules=len(fact.rules))
    return SaidFact(says, list(fact.lines), numbered)


def _parts(program: Program) -> list[SaidPart]:
    """The parts with the same words together, in the order of the dump."""
    found: dict[str, SaidPart] = {}
    for piece in sorted(program.pieces, key=lambda p: p.lines[0]):
        says = part_words(program.name, piece)
        known = found.setdefault(says, SaidPart(says, piece.own, [], []))
        known.lines.extend(piece.lines)
        if (piece.table, piece.chain) in program.chains and piece.chain not in known.chains:
            known.chains.append(piece.chain)
    return list(found.values())


class _Values(dict[str, Any]):
    """What a template may ask for though this rule has no such value."""

    def __missing__(self, key: str) -> None:
        return None


def _words(program: str, what: str, **about: Any) -> str:
    template = environment().get_template(f"recognise/{program}.j2")
    return " ".join(template.render(what=what, **{"name": "", "values": _Values(), "rules": 0, **about}).split())
