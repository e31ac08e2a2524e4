"""What a NAT target makes of all packets (walk/translation.py says it of one): where the kernel is bound, the new address and
port; where it may choose, a question of its own for an address that routing depends on, and else only that it is chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from iptexplain.host.topology import Topology, is_link_local
from iptexplain.rules.addresses import BITS, Address, Network, to_address
from iptexplain.rules.model import Place, Rule
from iptexplain.rules.nat import NatRange, NatTarget
from iptexplain.sets.change import Change, Chosen, Shift
from iptexplain.sets.conditions import Conditions, Kind
from iptexplain.sets.fields import REWRITTEN
from iptexplain.sets.space import NO, YES, Diagram
from iptexplain.sets.ways import ACCEPT, DROP, End, Piece, Ways
from iptexplain.walk.conntrack import TRACKED_PORTS
from iptexplain.walk.decide import BRANCH_LIMIT
from iptexplain.walk.hooks import MANIP
from iptexplain.walk.translation import LOOPBACK, PORT_KEYS

MOST_PIECES = 256
"""Into how many pieces NETMAP may part the addresses."""

MOST_PORTS = 0x2000
"""Into how many a shifted range may part the ports."""


OUTGOING = Chosen("the address on the way out")
"""What MASQUERADE puts in, see Topology.masquerade_address."""


class Case(NamedTuple):
    """Packets, what becomes of one end of theirs, and which of them had that already; ``lost``: they are dropped."""

    where: Diagram
    change: Change | None
    same: Diagram
    lost: bool = False


class Nat:
    """The targets of the nat table."""

    def __init__(self, ways: Ways, conditions: Conditions, topology: Topology) -> None:
        self.ways, self.conditions, self.topology = ways, conditions, topology
        self.space, self.kinds, self.level = ways.space, conditions.kinds, conditions.kinds.fields.level

    def of(self, target: NatTarget, rule: Rule, hook: str, place: Place, by: Place | None) -> Piece:
        """What the target of ``rule`` does at ``hook``. ``by``: how the place is called in the ends."""
        manip = MANIP[hook]
        if target.name == "NETMAP":
            side = rule.parameters.get(manip[0])
            spoken_of = None if side is None or side.inverted else side.value
            addresses, ports = self._netmap(target.value("to"), spoken_of, manip), [Case(YES, None, YES)]
        else:
            chosen = target.translation(Kind({}))
            random = any(target.get(key) for key in ("random", "random_fully"))
            addresses = list(self._addresses(target, chosen, manip, place, random))
            ports = list(self._ports(chosen, manip, random))
        cases = [piece for a in addresses for p in ports for piece in self._rewritten(manip, a, p, by)]
        return self.ways.cases([(where, piece) for where, piece in cases if where != NO])

    def _rewritten(self, manip: str, address: Case, port: Case, by: Place | None) -> Iterator[tuple[Diagram, Piece]]:
        """Whether the connection counts as rewritten depends on whether anything is new."""
        where = self.space.both(address.where, port.where)
        if address.lost:
            yield where, self.ways.ending(End(DROP, by=by))
            return
        both = ((self.level[manip], address.change), (self.level[PORT_KEYS[manip]], port.change))
        changes = {level: change for level, change in both if change is not None}
        moved = {self.level["ctstatus:DNAT" if manip == "dst" else "ctstatus:SNAT"]: 1}
        elsewhere = {**moved, self.level[REWRITTEN]: 1} if manip == "dst" else moved
        for part, more in (
            (self.space.both(address.same, port.same), {}),
            (self.space.minus(address.same, port.same), moved),
            (self.space.complement(address.same), elsewhere),
        ):
            nat = (by,) if by and more else ()
            end = End(ACCEPT, tuple(sorted({**changes, **more}.items())), by, nat=nat)
            yield self.space.both(part, where), self.ways.ending(end)

    # -- addresses

    def _addresses(self, target: NatTarget, chosen: NatRange, manip: str, place: Place, random: bool) -> Iterator[Case]:
        if chosen.first is None or chosen.last is None:
            own = {"MASQUERADE": self._masquerade, "REDIRECT": self._redirect}.get(target.name)
            yield from own() if own else [Case(YES, None, YES)]
            return
        first, last = chosen.first.number, chosen.last.number
        if first == last:
            yield self._fixed(YES, manip, chosen.first)
        elif manip == "src":
            fits = self.space.among(self.level["src"], [(first, last)] if first <= last and not random else [])
            if chosen.ports is not None:
                fits = self.space.both(fits, self.space.among(self.level["sport"], [chosen.ports]))
            yield Case(fits, None, YES)
            yield Case(self.space.complement(fits), Chosen(f"{chosen.first}-{chosen.last}"), NO)
        elif last - first >= BRANCH_LIMIT:
            yield Case(YES, Chosen(f"{chosen.first}-{chosen.last}"), NO)
        else:
            level = self.conditions.variable(place, target, last - first)
            for number in range(last - first + 1):
                yield self._fixed(
                    self.space.among(level, [(number, number)]), manip, Address(chosen.first.family, first + number)
                )

    def _fixed(self, where: Diagram, manip: str, address: Address) -> Case:
        return Case(where, address.number, self.space.among(self.level[manip], [(address.number, address.number)]))

    def _masquerade(self) -> Iterator[Case]:
        """The address that the host has on the way out; without any the packet is dropped. To an address of a link only the link's
        own addresses send."""
        space, usable = self.space, [a for a in self.topology.addresses if not self.topology.is_loopback(a.address)]
        linked = self._link_local()
        far = space.complement(linked) if usable else NO
        near = space.both(linked, self.kinds.one_of("oif", sorted({a.interface for a in usable})))
        has = space.either(far, near) if self.topology.known_addresses else YES
        yield Case(has, OUTGOING, NO)
        own = self.kinds.by_address("is_local", "dst", self.topology.is_local) if self.topology.family == 6 else []
        mine = space.union([part for part, is_local in own if is_local])
        yield Case(space.minus(mine, has), Chosen("the address itself"), NO)
        yield Case(space.complement(space.either(mine, has)), None, YES, lost=True)

    def _link_local(self) -> Diagram:
        if self.topology.family == 4:
            return NO
        parts = self.kinds.by_address("is_link_local", "dst", is_link_local)
        return self.space.union([part for part, is_near in parts if is_near])

    def _redirect(self) -> Iterator[Case]:
        """The first address of the interface that the packet came in by; for the host's own packets loopback's."""
        own = self.kinds.number("iif", self.kinds.fields.interfaces.number(""))
        yield self._fixed(own, "dst", to_address(LOOPBACK[self.topology.family], self.topology.family))
        other = self.space.complement(own)
        for name in sorted({a.interface for a in self.topology.addresses}):
            came_in = self.kinds.value("iif", name)
            other = self.space.minus(other, came_in)
            yield from self._redirect_at(name, came_in)
        yield Case(other, None, YES, lost=self.topology.known_addresses)

    def _redirect_at(self, name: str, came_in: Diagram) -> Iterator[Case]:
        mine = [a.address for a in self.topology.addresses if a.interface == name]
        linked = self._link_local()
        for near, where in ((True, linked), (False, self.space.complement(linked))):
            first = next((a for a in mine if is_link_local(a) or not near), None)
            here = self.space.both(where, came_in)
            if first is not None:
                yield self._fixed(here, "dst", first)
            else:
                yield Case(here, None, YES, lost=self.topology.known_addresses)

    def _netmap(self, network: Network, side: Network | None, manip: str) -> list[Case]:
        """The network's bits are replaced, the host's kept; ``side``: the addresses that the rule speaks of."""
        bits, prefix = BITS[network.family], network.prefix or 0
        within = side if side and side.prefix is not None else Network(network.family, 0, 0)
        size = 1 << bits - prefix
        count = 1 << max(prefix - (within.prefix or 0), 0)
        if count > MOST_PIECES:
            inside = self.space.among(self.level[manip], [(network.number, network.number + size - 1)])
            outside = Case(self.space.complement(inside), Chosen(f"the same host in {network}"), NO)
            return [Case(inside, None, YES), outside]
        first = within.number // size * size
        pieces = tuple((n, n + size - 1, network.number) for n in range(first, first + count * size, size))
        same = self.space.among(self.level[manip], [(n, last) for n, last, new in pieces if n == new])
        return [Case(YES, Shift(pieces), same)]

    # -- ports

    def _ports(self, chosen: NatRange, manip: str, random: bool) -> Iterator[Case]:
        """Only protocols with ports have one here; a ping's id is no field of a set."""
        tracked = self.kinds.one_of("proto", TRACKED_PORTS)
        yield Case(self.space.complement(tracked), None, YES)
        level = self.level[PORT_KEYS[manip]]
        if chosen.ports is None:
            yield Case(tracked, Chosen("a free port"), NO) if random and manip == "src" else Case(tracked, None, YES)
            return
        low, high = chosen.ports
        free = Chosen(f"a free port of {low}-{high}" + (f", counted from {chosen.base}" if chosen.base else ""))
        if chosen.base is not None and manip == "dst":
            shift = Shift(tuple(_counted(low, high, chosen.base)))
            if len(shift.pieces) > MOST_PORTS:
                yield Case(tracked, free, NO)
                return
            same = [(first, last) for first, last, new in shift.pieces if first == new]
            yield Case(tracked, shift, self.space.among(level, same))
            return
        inside = self.space.among(level, [(low, high)])
        if low == high:
            yield Case(tracked, low, inside)
            return
        if random:
            yield Case(tracked, free, NO)
            return
        yield Case(self.space.both(tracked, inside), None, YES)
        yield Case(self.space.minus(tracked, inside), low if manip == "dst" else free, NO)


def _counted(low: int, high: int, base: int) -> Iterator[tuple[int, int, int]]:
    """Pieces of old ports, counted from ``base`` round and round the range."""
    size = high - low + 1
    for old, end in ((0, base), (base, 0x10000)):
        while old < end:
            within = (old - base & 0xFFFF) % size
            last = min(end - 1, old + size - within - 1)
            yield old, last, low + within
            old = last + 1
