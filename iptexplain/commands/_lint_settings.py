"""Which lints are asked, and what is a failure: from the command line and from a file with a section ``iptexplain:lint``."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from iptexplain.commands import printable
from iptexplain.errors import UsageError
from iptexplain.lint.finding import LEVELS, lints

SECTION = "iptexplain:lint"
FILES = (".iptexplain.cfg", "setup.cfg")
"""Where the section is looked for in the current directory."""

KEYS = ("select", "ignore", "fail-on")
NEVER = "never"


class Settings(NamedTuple):
    """``chosen``: the lints that are asked; ``fail_on``: the level from which on a finding is a failure, or ``never``."""

    chosen: list[str]
    fail_on: str


def settings(config: str | None, select: tuple[str, ...], ignore: tuple[str, ...], fail_on: str | None) -> Settings:
    """What the command line says, and for what it leaves out, the file. Both may name lints to ignore."""
    file = config or next((f for f in FILES if os.path.exists(f) and _section(f)), None)
    written = _section(file, bool(config)) if file else None
    if config and written is None:
        raise UsageError(f"{printable(config)}: there is no section [{SECTION}] in it")
    said = written or {}
    wrong = sorted(set(said) - set(KEYS))
    if wrong:
        raise UsageError(f"{file}: [{SECTION}] has no '{printable(wrong[0])}': there are {', '.join(KEYS)}")
    source = f"{file}: [{SECTION}] "
    chosen = [n for word in select for n in names(word, "--select ")] or names(
        said.get("select", ""), f"{source}select = "
    )
    ignored = [n for word in ignore for n in names(word, "--ignore ")] + names(
        said.get("ignore", ""), f"{source}ignore = "
    )
    level = fail_on or said.get("fail-on", "warning")
    if level not in (*LEVELS, NEVER):
        raise UsageError(f"{source}fail-on = {printable(level)}: there are {', '.join((*LEVELS, NEVER))}")
    return Settings([n for n in lints() if n in (chosen or lints()) and n not in ignored], level)


def names(text: str, source: str) -> list[str]:
    """Names of lints, with commas or spaces between them; ``source`` is where they were given."""
    found = [word for word in re.split(r"[\s,]+", text) if word]
    known(found, source)
    return found


def known(found: Iterable[str], source: str) -> None:
    """Raise UsageError for what is no lint's name."""
    for name in found:
        if name not in lints():
            raise UsageError(f"{source}{printable(name)}: there is no such lint: there are {', '.join(lints())}")


def _section(file: str, is_named: bool = False) -> dict[str, str] | None:
    """The section of a file; None where it has none. A file that was not named may be anything else, as long as it has none."""
    parser = configparser.RawConfigParser(default_section="")  # [DEFAULT] is a section as others are, and not ours
    text = ""
    try:
        with open(file, encoding="utf-8") as opened:
            text = opened.read()
        parser.read_string(text, file)
    except OSError as e:
        raise UsageError(f"{printable(file)}: {e.strerror or e}") from None
    except (configparser.Error, UnicodeDecodeError) as e:
        if not is_named and f"[{SECTION}]" not in text:
            return None
        raise UsageError(
            f"{printable(file)}: this is no file of settings: {printable(' '.join(str(e).split()))}"
        ) from None
    return dict(parser[SECTION]) if parser.has_section(SECTION) else None
