"""Docker's chains: which layout a ruleset has, and so which engines may have written it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from iptexplain.recognise.shape import Roles, Shape
from iptexplain.rules.model import Jump, Rule, Ruleset

SHAPES = (
    Shape("jump-user", "filter", "FORWARD -j DOCKER-USER"),
    Shape("jump-isolation", "filter", "FORWARD -j DOCKER-ISOLATION-STAGE-1"),
    Shape("jump-isolation", "filter", "FORWARD -j DOCKER-ISOLATION"),
    Shape("jump-forward", "filter", "FORWARD -j DOCKER-FORWARD"),
    Shape("jump-ct", "filter", "DOCKER-FORWARD -j DOCKER-CT"),
    Shape("jump-isolation", "filter", "DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1"),
    Shape("jump-internal", "filter", "DOCKER-FORWARD -j DOCKER-INTERNAL"),
    Shape("jump-bridge", "filter", "DOCKER-FORWARD -j DOCKER-BRIDGE"),
    Shape("jump-published-in", "nat", "PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"),
    Shape("jump-published-out", "nat", "OUTPUT[ ! -d {loopback}] -m addrtype --dst-type LOCAL -j DOCKER"),
)


class Layout(NamedTuple):
    """A way in which a range of engines arranges its rules; ``last`` None: the newest engine known writes it too."""

    name: str
    first: str
    last: str | None
    lines: tuple[int, ...]
    """The lines of the dump that say so."""


Test = Callable[["_Shape"], tuple[int, ...]]


class _Shape:
    """What the tests ask of a ruleset; each answer is the lines that prove it."""

    def __init__(self, ruleset: Ruleset) -> None:
        self.ruleset = ruleset

    def chain(self, name: str, table: str = "filter") -> tuple[int, ...]:
        found = self.ruleset.chain(table, name)
        return (found.line,) if found and found.policy is None else ()

    def jump(self, chain: str, target: str) -> tuple[int, ...]:
        return self.rules(chain, lambda r: isinstance(r.target, Jump) and r.target.chain == target)

    def rules(self, chain: str, test: Callable[[Rule], bool], table: str = "filter") -> tuple[int, ...]:
        found = self.ruleset.chain(table, chain)
        return tuple(r.line for r in found.rules if test(r))[:1] if found else ()

    def all(self, *lines: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(n for some in lines for n in some) if all(lines) else ()

    def internal_chain(self) -> tuple[int, ...]:
        """29's jump to DOCKER-INTERNAL; an older engine that runs after a downgrade has its own isolation jump as well."""
        return (
            () if self.jump("FORWARD", "DOCKER-ISOLATION-STAGE-1") else self.jump("DOCKER-FORWARD", "DOCKER-INTERNAL")
        )

    def external_set(self) -> tuple[int, ...]:
        return self.rules("FORWARD", lambda r: any("docker-ext-bridges" in repr(m) for m in r.matches))

    def subnet_pairs(self) -> tuple[int, ...]:
        """1.9's isolation: FORWARD -s SUBNET -d SUBNET -j DROP."""
        return self.rules("FORWARD", lambda r: {s.option.key for s in r.parameters.settings} == {"s", "d"})


LAYOUTS: tuple[tuple[str, str, str | None, Test], ...] = (
    ("internal-chain", "29.0.0", None, lambda s: s.internal_chain()),
    ("forward-ct-bridge", "28.0.1", "28.5.2", lambda s: s.jump("DOCKER-FORWARD", "DOCKER-ISOLATION-STAGE-1")),
    ("ext-bridges", "28.0.0", "28.0.0", lambda s: s.external_set()),
    ("stage-isolation", "18.03.1", "27.5.1", lambda s: s.chain("DOCKER-ISOLATION-STAGE-1")),
    ("isolation-user", "17.06", "18.03.0", lambda s: s.all(s.chain("DOCKER-ISOLATION"), s.chain("DOCKER-USER"))),
    ("isolation", "1.10", "17.05", lambda s: s.chain("DOCKER-ISOLATION")),
    ("subnet-isolation", "1.9", "1.9", lambda s: s.all(s.chain("DOCKER"), s.subnet_pairs())),
    ("filter-chain", "1.5", "1.9", lambda s: s.chain("DOCKER")),
    ("nat-only", "0.1", "1.4", lambda s: s.chain("DOCKER", "nat")),
)  # fmt: skip
"""The first test that finds lines decides; the order and the versions are those of Docker's sources."""


def recognise(ruleset: Ruleset, roles: Roles) -> Layout | None:
    """The layout of Docker's chains, or None when there are none."""
    shape = _Shape(ruleset)
    for name, first, last, test in LAYOUTS:
        lines = test(shape)
        if lines:
            return Layout(name, first, last, lines)
    return None


def docker_chains(ruleset: Ruleset) -> list[tuple[str, str]]:
    """(table, chain) of every user chain with one of Docker's names."""
    return [
        (t.name, c.name)
        for t in ruleset.tables.values()
        for c in t.chains.values()
        if c.policy is None and is_dockers(c.name)
    ]


def is_dockers(chain: str) -> bool:
    """Whether a user chain has one of Docker's names."""
    return chain == "DOCKER" or chain.startswith(("DOCKER-", "DOCKER_"))
