"""The values of a compose file, with their places: variables filled in, '<<' merged, and what is wrong told with its line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from iptexplain.errors import OptionError
from iptexplain.explain.nodes import TOO_DEEP, Node, Written
from iptexplain.explain.words import said
from iptexplain.generate.compose.variables import Variables
from iptexplain.rules.addresses import Address, Network, to_address, to_network

MERGE = "<<"
TRUTHS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), False),
}
"""What compose takes for true and false."""
HINT = "there is none such in a compose file"
FULL = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){3}")
"""An IPv4 address with all of its parts."""
NEAR = 0.8
"""How alike a key must be to one that matters here to be taken for that one, misspelt."""


class Reader:
    """What a key should hold is said by the method that reads it; what it lacks is an empty value."""

    def __init__(self, written: Written, variables: Variables) -> None:
        self.written, self.variables = written, variables
        self._merged: dict[int, dict[str, Node]] = {}

    def mapping(self, node: Node | None, what: str, known: Sequence[str] = ()) -> dict[str, Node]:
        """The keys and values; with ``known``, those are all that there are, but for x-..."""
        if node is None or node.value == "":
            return {}
        if not isinstance(node.value, dict):
            self.written.wrong(node.location, f"{what}: write a mapping, not {node.kind}")
            return {}
        try:
            found = self._with_merged(node.value)
        except RecursionError:
            self.written.wrong(node.location, f"{what}: {TOO_DEEP}")
            return {}
        if known:
            self.written.check_keys({k: n for k, n in found.items() if not k.startswith("x-")}, known, HINT)
        return found

    def check_near(self, found: dict[str, Node], matter: Sequence[str]) -> None:
        """Keys that are nearly, but not quite, those that matter here. Compose may have others that do not."""
        for key, node in found.items():
            near = difflib.get_close_matches(key, matter, 1, NEAR)
            if near and key not in matter:
                self.written.wrong(node.key, f"unknown key '{key}': did you mean '{near[0]}'?")

    def _with_merged(self, value: dict[str, Node]) -> dict[str, Node]:
        """With what ``<<`` brings in. A mapping's own keys come first, then those of the first that is named."""
        if MERGE not in value:
            return value
        if id(value) not in self._merged:
            brought = value[MERGE]
            found = {key: node for key, node in value.items() if key != MERGE}
            for each in brought.value if isinstance(brought.value, list) else [brought]:
                if isinstance(each.value, dict):
                    found = {**self._with_merged(each.value), **found}
                else:
                    self.written.wrong(each.location, f"'<<' brings in a mapping, not {each.kind}")
            self._merged[id(value)] = found
        return self._merged[id(value)]

    def items(self, node: Node | None, what: str) -> list[Node]:
        if node is None or node.value == "":
            return []
        if not isinstance(node.value, list):
            self.written.wrong(node.location, f"{what}: write a list ('- ...'), not {node.kind}")
            return []
        return node.value

    def text(self, node: Node | None, what: str) -> str:
        if node is None:
            return ""
        if not isinstance(node.value, str):
            self.written.wrong(node.location, f"{what}: write a text, not {node.kind}")
            return ""
        try:
            return self.variables.filled(node.value)
        except OptionError as e:
            self.written.wrong(node.location, f"{what}: {e.message}")
        except RecursionError:
            self.written.wrong(node.location, f"{what}: these variables are too deep in each other")
        return ""

    def flag(self, node: Node | None, what: str, default: bool) -> bool:
        text = self.text(node, what)
        if text and text.lower() not in TRUTHS:
            self.written.wrong(node.location if node else self.written.at(1), f"{what}: write true or false")
        return TRUTHS.get(text.lower(), default)

    def number(self, node: Node | None, what: str, default: int) -> int:
        text = self.text(node, what)
        if not text:
            return default
        if not (text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 10):
            self.written.wrong(node.location if node else self.written.at(1), f"{what}: write a number")
            return default
        return int(text)

    def plain(self, node: Node) -> Node:
        """The same with variables filled in and '<<' merged, all the way down."""
        try:
            return self._plain(node, {})
        except RecursionError:
            self.written.wrong(node.location, TOO_DEEP)
            return node._replace(value="")

    def _plain(self, node: Node, done: dict[int, str | list[Node] | dict[str, Node]]) -> Node:
        if id(node.value) not in done:
            value: str | list[Node] | dict[str, Node]
            if isinstance(node.value, dict):
                value = {key: self._plain(each, done) for key, each in self._with_merged(node.value).items()}
            elif isinstance(node.value, list):
                value = [self._plain(each, done) for each in node.value]
            else:
                return node._replace(value=self.text(node, "a variable"))
            done[id(node.value)] = value
        return node._replace(value=done[id(node.value)])


def address(text: str) -> Address:
    """An address in full, as Docker takes it. Raises OptionError."""
    if ":" not in text and not FULL.fullmatch(text):
        raise OptionError(f"'{said(text)}' is no address")
    return to_address(text)


def subnet(text: str) -> Network:
    """``ADDRESS/LENGTH``. Raises OptionError."""
    word, _, length = text.partition("/")
    if not re.fullmatch("[0-9]{1,3}", length):
        raise OptionError(f"'{said(text)}' is no subnet: write it like 192.168.100.0/24")
    found, given = to_network(text, address(word).family), address(word)
    if found.number != given.number:
        raise OptionError(f"'{said(text)}' is an address in {found}: Docker takes a subnet by its first address alone")
    return found
