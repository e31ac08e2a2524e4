"""What the host's addresses and routes say of all addresses at once: the ranges in which one answer holds."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from functools import cached_property
from typing import TypeVar

from iptexplain.host.topology import Topology, is_link_local
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
        return self._split(lambda low: answer(Address(self.topology.family, low)))

    def routed(self, answer: Callable[[Address], T]) -> dict[T, list[Interval]]:
        """The same for an answer that hangs on nothing but routing: asked once for each kind of address that it can tell apart."""
        by_kind = {
            kind: answer(Address(self.topology.family, intervals[0][0])) for kind, intervals in self._kinds.items()
        }
        return self._split(lambda low: by_kind[self._kind_of[low]])

    def _split(self, answer: Callable[[int], T]) -> dict[T, list[Interval]]:
        found: dict[T, list[Interval]] = {}
        ends = [start - 1 for start in self.starts[1:]] + [self.top]
        for low, high in zip(self.starts, ends, strict=True):
            intervals = found.setdefault(answer(low), [])
            if intervals and intervals[-1][1] == low - 1:
                intervals[-1] = (intervals[-1][0], high)
            else:
                intervals.append((low, high))
        return found

    @cached_property
    def _kind_of(self) -> dict[int, Hashable]:
        """Start → all that routing can tell of the addresses there: the same kind has the same route and type, and is the host's
        on the same interfaces."""
        return {start: self._kind(Address(self.topology.family, start)) for start in self.starts}

    @cached_property
    def _kinds(self) -> dict[Hashable, list[Interval]]:
        return self._split(self._kind_of.__getitem__)

    def _kind(self, address: Address) -> Hashable:
        own = tuple(a.interface for a in self.topology.addresses if a.address == address)
        route = self.topology.route(address)
        # Where the way in counts for the route (rt6_need_strict), every address is a kind of its own.
        strict = address if self.topology.family == 6 and (is_link_local(address) or address.number == 1) else None
        return self.apart(address), self.topology.address_type(address), own, route, strict

    def apart(self, address: Address) -> tuple[bool, ...]:
        """In which of the networks APART an address lies."""
        return tuple(network.covers(address) for network in self._apart)
