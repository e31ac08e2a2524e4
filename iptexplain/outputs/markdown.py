"""Documents as Markdown: what the templates write, with one blank line between blocks."""

from __future__ import annotations

import re


def markdown(document: str) -> str:
    """``document`` without runs of blank lines and trailing space."""
    lines = [re.sub("^ (?! )", "", line).rstrip() for line in document.splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
