"""One packet's way through the host, rule for rule as the kernel does it; every way, where rules leave more than one open."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from iptexplain.host.topology import Topology
from iptexplain.rules.answer import Backend
from iptexplain.rules.model import Ruleset
from iptexplain.rules.nat import NatTarget
from iptexplain.walk.answers import own_answer
from iptexplain.walk.conntrack import Connection, Tuple
from iptexplain.walk.decide import Decisions, all_ways
from iptexplain.walk.outcome import Outcome, Trace
from iptexplain.walk.packet import OneOf, Packet
from iptexplain.walk.passage import Passage


def trace(
    ruleset: Ruleset, topology: Topology, packet: Packet, connection: Connection | None = None, reply: bool = False,
    taken: Collection[Tuple] = (), beside: Ruleset | None = None,
) -> Trace:  # fmt: skip
    """The way of ``packet`` through ``ruleset`` on a host of this ``topology``; ``beside``: what the other backend holds.

    ``connection``: the known connection that it belongs to, ``reply``: whether it goes the connection's other way; ``taken``:
    both tuples of the other known connections. Where rules cannot be decided, every way is taken: if all end alike the
    answer is definite, else its kind is unknown.
    """
    rulesets = sorted((ruleset, beside), key=lambda r: r.backend is Backend.LEGACY) if beside else (ruleset,)
    return _all(rulesets, topology, packet, connection, reply, None, taken)


def _all(
    rulesets: Sequence[Ruleset], topology: Topology, packet: Packet, connection: Connection | None, reply: bool,
    settled: frozenset[str] | None, taken: Collection[Tuple] = (),
) -> Trace:  # fmt: skip
    def one(decisions: Decisions) -> tuple[Trace, Passage]:
        passage = Passage(rulesets, topology, packet, decisions, connection, reply, settled, taken)
        outcome = passage.run()
        unknowns = (*decisions.asked, *decisions.idle)
        ct, mark = passage.tracking, passage.seen.fields["connmark"]
        return Trace(
            packet, tuple(passage.steps), outcome, ct.remembered(mark), ct.first_state, ct.reply, unknowns,
            assumed=frozenset(decisions.used), found=ct.found,
        ), passage  # fmt: skip

    ways, bounded = all_ways(one, topology.assumed)
    joined = _joined([way for way, _ in ways], bounded)
    told = own_answer(joined, ways[0][1])
    if told is None:
        return joined._replace(outcome=joined.outcome._replace(answer=None))
    if not told.hooked:
        outcome = Outcome("sent", None, told.interface, told.packet.fields)
        return joined._replace(told=Trace(told.packet, (), outcome, None, None, True))
    answered = _all(rulesets, topology, told.packet, told.connection, told.reply, told.settled)
    # An ICMP error about the host's own reset goes the connection's first way, and makes it known (nf_conntrack_confirm).
    found = told.connection is not None and told.settled is None
    return joined._replace(
        told=answered, connection=answered.connection if found else joined.connection or answered.connection
    )


def _joined(ways: list[Trace], bounded: bool) -> Trace:
    """One answer from all ways: definite, where they end alike but for an address that NAT is free to choose."""
    first = ways[0]
    asked = {(u.place, u.about): u for way in ways for u in way.unknowns}
    used = frozenset[str]().union(*(w.assumed for w in ways))
    settled = not bounded and len({w.outcome.by or w.passed for w in ways}) == 1
    first = first._replace(unknowns=tuple(asked.values()), bounded=bounded, assumed=used, settled=settled)
    chosen = frozenset({"dst"} if any(isinstance(u.about, NatTarget) for u in asked.values()) else ())
    if not bounded and all(w.outcome.same_end(first.outcome, chosen) for w in ways):
        return _widest(first, ways) if chosen else first
    branches: list[Outcome] = []
    for way in ways:
        if not any(way.outcome.same_end(b) for b in branches):
            branches.append(way.outcome)
    return first._replace(outcome=Outcome("unknown", None, None, first.outcome.fields, branches=tuple(branches)))


def _widest(first: Trace, ways: list[Trace]) -> Trace:
    """One answer for all of the addresses that NAT may have chosen."""
    ends = sorted({w.outcome.fields["dst"] for w in ways})
    if len(ends) == 1:
        return first
    chosen, connection = OneOf(ends[0], ends[-1]), first.connection
    if connection:
        by = next((u.place, u.about) for u in first.unknowns if isinstance(u.about, NatTarget))
        connection = connection._replace(reply=connection.reply._replace(src=chosen), chosen_by=by)
    outcome = first.outcome._replace(fields={**first.outcome.fields, "dst": chosen})
    return first._replace(outcome=outcome, connection=connection)
