"""An extension that a rule loads, while its options are being collected."""

from __future__ import annotations

from collections.abc import Sequence

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Extension, Option, Setting
from iptexplain.rules.find import UnknownMatch, UnknownTarget
from iptexplain.rules.values import Family
from iptexplain.rules.words import RuleError, Word


class Loaded:
    """``kind`` is None for an extension that nobody knows: ``raw`` keeps its words."""

    def __init__(self, kind: type[Extension] | None, name: str, word: Word) -> None:
        self.kind, self.name, self.word = kind, name, word
        self.given: dict[str, Setting] = {}
        self.raw: list[str] = []
        self.values: dict[str, Word] = {}

    def add(self, option: Option, inverted: bool, values: Sequence[Word], at: Word, family: Family) -> None:
        try:
            add_setting(self.kind or Extension, self.given, option, inverted, [w.text for w in values], family)
        except OptionError as e:
            raise RuleError(f"{at.text}: {e.message}", values[0] if values else at) from None
        self.values[option.key] = at

    def build(self, family: Family) -> Extension:
        if self.kind is None:
            unknown = UnknownTarget if self.word.text in ("-j", "--jump", "-g", "--goto") else UnknownMatch
            return unknown(self.name, " ".join(self.raw))
        try:
            return self.kind.build(self.given, family)
        except OptionError as e:
            raise RuleError(e.message, next(iter(self.values.values()), self.word)) from None


def add_setting(
    kind: type[Extension],
    given: dict[str, Setting],
    option: Option,
    inverted: bool,
    values: Sequence[str],
    family: Family,
) -> None:
    """Read one option of ``kind`` from its words into ``given``; raises OptionError."""
    if inverted and not option.invert:
        raise OptionError("cannot be inverted with !")
    text = values[0] if len(values) == 1 else " ".join(values)
    try:
        value = option.kind.parse(text, family) if option.kind else True
    except (ValueError, OverflowError):  # a number of thousands of digits, or bytes that no name has
        raise OptionError(f"'{text[:40]}' cannot be read") from None
    kind.take(given, Setting(option, value, inverted))
