"""A lint explained: its text, and its examples with what it says of them."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import Any

from iptexplain.host.snapshot import Snapshot, read_snapshot
from iptexplain.lint.finding import Example, Lint
from iptexplain.lint.host import hosts
from iptexplain.lint.report import look


def example_snapshot(example: Example) -> Snapshot:
    """An example as if it had been read from its file."""
    return read_snapshot(example.text, example.file)._replace(facts=dict(example.facts))


def example_facts(lint: Lint) -> dict[str, Any]:
    """What templates/documents/lint_explain.j2 tells."""
    told = look(hosts(example_snapshot(lint.fires)), [lint.name]).told[0]
    return {"lint": lint, "paragraphs": lint.text.split("\n\n"), "told": told, "changed": changed(lint)}


def changed(lint: Lint) -> tuple[list[str], list[str]]:
    """What is different in the two examples: in the first, and in the second."""
    one, other = (_told(example) for example in (lint.fires, lint.quiet))
    found: tuple[list[str], list[str]] = ([], [])
    for what, low, high, low_other, high_other in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if what != "equal":
            found[0].extend(one[low:high])
            found[1].extend(other[low_other:high_other])
    return found


def _told(example: Example) -> list[str]:
    facts = [f"{name} = {value}" for name, value in example.facts.get("sysctls", {}).items()]
    return [f"# the file {example.file}", *facts, *example.text.splitlines()]
