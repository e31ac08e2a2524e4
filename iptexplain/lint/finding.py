"""What a lint is, and what it finds. Every module of this folder that has a LEVEL is one: it is called as the file, with dashes."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from iptexplain.rules.model import Place

if TYPE_CHECKING:
    from iptexplain.lint.host import Host

LEVELS = ("error", "warning", "info")
"""How bad a finding is: the rules do not do what they are evidently for; a mistake, likely; something that is good to know."""

CHAIN = "chain"
"""What stands for the rule in the place of a finding about a whole chain."""


class Example(NamedTuple):
    """A dump, its file, and what a snapshot would tell beside it."""

    text: str
    file: str = "rules.v4"
    facts: Mapping[str, Any] = {}


class Finding(NamedTuple):
    """One thing that a lint found: ``place`` is the rule that it is about (or the policy, or the chain; None: the whole host),
    ``because`` the places that cause it, ``values`` what the lint's template tells. ``level`` is the lint's own where it is None."""

    place: Place | None
    because: tuple[Place, ...] = ()
    values: Mapping[str, Any] = {}
    level: str | None = None
    name: str = ""

    @property
    def rule(self) -> int | str | None:
        """The rule's number, ``policy``, or None where it is no rule."""
        return self.place.rule if self.place and self.place.rule != CHAIN else None

    @property
    def line(self) -> int | None:
        return self.place.line if self.place and self.place.line else None


class Lint(NamedTuple):
    """``text``: what the manual says; ``fires`` and ``quiet``: dumps with and without the mistake; ``find``: looks for it."""

    name: str
    level: str
    text: str
    fires: Example
    quiet: Example
    find: Callable[[Host], Iterable[Finding]]

    @property
    def template(self) -> str:
        return f"lint/{self.name.replace('-', '_')}.j2"


@cache
def lints() -> dict[str, Lint]:
    """Every lint by its name."""
    found = {}
    for info in pkgutil.iter_modules([str(Path(__file__).parent)]):
        module = importlib.import_module(f"iptexplain.lint.{info.name}")
        if hasattr(module, "LEVEL"):
            name = info.name.replace("_", "-")
            text = cleandoc(module.__doc__ or "")
            found[name] = Lint(name, module.LEVEL, text, module.FIRES, module.QUIET, module.find)
    return found
