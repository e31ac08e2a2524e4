"""Facts → phrases, rendered from the templates: a match is what follows "packets", a target is what follows "the rule"."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from iptexplain.rules.answer import Backend
from iptexplain.rules.extension import Extension, Match, Target
from iptexplain.rules.find import UnknownMatch, UnknownTarget
from iptexplain.rules.model import Jump, Rule, Verdict
from iptexplain.rules.values import Range


@cache
def environment() -> jinja2.Environment:
    """The templates of this installation, with the filters that speak of values."""
    folder = Path(__file__).parent.parent / "templates"
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    env.filters.update(ports=ports, listed=listed, either=either, phrase=phrase, said=said, interface=interface)
    return env


def listed(items: Iterable[Any], last: str = "and") -> str:
    """``a, b and c``."""
    texts = [str(i) for i in items]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} {last} {texts[-1]}" if texts else ""


def either(items: Iterable[Any]) -> str:
    """``a, b or c``."""
    return listed(items, "or")


def ports(value: Range | Iterable[Range]) -> str:
    """``port 80``, ``ports 1000 to 2000``, ``ports 80, 443 and 8000 to 8010``."""
    ranges = [value] if isinstance(value, Range) else list(value)
    many = len(ranges) > 1 or ranges[0].low != ranges[0].high
    return f"port{'s' if many else ''} " + listed(
        str(r.low) if r.low == r.high else f"{r.low} to {r.high}" for r in ranges
    )


def interface(name: str) -> str:
    """``eth0``, or ``any interface whose name begins with eth``."""
    return f"any interface whose name begins with {name[:-1]}" if name.endswith("+") else name


def said(text: str) -> str:
    """Text from a dump as it may be shown anywhere: control characters and direction marks as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def phrase(extension: Extension) -> str:
    """The words of one match or target; empty for what says nothing about packets (a comment)."""
    lines = [said(line.strip()) for line in _template(extension).render(**_context(extension)).splitlines()]
    return listed([line for line in lines if line])


def _template(extension: Extension) -> jinja2.Template:
    folder = "matches" if isinstance(extension, Match) else "targets"
    special = {Verdict: "verdict", Jump: "jump", UnknownMatch: "unknown", UnknownTarget: "unknown_target"}
    stem = extension.name.lower().replace("-", "_") if type(extension) not in special else ""
    name = (
        f"{folder}/{stem}.j2"
        if stem and stem != "parameters"
        else f"rules/{special.get(type(extension), 'parameters')}.j2"
    )  # type: ignore[call-overload]
    return environment().get_template(name)


def _context(extension: Extension) -> dict[str, Any]:
    own = (
        {"name": extension.given_name, "raw": extension.raw}
        if isinstance(extension, UnknownMatch | UnknownTarget)
        else {}
    )
    if isinstance(extension, Verdict):
        own = {"word": extension.word}
    if isinstance(extension, Jump):
        own = {"chain": extension.chain, "goto": extension.goto}
    return {**extension.words(), **own, "it": extension}


def conditions(rule: Rule) -> str:
    """Which packets the rule is about: ``TCP packets from 10.0.0.0/8 to port 80``; ``every packet`` without any condition."""
    noun = environment().get_template("rules/noun.j2").render(protocol=rule.parameters.protocol).strip()
    phrases = [p for p in map(phrase, rule.conditions()) if p]
    if not phrases and rule.parameters.protocol is None:
        return "every packet"
    return " ".join([noun, listed(phrases) if len(phrases) < 3 else "; ".join(phrases)]).strip()


def action(target: Target | None) -> str:
    """What the rule does: ``accepts them``, ``rewrites the destination to …``."""
    return phrase(target) if target is not None else "only counts them"


def save_clause(extension: Extension, backend: Backend = Backend.NFT) -> str:
    """The clause in iptables-save's spelling, safe to show."""
    save = getattr(extension, "save_options" if extension.name == "parameters" else "save")
    return said(save(backend))
