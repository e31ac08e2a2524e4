"""Who outside gets to a published port, out of all packets: everybody, or those whom the rules let in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from iptexplain.explain.senders import Addresses, behind, is_near, own
from iptexplain.explain.situation import ARRIVED, Situation
from iptexplain.recognise.docker_port import DOCKER, Port
from iptexplain.rules.addresses import to_network
from iptexplain.rules.model import Place
from iptexplain.rules.values import Family
from iptexplain.sets.analyse import Analysis
from iptexplain.sets.boxes import split
from iptexplain.sets.reach import Question, Reach, Region
from iptexplain.sets.space import NO, Diagram, TooLarge
from iptexplain.sets.spelling import networks, texts
from iptexplain.walk.packet import Packet
from iptexplain.walk.trace import trace

LIMIT = 1_000_000
"""Nodes that the ports of a host may need: no clock, so that the answer is the same each time."""


class Callers(NamedTuple):
    """The addresses outside whose packets to a published port arrive: all of them (``everybody``), or ``networks``.

    ``said``: those networks, or all but those (``but``), whichever is shorter; ``refused``: the rules that stop others.
    ``unsure``: whether it hangs, for some, on what no dump shows.
    """

    everybody: bool
    networks: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    but: bool = False
    refused: tuple[Place | str, ...] = ()
    unsure: bool = False

    @property
    def somebody(self) -> bool:
        return self.everybody or bool(self.networks)

    @property
    def some(self) -> bool:
        """Whether there are those who get in and those who do not."""
        return bool(self.networks)


def callers(situation: Situation, ports: Iterable[Port]) -> Mapping[Place, Callers]:
    """For each port of Docker's that is not bound to loopback, by the place of its DNAT rule, who outside gets to it by the
    host's address.

    Those of whom it was not worked out are missing: beyond the budget, or where two backends have rules.
    """
    wanted = [p for p in ports if p.by == DOCKER and not p.is_loopback and p.container_ip]
    found: dict[Place, Callers] = {}
    outside, senders = outsiders(situation)
    here = own(situation.topology, lambda interface: interface != "lo")
    if situation.half or not wanted or not senders or not here:
        return found
    try:
        reach = Reach(Analysis(situation.ruleset, situation.topology, limit=LIMIT))
        for proto in dict.fromkeys(port.proto for port in wanted):
            regions = reach.regions(Question(((outside, senders),), proto=proto, sent_to=here))
            whole = reach.space.joined(
                [reach.space.both(r.packets, reach.space.end(r)) for r in regions],
                lambda a, b: reach.space.fill(a, NO, b),
            )
            for port in wanted:
                if port.proto == proto and regions:
                    found[port.dnat.place] = _callers(situation, reach, whole, senders, port)
    except TooLarge:
        pass
    return found


def outsiders(situation: Situation) -> tuple[str, Addresses]:
    """The interface to the outside, and the machines there; link-local addresses are never forwarded, and left out."""
    outside = situation.end("internet").interface
    return outside, behind(situation.topology, lambda route: route.interface == outside and not is_near(route))


def _callers(situation: Situation, reach: Reach, whole: Diagram, senders: Addresses, port: Port) -> Callers:
    """``whole``: a map of all packets to their regions."""
    space, level = reach.space, reach.fields.level
    there = space.among(level["dport"], [(port.host_port, port.host_port)])
    if not port.is_everywhere:
        bound = to_network(port.host_ip)
        there = space.both(space.among(level["dst"], [(bound.number, bound.number)]), there)
    parts = split(space, space.both(there, whole)).items()
    asked = [space.values[end]._replace(packets=packets) for end, packets in parts]
    arriving = [r for r in asked if _gets_there(r, port) and _is_answered(situation, reach, r)]
    source = space.among(level["src"], senders)
    everywhere = set(range(len(space.tops))) - {level["src"]}
    found = space.both(space.exists(space.union([r.packets for r in arriving]), everywhere), source)
    unsure = any(r.fate == "unknown" for r in asked)
    if found == source:
        return Callers(True, unsure=unsure)
    refused = tuple(dict.fromkeys(r.by for r in asked if r.fate in ("dropped", "rejected") and r.by))
    return _in_words(reach, senders, found, source, refused, unsure)


def _networks(intervals: Addresses, family: Family) -> tuple[str, ...]:
    return tuple(str(network) for low, high in intervals for network in networks(low, high, family))


def _in_words(
    reach: Reach, senders: Addresses, found: Diagram, source: Diagram, refused: tuple[Place | str, ...], unsure: bool
) -> Callers:
    """The senders that get in, or, where that is shorter to say, those of all senders that do not."""
    fields, family, level = reach.fields, reach.analysis.topology.family, reach.fields.level["src"]

    def ranges(packets: Diagram) -> Addresses:
        boxes = reach.boxes(Region("", packets)) if packets != NO else []
        return tuple(interval for box in boxes for interval in box.get(level, senders))

    within, without = (ranges(p) for p in (found, reach.space.minus(source, found)))
    said, others = (texts(fields, "src", intervals, family) for intervals in (within, without))
    but = bool(within) and len(others) < len(said)
    return Callers(False, _networks(within, family), others if but else said, but, refused, unsure)


def _gets_there(region: Region, port: Port) -> bool:
    """Whether packets arrive in the container, or at docker-proxy."""
    to = dict(region.to)
    if region.fate != "accepted":
        return False
    return region.is_local if "dst" not in to else str(to["dst"]) == port.container_ip


def _is_answered(situation: Situation, reach: Reach, region: Region) -> bool:
    """Whether the answer to one of these packets gets back."""
    answer = situation.answer_to(trace(situation.ruleset, situation.topology, Packet(dict(reach.witness(region)))))
    return answer is None or answer.outcome.kind in (*ARRIVED, "unknown")
