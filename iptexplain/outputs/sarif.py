"""SARIF 2.1.0 (OASIS), which code hosts show beside the file: one result for each finding."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

from iptexplain.explain.words import said
from iptexplain.lint.finding import Lint, lints
from iptexplain.lint.report import Told, unmarked
from iptexplain.rules.model import Place

LEVELS = {"error": "error", "warning": "warning", "info": "note"}
"""What SARIF calls the levels."""

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(told: list[Told]) -> dict[str, Any]:
    """The findings as one run. Nothing tells when or where it was made."""
    names = list(lints())
    driver = {"name": "iptexplain", "rules": [_rule(lint) for lint in lints().values()]}
    results = [_result(t, names.index(t.finding.name)) for t in told]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


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
