"""What the makers of rules share: chance, the host's addresses, and where the rule that is being made will stand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from random import Random
from typing import Any, NamedTuple, TypeVar

from tests.kernel.generate.pools import NOBODY, PORTS, Pools

T = TypeVar("T")
Wish = dict[str, Any]
"""The fields of a packet that would match: src and dst as networks, iif, oif, from, proto, sport, dport, flags, icmp_type …"""


class Clause(NamedTuple):
    """A part of a rule as iptables is given it, and the packet that it wishes for."""

    text: str
    wish: Wish = {}


class MadeSet(NamedTuple):
    """An IP set: how many sides a rule has to name for it, and an address in it."""

    name: str
    sides: int
    member: str


@dataclass
class Scene:
    random: Random
    pools: Pools
    sets: list[MadeSet] = field(default_factory=list)
    table: str = "filter"
    hooks: frozenset[str] = frozenset()
    """The base chains by which a packet can come to the rule."""
    user_chain: bool = False
    ranges: bool = False
    """Whether NAT is to leave the kernel a choice."""
    rare: bool = False
    """Whether rules are to have what fewer people write."""

    @property
    def family(self) -> int:
        return self.pools.family

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, things: Sequence[T]) -> T:
        return self.random.choice(things)

    def weighted(self, things: Sequence[tuple[int, T]]) -> T:
        return self.random.choices([thing for _, thing in things], [weight for weight, _ in things])[0]

    def inverted(self, probability: float = 0.15) -> str:
        return "! " if self.chance(probability) else ""

    def only_at(self, *hooks: str) -> bool:
        """Whether the rule is reached from these base chains alone."""
        return self.hooks <= set(hooks)

    def never_at(self, *hooks: str) -> bool:
        return not self.hooks & set(hooks)

    def address(self) -> str:
        groups = [(6, [own.address for own in self.pools.own]), (8, [end.address for end in self.pools.near]),
                  (5, self.pools.remote), (1, [NOBODY[self.family]])]  # fmt: skip
        return self.pick(self.weighted(groups))

    def network(self) -> str:
        """An address, or a network around one."""
        kind = self.random.random()
        if kind < 0.3:
            return str(self.pick(self.pools.own).network)
        address = self.address()
        if kind < 0.65:
            return address
        lengths = [8, 12, 16, 20, 24, 25, 28, 30, 31] if self.family == 4 else [16, 32, 48, 64, 96, 124, 127]
        return str(ip_network(f"{address}/{self.pick(lengths)}", strict=False))

    def interface(self) -> str:
        name = self.pick(self.pools.interfaces)
        kind = self.random.random()
        if kind < 0.12:
            return re.sub(r"[0-9a-f]*$", "", name)[: len(name) - 1] + "+"
        return self.pick(["veth+", "br-+", "tun0", "wg0", "eth+"]) if kind < 0.16 else name

    def ports(self) -> tuple[str, int]:
        """A port or a range of ports, and one in it."""
        port, other = self.pick(PORTS), self.pick(PORTS)
        low, high = sorted((port, other))
        ranges = [(13, (str(port), port)), (5, (f"{low}:{high}", self.pick([low, high, (low + high) // 2]))),
                  (1, (f":{port}", port)), (1, (f"{port}:", port))]  # fmt: skip
        return self.weighted(ranges)
