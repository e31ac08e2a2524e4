"""Expectations about flows as people write them: what a FLOWS file says, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import product
from typing import NamedTuple

from iptexplain.errors import Location, OptionError, UsageError
from iptexplain.explain.nodes import Node, Written, from_json_lines, from_yaml
from iptexplain.explain.words import either, listed
from iptexplain.host.endpoints import split_port
from iptexplain.rules.model import BASE_CHAINS
from iptexplain.rules.values import Choice
from iptexplain.walk.packet import FIELDS, read_fields

VERDICTS = {"accept": "accepted", "drop": "dropped", "reject": "rejected"}
"""What may be expected, and what situation.verdict calls it."""

ENDS = {"from": "src", "to": "dst"}
"""The keys for the ends, and the packet fields that may stand instead of them."""

KEYS = (*ENDS, "expect", "by", "answer", "name", "ipv6")

HELP = "'iptexplain test --help' names those that there are"

LISTS = (*ENDS, *ENDS.values(), "proto", "sport", "dport")
"""The keys that may hold a list; each of its items makes an expectation of its own."""

DECIDER = re.compile(rf"line \d+|kernel(/[\w-]+)?|(({'|'.join(BASE_CHAINS)})/)?[^/\s]+(/(\d+|policy))?")

JSON_LINES = re.compile(r"\ufeff?\s*\{(?!\s*[\"']?flows\b).*\}\s*$", re.MULTILINE)
"""A text whose first line is an object is lines of JSON, unless the object is there for the list that it holds."""

DUMP = re.compile(rf"^\*({'|'.join(BASE_CHAINS)})\s*$|\"ip6?tables\"\s*:", re.MULTILINE)
"""What no FLOWS file has, but a dump or a snapshot."""


class Expectation(NamedTuple):
    """What becomes of one packet, as somebody expects it. ``source``, ``target``, ``given`` and ``ipv6`` are a question (question.py)."""

    location: Location
    name: str | None
    source: str | None
    target: str | None
    given: dict[str, str]
    ipv6: bool
    verdict: str
    """accepted, dropped or rejected; and so for the answer, where something is expected of it."""
    by: str | None
    answer: str | None
    places: dict[str, Location]
    """Where the value of each key stands."""

    @property
    def where(self) -> str:
        return f"{self.location.file}:{self.location.line}"

    @property
    def ends(self) -> str:
        """Who sends to whom, and whatever else was said of the packet."""
        first, last = self.source or self.given["src"], self.target or self.given["dst"]
        instead = {"src": not self.source, "dst": not self.target}
        more = [f"{key} {text}" for key, text in self.given.items() if not instead.get(key)]
        return ", ".join([f"{first} → {last}", *more, *(["IPv6"] if self.ipv6 else [])])

    @property
    def title(self) -> str:
        return f"{self.name}: {self.ends}" if self.name else self.ends


def read_expectations(text: str, file: str) -> tuple[list[Expectation], Written]:
    """The expectations of a FLOWS file, YAML or lines of JSON, and the file with the errors that were found in it."""
    if DUMP.search(text):
        written = Written(file, text.splitlines())
        written.wrong(written.at(1), "these are rules: FLOWS comes first, then DUMP")
        return [], written
    if file.endswith((".jsonl", ".ndjson")) or JSON_LINES.match(text):
        written = from_json_lines(text, file)
        flows = written.nodes
    else:
        written = from_yaml(text, file)
        flows = [flow for root in written.nodes for flow in _flows(root, written)]
    found = [e for flow in flows for e in _expectations(flow, written)]
    if not found and not written.errors:
        written.wrong(written.at(1), "there is no expectation: a test of nothing would always pass")
    return found, written


def _flows(root: Node, written: Written) -> list[Node]:
    """The list that a YAML document is, or has under ``flows``."""
    if isinstance(root.value, dict) and "flows" in root.value:
        written.check_keys(root.value, ("flows",), HELP)
        root = root.value["flows"]
    if isinstance(root.value, list):
        return root.value
    written.wrong(
        root.location, f"write a list of expectations ('- from: ...'), by itself or under 'flows:', not {root.kind}"
    )
    return []


def _expectations(flow: Node, written: Written) -> list[Expectation]:
    """One flow's expectations: more than one where it holds lists. What is wrong is left out, so that the rest can be checked."""
    if not isinstance(flow.value, dict):
        written.wrong(flow.location, f"an expectation is a mapping with from, to and expect, not {flow.kind}")
        return []
    meant = written.check_keys(
        {key: node for key, node in flow.value.items() if not key.startswith("set:")}, (*KEYS, *FIELDS), HELP
    )
    for key, field in {**ENDS, "expect": ""}.items():
        if not {key, field} & {*flow.value, *meant}:
            written.wrong(flow.location, f"'{key}' is missing: say {MISSING[key]}")
    answer, expect = flow.value.get("answer"), flow.value.get("expect")
    if answer and expect and _text(expect).lower() != "accept":
        written.wrong(answer.key, "answer: only what is accepted is answered, so this goes with 'expect: accept'")
    values = {key: _values(key, node, written) for key, node in flow.value.items() if _is_known(key)}
    right = {key: found for key, found in values.items() if found}
    if any(key not in right and field not in right for key, field in ENDS.items()):
        return []
    return [_expectation(flow.location, dict(zip(right, chosen, strict=True))) for chosen in product(*right.values())]


MISSING = {"from": "who sends", "to": "who is to get the packet", "expect": f"what becomes of it, {either(VERDICTS)}"}


def _expectation(location: Location, nodes: dict[str, Node]) -> Expectation:
    texts = {key: _text(node) for key, node in nodes.items()}
    return Expectation(
        location,
        texts.get("name"),
        texts.get("from"),
        texts.get("to"),
        {key: text for key, text in texts.items() if key not in KEYS},
        texts.get("ipv6", "").lower() == "true",
        VERDICTS[texts.get("expect", "accept").lower()],
        texts.get("by"),
        VERDICTS[texts["answer"].lower()] if "answer" in texts else None,
        {key: node.location for key, node in nodes.items()},
    )


def _is_known(key: str) -> bool:
    return key in KEYS or key in FIELDS or key.startswith("set:")


def _values(key: str, node: Node, written: Written) -> list[Node]:
    """The values of a key that are right."""
    items = node.value if isinstance(node.value, list) and key in LISTS else [node]
    if not items:
        written.wrong(node.location, f"{key}: the list is empty")
    found = []
    for item in items:
        try:
            _check(key, item)
            found.append(item)
        except (OptionError, UsageError) as e:
            written.wrong(item.location, e.message)
    return found


def _check(key: str, node: Node) -> None:
    """Raises OptionError or UsageError for a value that means nothing."""
    text = _text(node)
    if not isinstance(node.value, str):
        raise OptionError(f"{key}: write one value, not {node.kind}")
    if not text:
        raise OptionError(f"{key}: there is no value")
    if key in CHECKS:
        try:
            CHECKS[key](text)
        except (OptionError, UsageError) as e:
            raise OptionError(f"{key}: {e.message}") from None
    elif key not in KEYS:
        read_fields({key: text})


def _text(node: Node) -> str:
    """On one line."""
    return " ".join(str(node.value).split())


def _check_decider(text: str) -> None:
    if not DECIDER.fullmatch(text):
        raise OptionError(
            f"write CHAIN, TABLE/CHAIN, TABLE/CHAIN/NUMBER, TABLE/CHAIN/policy, line NUMBER, kernel or kernel/REASON, "
            f"not '{text}' (the tables are {listed(BASE_CHAINS)})"
        )


def _one_of(*words: str) -> Callable[[str], object]:
    return lambda text: Choice(*words, any_case=True).parse(text, 4)


CHECKS: dict[str, Callable[[str], object]] = {
    "from": split_port,
    "to": split_port,
    "expect": _one_of(*VERDICTS),
    "answer": _one_of(*VERDICTS),
    "by": _check_decider,
    "ipv6": _one_of("true", "false"),
}
"""What refuses the values of a key that mean nothing, where read_fields does not."""
