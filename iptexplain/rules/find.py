"""Extensions by name: presence of the file is registration. What no file knows is kept as written."""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from pathlib import Path

from iptexplain.rules.answer import Answer, Backend, Packet
from iptexplain.rules.extension import Extension, Match, Target

OUT_OF_TREE = frozenset(
    ("ACCOUNT", "CHAOS", "DELUDE", "DHCPMAC", "DNETMAP", "ECHO", "FLOWOFFLOAD", "FULLCONENAT", "IMQ", "IPMARK",
     "LOGMARK", "MIRROR", "PROTO", "RAWDNAT", "RAWSNAT", "ROUTE", "RTPENGINE", "SYSRQ", "TARPIT", "XOR")
)  # fmt: skip
"""Targets from outside iptables that are used without options: not taken for a chain that is missing."""


class UnknownMatch(Match):
    """A match (or an option) that iptexplain does not know: kept as written, answered with UNKNOWN."""

    name = "unknown"
    __slots__ = ("given_name", "raw")

    def __init__(self, given_name: str, raw: str) -> None:
        super().__init__()
        self.given_name, self.raw = given_name, raw

    @property
    def called(self) -> str:
        return self.given_name

    def clause(self) -> str:
        """The clause as it stands in the dump."""
        return " ".join(filter(None, (f"-m {self.given_name}" if self.given_name else "", self.raw)))

    def save(self, backend: Backend) -> str:
        return self.clause()

    def save_options(self, backend: Backend) -> str:
        return self.raw

    def answer(self, packet: Packet) -> Answer:
        return Answer.UNKNOWN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnknownMatch) and (self.given_name, self.raw) == (other.given_name, other.raw)

    def __hash__(self) -> int:
        return hash((self.given_name, self.raw))


class UnknownTarget(Target):
    """A target that iptexplain does not know: kept as written; nobody can tell whether the next rule is asked."""

    name = "unknown"
    verdict = "UNKNOWN"
    __slots__ = ("given_name", "raw")

    def __init__(self, given_name: str, raw: str) -> None:
        super().__init__()
        self.given_name, self.raw = given_name, raw

    @property
    def called(self) -> str:
        return self.given_name

    def clause(self) -> str:
        """The clause as it stands in the dump."""
        return " ".join(filter(None, (f"-j {self.given_name}", self.raw)))

    def save(self, backend: Backend) -> str:
        return self.clause()

    def save_options(self, backend: Backend) -> str:
        return self.raw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnknownTarget) and (self.given_name, self.raw) == (other.given_name, other.raw)

    def __hash__(self) -> int:
        return hash((self.given_name, self.raw))


@cache
def find_match(name: str) -> type[Match] | None:
    """The class of the match ``name``, or None when no file has that name."""
    found = _find("matches", name)
    return found if found is not None and issubclass(found, Match) else None


@cache
def find_target(name: str) -> type[Target] | None:
    """The class of the target ``name``, or None when no file has that name."""
    found = _find("targets", name)
    return found if found is not None and issubclass(found, Target) else None


def _find(package: str, name: str) -> type[Extension] | None:
    stem = name.lower().replace("-", "_")
    if not stem.isidentifier() or (package == "matches") != (name == name.lower()):
        return None
    module = f"iptexplain.rules.{package}.{stem}"
    if importlib.util.find_spec(module) is None:
        return None
    classes = vars(importlib.import_module(module)).values()
    return next(
        (c for c in classes if isinstance(c, type) and issubclass(c, Extension) and vars(c).get("name") == name), None
    )


def owners(option: str) -> str:
    """What a rule must say before ``option`` can be used, in words; empty when no extension has it."""
    names = [p.stem for p in sorted((Path(__file__).parent / "matches").glob("[a-z]*.py"))]
    owners = [m for m in map(find_match, names) if m and option in m.names]
    protocols = [f"-p {m.name}" for m in owners if m.name in m.protocols]
    protocols.sort(key=lambda p: p not in ("-p tcp", "-p udp"))
    return " or ".join((protocols or [f"-m {m.name} before it" for m in owners])[:3])
