"""What the host's addresses and routes say of all addresses at once: the ranges in which one answer holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

from iptexplain.host.topology import Topology
from iptexplain.rules.addresses import BITS, Address, Network, to_network
from iptexplain.rules.values import Interval

T = TypeVar("T")

APART = {
    4: ("0.0.0.0/32", "0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "224.0.0.1/32", "255.255.255.255/32"),
    6: (
        "::/128", "::1/128", "fe80::/10", "ff00::/8", "ff02::1/128",
        *(f"ff{flags:x}{scope}::/16" for flags in range(16) for scope in (0, 1)),
    ),
}  # fmt: skip
"""The networks that the kernel treats in a way of their own, whatever the host's addresses are."""


class Places:
    """Every answer of ``topology`` about an address is the same from one of the ``starts`` to the next."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.top = (1 << BITS[topology.family]) - 1
        self._apart = [to_network(text, topology.family) for text in APART[topology.family]]
        starts = {0}
        for low, high in self._ranges():
            starts |= {low, low + 1, high, high + 1}  # the first and the last address of a network are like no others
        self.starts = sorted(start for start in starts if start <= self.top)

    def _ranges(self) -> Iterator[Interval]:
        networks: list[Network] = [*self._apart]
        networks += [r.network for r in self.topology.routes]
        networks += [a.network for a in self.topology.addresses]
        yield from ((n.number, n.number | n.mask ^ self.top) for n in networks)
        own = [a.address for a in self.topology.addresses]
        own += [address for e in self.topology.endpoints for address in e.addresses]
        yield from ((a.number, a.number) for a in own)

    def split(self, answer: Callable[[Address], T]) -> dict[T, list[Interval]]:
        """Each answer with the addresses for which it is given, as sorted, separate intervals."""
        found: dict[T, list[Interval]] = {}
        ends = [start - 1 for start in self.starts[1:]] + [self.top]
        for low, high in zip(self.starts, ends, strict=True):
            intervals = found.setdefault(answer(Address(self.topology.family, low)), [])
            if intervals and intervals[-1][1] == low - 1:
                intervals[-1] = (intervals[-1][0], high)
            else:
                intervals.append((low, high))
        return found

    def apart(self, address: Address) -> tuple[bool, ...]:
        """In which of the networks APART an address lies."""
        return tuple(network.covers(address) for network in self._apart)
