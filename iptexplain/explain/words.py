"""Facts → phrases, rendered from the templates: a match is what follows "packets", a target is what follows "the rule"."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import jinja2

from iptexplain.explain.amounts import duration, per, size, span
from iptexplain.rules.answer import Backend
from iptexplain.rules.extension import Extension, Match, Target
from iptexplain.rules.find import UnknownMatch, UnknownTarget
from iptexplain.rules.model import Jump, Place, Rule, Verdict
from iptexplain.rules.parameters import Parameters
from iptexplain.rules.values import Range
from iptexplain.sets.fields import ANOTHER

WIDTH = 140
"""How long the lines of comments are."""

LONGEST_WORD = 2000
"""How many characters of a word stand on one line."""


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
    env.filters.update(
        ports=ports, listed=listed, either=either, phrase=phrase, said=said, interface=interface, code=code, lines=lines,
        place=place, places=places, at=at, side=side, came_by=came_by,
        with_port=with_port, client=client, open_port=open_port, conditions=conditions,
        shell=shell, remark=remark,
        assuming=assuming,
        clients=clients, count=count, sentence=sentence, sentence_start=sentence_start,
        lower_first=lower_first, size=size, duration=duration, per=per, span=span,
    )  # fmt: skip
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
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def code(text: Any) -> str:
    """Text from a dump in code marks: safe in Markdown and on a terminal."""
    return f"`{said(str(text)).replace('`', chr(39))}`"


def shell(text: Any) -> str:
    """A word of a command that can be pasted into a shell."""
    return shlex.quote(said(str(text)))


def remark(text: str) -> str:
    """Lines as comments of a readable width; what is indented stays so. iptables-restore reads no line beyond 10,239 bytes, so words
    stay whole, but for such as are very long by themselves."""
    return "\n".join(f"# {line}".rstrip() for told in text.split("\n") for line in _wrapped(told))


def _wrapped(text: str) -> list[str]:
    indent = " " * (len(text) - len(text.lstrip(" ")))
    words = re.sub(rf"\S{{{LONGEST_WORD}}}", r"\g<0> ", text)
    return textwrap.wrap(words, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [""]


def assuming(assumption: str) -> str:
    """The option that settles what nobody can decide."""
    return code(f"--assume {assumption}")


def lines(numbers: Iterable[int]) -> str:
    """``line 6`` or ``lines 6, 7 and 9 to 12``; of nothing: ``no line``."""
    runs: list[list[int]] = []
    for n in sorted(set(numbers)):
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    texts = [
        f"{r[0]} to {r[-1]}" if len(r) > 2 else " and ".join(map(str, r)) if len(runs) == 1 else ", ".join(map(str, r))
        for r in runs
    ]
    if not runs:
        return "no line"
    many = len(runs) > 1 or len(runs[0]) > 1
    return f"line{'s' if many else ''} {listed(texts)}"


def place(where: Place | str | None, dump: str = "") -> str:
    """A rule or a policy with its line: ``filter `DOCKER` rule 2 (line 31)``; with the name of a ``dump``: ``(OLD line 31)``."""
    if not isinstance(where, Place):
        return f"the kernel ({where})" if where else "no rule"
    line = f" ({dump} line {where.line})" if dump else f" (line {where.line})"
    if where.rule == "policy":
        return f"the policy of {where.table} {code(where.chain)}" + (line if where.line else "")
    return f"{where.table} {code(where.chain)} rule {where.rule}{line}"


def places(wheres: Iterable[Place | str]) -> str:
    """Rules and policies one by one; many rules of a chain together: ``4 rules of filter `DOCKER` (lines 24 to 27)``."""
    found = list(wheres)
    chains: dict[Any, list[Place]] = {}
    for where in found:
        if isinstance(where, Place) and where.rule != "policy":
            chains.setdefault((where.table, where.chain), []).append(where)
    many = {chain: rules for chain, rules in chains.items() if len(rules) > 2}
    texts = [
        f"{len(rules)} rules of {table} {code(chain)} ({lines(rule.line for rule in rules)})"
        for (table, chain), rules in many.items()
    ]
    told = {rule for rules in many.values() for rule in rules}
    return listed([place(where) for where in found if where not in told] + texts)


def at(where: Place | None) -> str:
    """``line 31``, for what has been named already."""
    return f"line {where.line}" if where else "no rule of it"


def side(name: str) -> str:
    """One side of the matrix: a bridge in code marks, ``host`` and ``outside`` as words."""
    return {"host": "the host", "outside": "outside"}.get(name) or code(name)


def came_by(name: str) -> str:
    """An interface by which packets come in; a name that ends in ANOTHER stands for all that nobody has named."""
    if not name.endswith(ANOTHER):
        return code(name)
    begin = name.removesuffix(ANOTHER)
    return f"another interface whose name begins with {code(begin)}" if begin else "another interface"


def with_port(address: Any, port: Any) -> str:
    """``172.17.0.2:80``, ``[fd00::2]:80``; the address alone without a port."""
    text = f"[{address}]" if ":" in str(address) and port is not None else str(address)
    return text if port is None else f"{text}:{port}"


def open_port(published: Any) -> str:
    """A published port (PublishedPort) that is open to the outside, and whether not to everybody there."""
    return code(published.short) + (" (not to everybody)" if published.callers and published.callers.some else "")


def client(name: str) -> str:
    """A kind of client of a published port, by Flow.client."""
    return environment().get_template("documents/client.j2").render(name=name).strip()


def clients(names: list[str], networks: int) -> str:
    """Kinds of clients together; ``networks`` is how many networks there are, so that all others can be said as one."""
    others = [n for n in names if n.startswith("network:")]
    if len(others) > 1 and len(others) >= networks - 1:
        names = [n for n in names if n not in others[1:]]
        names[names.index(others[0])] = "network:"
    return listed(map(client, names))


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 rule``, ``2 rules``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def sentence_start(text: str) -> str:
    return text[:1].upper() + text[1:]


def lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return sentence_start(text) + ("" if text.endswith(".") else ".")


@lru_cache(maxsize=10000)
def phrases(extension: Extension) -> tuple[str, ...]:
    """The phrases of one match or target; none for what says nothing about packets (a comment)."""
    rendered = _template(extension).render(**_context(extension))
    return tuple(said(line.strip()) for line in rendered.splitlines() if line.strip())


def phrase(extension: Extension) -> str:
    """The words of one match or target, in one piece."""
    return joined(phrases(extension))


def joined(found: Sequence[str]) -> str:
    """Phrases that follow a noun: first where packets come from and go to, then what else holds of them."""
    ways = [p for p in found if p.startswith(WAYS)]
    others = [p for p in found if not p.startswith(WAYS)]
    return " ".join([*ways, *([listed(others)] if others else [])])


WAYS = ("from ", "to ", "not from ", "not to ", "neither from ", "from or to ")
"""How phrases begin that say only where packets come from or go to."""


SPECIAL: dict[type[Extension], str] = {
    Parameters: "rules/parameters.j2",
    Verdict: "rules/verdict.j2",
    Jump: "rules/jump.j2",
    UnknownMatch: "rules/unknown.j2",
    UnknownTarget: "rules/unknown_target.j2",
}
"""The templates of what is no extension of iptables."""


def _template(extension: Extension) -> jinja2.Template:
    folder = "matches" if isinstance(extension, Match) else "targets"
    stem = extension.name.lower().replace("-", "_")
    return environment().get_template(SPECIAL.get(type(extension)) or f"{folder}/{stem}.j2")


def _context(extension: Extension) -> dict[str, Any]:
    return {**extension.words(), "it": extension}


def conditions(rule: Rule) -> str:
    """Which packets the rule is about: ``TCP packets from 10.0.0.0/8 to port 80``; ``every packet`` without any condition."""
    found = [p for match in rule.conditions() for p in phrases(match)]
    protocol = rule.parameters.protocol
    if not found and protocol is None:
        return "every packet"
    return f"{noun(protocol)} {joined(found)}".strip()


@cache
def noun(protocol: str | None) -> str:
    """``TCP packets``, or just ``packets``."""
    return environment().get_template("rules/noun.j2").render(protocol=protocol).strip()


def action(target: Target | None) -> str:
    """What the rule does: ``accepts them``, ``rewrites the destination to …``."""
    return phrase(target) if target is not None else "only counts them"


def save_clause(extension: Extension, backend: Backend = Backend.NFT) -> str:
    """The clause in iptables-save's spelling, safe to show."""
    save = getattr(extension, "save_options" if extension.name == "parameters" else "save")
    return said(save(backend))
