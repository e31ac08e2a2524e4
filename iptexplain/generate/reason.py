"""Why a rule is there: a name and what it speaks of; the words are in templates/generate/reason.j2 and templates/recognise/."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from iptexplain.explain.words import environment, said
from iptexplain.recognise.shape import NOTHING, Found


class Reason(NamedTuple):
    """``name``: a role (recognise/shape.py) or a name of reason.j2; ``recogniser``: whose role it is, None for our own rules."""

    name: str
    values: Mapping[str, Any]
    recogniser: str | None = None

    @property
    def text(self) -> str:
        """One line without control characters."""
        template = environment().get_template("generate/reason.j2")
        words = template.render(
            name=self.name, recogniser=self.recogniser, role=self.name, **NOTHING | {"line": None} | {**self.values}
        )
        return said(" ".join(words.split()))


def reason_of(found: Found, **changed: str | None) -> Reason:
    """Why one of Docker's rules is there; ``changed``: values that the rule no longer has as the source has them."""
    return Reason(found.role, {**found.values, **changed}, found.recogniser)
