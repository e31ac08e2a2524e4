"""A POLICY file: many wishes of restrict, allow and isolate, in YAML, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, product
from typing import NamedTuple, TypeVar

from iptexplain.errors import IptexplainError, Location, OptionError
from iptexplain.explain.nodes import Node, Written, from_yaml
from iptexplain.explain.words import said
from iptexplain.generate.between import Service, split_service
from iptexplain.rules.addresses import Network, to_network

T = TypeVar("T")
KINDS = ("restrict", "allow", "isolate")
HELP = "'iptexplain generate policy --help' names those that there are"
TRUTHS = {"true": True, "false": False}


class Restricted(NamedTuple):
    """``restrict``: published ports, and who may use them."""

    location: Location
    ports: tuple[str, ...]
    clients: tuple[Network, ...]
    container: str | None
    network: str | None
    drops_rest: bool


class Between(NamedTuple):
    """``allow``, from ``a`` to ``b``, and ``isolate``; each end a network or a container."""

    location: Location
    a: str
    b: str
    service: Service | None = None


class Policy(NamedTuple):
    restrict: list[Restricted]
    allow: list[Between]
    isolate: list[Between]


def read_policy(text: str, file: str) -> tuple[Policy, Written]:
    """The wishes of a POLICY file, and the file with the errors that were found in it."""
    written = from_yaml(text, file)
    policy = Policy([], [], [])
    for root in written.nodes:
        if not isinstance(root.value, dict):
            written.wrong(root.location, f"write a mapping with restrict, allow and isolate, not {root.kind}")
            continue
        written.check_keys(root.value, KINDS, HELP)
        reader = Reader(written)
        policy.restrict.extend(filter(None, map(reader.restricted, reader.items(root.value.get("restrict")))))
        policy.allow.extend(wish for item in reader.items(root.value.get("allow")) for wish in reader.allowed(item))
        policy.isolate.extend(
            wish for item in reader.items(root.value.get("isolate")) for wish in reader.isolated(item)
        )
    if not any(policy) and not written.errors:
        written.wrong(written.at(1), "there is no wish in it: write a list under restrict, allow or isolate")
    return policy, written


class Reader:
    """Nodes as wishes. What is wrong is told and left out, so that the rest can be checked."""

    def __init__(self, written: Written) -> None:
        self.written = written

    def items(self, node: Node | None) -> list[Node]:
        """The list under restrict, allow or isolate."""
        if node is None or (isinstance(node.value, list) and node.value):
            return node.value if node and isinstance(node.value, list) else []
        self.written.wrong(node.location, f"write a list of wishes ('- ...'), not {node.kind}")
        return []

    def restricted(self, item: Node) -> Restricted | None:
        found = self.mapping(item, ("port", "from", "container", "network", "drop-rest"), ("from",))
        if not {"port", "container", "network"} & found.keys():
            if found:
                self.written.wrong(item.location, "say which ports: 'port', 'container' or 'network' is missing")
            return None
        ports = tuple(self.texts(found, "port", str))
        clients = tuple(self.texts(found, "from", to_network))
        names = {key: next(self.texts(found, key, str, several=False), None) for key in ("container", "network")}
        rest = next(self.texts(found, "drop-rest", truth, several=False), False)
        return Restricted(item.location, ports, clients, names["container"], names["network"], rest)

    def allowed(self, item: Node) -> Iterator[Between]:
        """A list under from or to stands for a wish with each of its items."""
        found = self.mapping(item, ("from", "to"), ("from", "to"))
        for a, (b, service) in product(self.texts(found, "from", str), list(self.texts(found, "to", split_service))):
            yield Between(item.location, a, b, service)

    def isolated(self, item: Node) -> Iterator[Between]:
        """Any two of the list."""
        if not isinstance(item.value, list) or len(item.value) < 2:
            self.written.wrong(
                item.location, "write a list of two names or more, such as '- [n1, n2]': nothing passes between any two"
            )
            return
        names = list(self.texts({"isolate": item}, "isolate", str))
        yield from (Between(item.location, a, b) for a, b in combinations(names, 2))

    def mapping(self, item: Node, keys: tuple[str, ...], needed: tuple[str, ...]) -> dict[str, Node]:
        if not isinstance(item.value, dict):
            self.written.wrong(item.location, f"write a mapping with {', '.join(keys)}, not {item.kind}")
            return {}
        meant = self.written.check_keys(item.value, keys, HELP)
        for key in needed:
            if key not in item.value and key not in meant:
                self.written.wrong(item.location, f"'{key}' is missing")
        return item.value

    def texts(self, found: dict[str, Node], key: str, read: Callable[[str], T], several: bool = True) -> Iterator[T]:
        """The values of a key that are right: one, or a list."""
        node = found.get(key)
        if node is None:
            return
        items = node.value if isinstance(node.value, list) and several else [node]
        if not items:
            self.written.wrong(node.location, f"{key}: the list is empty")
        for item in items:
            if not isinstance(item.value, str) or not item.value:
                self.written.wrong(item.location, f"{key}: write a text, not {item.kind}")
                continue
            try:
                yield read(item.value)
            except IptexplainError as e:
                self.written.wrong(item.location, f"{key}: {e.message}")


def truth(text: str) -> bool:
    if text.lower() not in TRUTHS:
        raise OptionError(f"'{said(text)}' is neither true nor false")
    return TRUTHS[text.lower()]
