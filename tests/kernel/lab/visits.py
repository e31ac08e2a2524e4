"""What a trace tells: packets in the tables that they pass, with the rules that they meet there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.kernel.lab.reading import Read

OWN_TABLE = "checkpoints"
"""The laboratory's own nft table; nothing of it is a step."""


class Step(NamedTuple):
    """A rule by its number in its chain, or ``policy``; ``drops``: the packet ended here."""

    table: str
    chain: str
    rule: int | str
    action: str
    drops: bool

    def json(self) -> dict[str, Any]:
        return {"table": self.table, "chain": self.chain, "rule": self.rule, "action": self.action}


@dataclass
class Visit:
    """A packet in one base chain: as it stood when the trace first spoke of it, and the steps that it took."""

    table: str
    chain: str
    packet: Read
    iif: str | None = None
    oif: str | None = None
    mark: int = 0
    ctstate: str | None = None
    reply: bool | None = None
    """Whether it goes its connection's other way; None: it has none."""
    steps: list[Step] = field(default_factory=list)
