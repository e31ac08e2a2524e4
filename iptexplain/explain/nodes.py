"""What people write by hand, in YAML or as lines of JSON: its values with the places where they stand, and what is wrong with it."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from iptexplain.errors import Location, ParseError

if TYPE_CHECKING:
    import yaml

LONGEST = 200
"""How much of a line an error shows, in characters."""

YAML_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
NULLS = frozenset({"~", "null", "Null", "NULL"})
"""How YAML writes that there is no value; a mapping is read as if it did not have such a key."""

QUOTES = "a text with brackets or colons in it, such as '[2001:db8::1]:80', may need the quotes"
TOO_DEEP = "this is nested too deeply, or contains itself"


class Node(NamedTuple):
    """A value. A scalar is its text as written: nothing is taken for a number, a time or a truth here."""

    location: Location
    value: str | list[Node] | dict[str, Node]
    key: Location
    """Where the key stands that leads to it; its own place where there is none."""

    @property
    def kind(self) -> str:
        """What it is, for messages."""
        return {str: "a text", list: "a list", dict: "a mapping"}[type(self.value)] if self.value else "nothing"


class Written:
    """A text, its values, and its errors: these are collected, so that all of them are told at once."""

    def __init__(self, file: str, lines: list[str]) -> None:
        self.file, self.lines = file, lines
        self.nodes: list[Node] = []
        self.errors: list[ParseError] = []

    def wrong(self, location: Location, message: str) -> None:
        """Remember an error, with the line that it is in. What aliases and lists repeat is told once."""
        if any((e.location, e.message) == (location, message) for e in self.errors):
            return
        line = self.lines[location.line - 1] if location.line <= len(self.lines) else ""
        self.errors.append(ParseError(message, location, line[:LONGEST]))

    def at(self, line: int, column: int = 0) -> Location:
        return Location(self.file, line, column)

    def check_keys(self, mapping: dict[str, Node], known: Sequence[str], hint: str) -> set[str]:
        """Unknown keys are errors; the keys that were probably meant. ``hint``: what to say where nobody knows."""
        meant = set()
        for key, node in mapping.items():
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                meant |= set(near)
                self.wrong(node.key, f"unknown key '{key}': " + (f"did you mean '{near[0]}'?" if near else hint))
        return meant

    def mapping(self, pairs: Iterable[tuple[str, Node]]) -> dict[str, Node]:
        """The pairs by their keys; YAML and JSON would let the last one of a key win, and nobody would see it."""
        found: dict[str, Node] = {}
        for key, node in pairs:
            if key in found:
                self.wrong(node.key, f"'{key}' was given in line {found[key].key.line} already")
            else:
                found[key] = node
        return found


def from_yaml(text: str, file: str, keeps_nulls: bool = False) -> Written:
    """A YAML text: its one document as a node, or none when it is empty or cannot be read. ``keeps_nulls``: as empty texts."""
    import yaml

    written = Written(file, YAML_BREAK.split(text))
    try:
        loader = yaml.BaseLoader(text)
    except yaml.reader.ReaderError as e:
        line = len(YAML_BREAK.findall(text, 0, e.position)) + 1
        written.wrong(written.at(line), f"not YAML: {chr(e.character)!r} may not stand there")
        return written
    try:
        root = loader.get_single_node()
        written.nodes = [_Composed(written, keeps_nulls).node(root)] if root else []
    except yaml.MarkedYAMLError as e:
        mark = e.problem_mark or e.context_mark or loader.get_mark()
        said = ", ".join(filter(None, (e.context, e.problem)))
        written.wrong(written.at(mark.line + 1, mark.column + 1), f"not YAML: {said} ({QUOTES})")
    except RecursionError:
        written.wrong(written.at(1), TOO_DEEP)
    except (ValueError, OverflowError):  # from chr(), for what follows \U in a quoted text
        written.wrong(written.at(loader.line + 1), "not YAML: there is no character of this number")
    return written


class _Composed:
    """Nodes from those of PyYAML. What an alias names is read once, however often it is named."""

    def __init__(self, written: Written, keeps_nulls: bool) -> None:
        self.written, self.keeps_nulls = written, keeps_nulls
        self.values: dict[int, str | list[Node] | dict[str, Node]] = {}

    def node(self, node: yaml.Node, key: yaml.Node | None = None) -> Node:
        if id(node) not in self.values:
            self.values[id(node)] = self._value(node)
        return Node(self._at(node), self.values[id(node)], self._at(key or node))

    def _at(self, node: yaml.Node) -> Location:
        return self.written.at(node.start_mark.line + 1, node.start_mark.column + 1)

    def _value(self, node: yaml.Node) -> str | list[Node] | dict[str, Node]:
        from yaml import MappingNode, ScalarNode

        if not isinstance(node, MappingNode):
            return str(node.value) if isinstance(node, ScalarNode) else [self.node(item) for item in node.value]
        pairs = []
        for key, value in node.value:
            is_null = isinstance(value, ScalarNode) and value.style is None and value.value in NULLS
            if not isinstance(key, ScalarNode):
                self.written.wrong(self._at(key), "a key must be a text")
            elif not is_null:
                pairs.append((str(key.value), self.node(value, key)))
            elif self.keeps_nulls:
                pairs.append((str(key.value), Node(self._at(value), "", self._at(key))))
        return self.written.mapping(pairs)


def from_json_lines(text: str, file: str) -> Written:
    """Lines of JSON: one node for each line that is not blank."""
    written = Written(file, text.removeprefix("\ufeff").split("\n"))
    for number, line in enumerate(written.lines, 1):
        if not line.strip():
            continue
        try:
            # Numbers keep their texts.
            value = json.loads(line, object_pairs_hook=_Pairs, parse_int=str, parse_float=str, parse_constant=str)
            written.nodes.append(_from_json(value, written, written.at(number)))
        except json.JSONDecodeError as e:
            written.wrong(written.at(number, e.colno), f"not JSON: {e.msg}")
        except RecursionError:
            written.wrong(written.at(number), TOO_DEEP)
    return written


class _Pairs(list[tuple[str, Any]]):
    """The keys and values of a JSON object, as often as they stand there."""


def _from_json(value: Any, written: Written, line: Location) -> Node:
    if isinstance(value, _Pairs):
        pairs = [(key, _from_json(v, written, line)) for key, v in value if v is not None]
        return Node(line, written.mapping(pairs), line)
    if isinstance(value, list):
        return Node(line, [_from_json(v, written, line) for v in value], line)
    return Node(line, value if isinstance(value, str) else json.dumps(value), line)
