"""SARIF 2.1.0 (OASIS), which code hosts show beside the file: one result for each finding."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from iptexplain.explain.words import environment, said
from iptexplain.lint.finding import Lint, lints
from iptexplain.lint.report import Report, Told, unmarked
from iptexplain.rules.model import Place

LEVELS = {"error": "error", "warning": "warning", "info": "note"}
"""What SARIF calls the levels."""

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(report: Report, assumptions: list[str]) -> dict[str, Any]:
    """The findings as one run, with what was not looked for and what was taken for granted. Nothing tells when or where it was made."""
    names = list(lints())
    run = {
        "tool": {"driver": {"name": "iptexplain", "rules": [_rule(lint) for lint in lints().values()]}},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": [*_notes(report, assumptions)]}],
        "columnKind": "unicodeCodePoints",
        "results": [_result(told, names.index(told.finding.name)) for told in report.told],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _notes(report: Report, assumptions: list[str]) -> Iterator[dict[str, Any]]:
    """What the reader of the results must know of how they came about (SARIF 3.58)."""
    template = environment().get_template("documents/not_looked_for.j2")
    for name in report.missed:
        text = unmarked(template.render(missed=[name]).strip())
        rule = {"id": name, "index": list(lints()).index(name)}
        yield {"level": "warning", "message": {"text": text}, "associatedRule": rule}
    yield from ({"level": "note", "message": {"text": unmarked(text)}} for text in assumptions)


def _rule(lint: Lint) -> dict[str, Any]:
    first, *more = (" ".join(p.split()) for p in lint.text.split("\n\n"))
    return {
        "id": lint.name,
        "shortDescription": {"text": first.replace("`", "")},
        "fullDescription": {"text": " ".join([first, *more]).replace("`", "")},
        "help": {"text": f"iptexplain lint --explain {lint.name}"},
        "defaultConfiguration": {"level": LEVELS[lint.level]},
    }


def _result(told: Told, index: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": told.finding.name,
        "ruleIndex": index,
        "level": LEVELS[told.level],
        "message": {"text": unmarked(f"{told.message}\n\n{told.fix}")},
        "locations": [_location(told, told.finding.place)],
    }
    related = [_location(told, p) for p in told.finding.because]
    return result | ({"relatedLocations": related} if related else {})


def _location(told: Told, place: Place | None) -> dict[str, Any]:
    """The file with the line. In a snapshot the lines are those of the text in it, which is one line of the file: then only the
    rule's name tells the place."""
    host = told.host
    name = host.dump.file.removesuffix("[ip6tables]")
    physical: dict[str, Any] = {"artifactLocation": {"uri": "stdin" if name == "-" else quote(os.fsencode(name))}}
    if place and place.line and not host.snapshot.facts and name == host.dump.file:
        physical["region"] = {"startLine": place.line}
    logical = {"fullyQualifiedName": said(f"{place.table}/{place.chain}/{place.rule}")} if place else None
    return {"physicalLocation": physical} | ({"logicalLocations": [logical]} if logical else {})
