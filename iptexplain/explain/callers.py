"""Who outside gets to a published port, out of all packets: everybody, or those whom the rules let in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from iptexplain.explain.senders import Addresses, behind, is_near, on_interface, own
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
    ``elsewhere``: whether packets of others get through, but not by the port's rule, to where it sends them.
    ``unsure``: whether it hangs, for some, on what no dump shows.
    """

    everybody: bool
    networks: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    but: bool = False
    refused: tuple[Place | str, ...] = ()
    elsewhere: bool = False
    unsure: bool = False

    @property
    def somebody(self) -> bool:
        return self.everybody or bool(self.networks)

    @property
    def some(self) -> bool:
        """Whether there are those who get in and those who do not."""
        return bool(self.networks)


def callers(situation: Situation, ports: Sequence[Port]) -> list[Callers | None]:
    """For each port who outside gets to it by the host's address; of a port whose rule names another interface, who behind that.

    None where it was not worked out: for ports that are bound to loopback, where nothing tells who is behind the interface,
    where it is not the same for all ports of one rule, beyond the budget, and where two backends have rules.
    """
    found: list[Callers | None] = [None] * len(ports)
    here = own(situation.topology, lambda interface: interface != "lo")
    asked: dict[Question, list[int]] = {}
    for number, port in enumerate(ports):
        sender = _senders(situation, port)
        sent_to = _addresses(situation, port, sender[0], here)
        if sender[1] and sent_to and here and not port.is_loopback and (port.container_ip or port.by != DOCKER):
            proto = "tcp" if port.proto == "all" else port.proto
            asked.setdefault(Question((sender,), proto=proto, sent_to=sent_to), []).append(number)
    if situation.half or not asked:
        return found
    try:
        reach = Reach(Analysis(situation.ruleset, situation.topology, limit=LIMIT))
        for question, numbers in asked.items():
            regions = reach.regions(question)
            whole = reach.space.joined(
                [reach.space.both(r.packets, reach.space.end(r)) for r in regions],
                lambda a, b: reach.space.fill(a, NO, b),
            )
            for number in numbers if regions else ():
                found[number] = _callers(situation, reach, whole, question, ports[number])
    except TooLarge:
        pass
    return found


def _addresses(situation: Situation, port: Port, interface: str, here: Addresses) -> Addresses:
    """The addresses to which packets for a port are sent; nothing where they are no range.

    Other rules than Docker's need not ask for the host's own: then what comes in is for the address on its interface.
    """
    if port.is_everywhere:
        return here if port.by == DOCKER else own(situation.topology, lambda name: name == interface) or here
    interval = to_network(port.host_ip).interval
    return (interval,) if interval else ()


def _senders(situation: Situation, port: Port) -> tuple[str, Addresses]:
    """Those whom a port's rule is about: outside, or behind the interface that it names."""
    outside, senders = outsiders(situation)
    if port.is_for(outside):
        return outside, senders
    return str(port.interface), on_interface(situation.topology, str(port.interface))


def outsiders(situation: Situation) -> tuple[str, Addresses]:
    """The interface to the outside, and the machines there; link-local addresses are never forwarded, and left out."""
    outside = situation.end("internet").interface
    return outside, behind(situation.topology, lambda route: route.interface == outside and not is_near(route))


def _callers(situation: Situation, reach: Reach, whole: Diagram, question: Question, port: Port) -> Callers | None:
    """``whole``: a map of all packets to their regions. None where not all ports of a range fare alike."""
    space, level = reach.space, reach.fields.level
    numbers = space.among(level["dport"], [(port.host_port, port.host_last)])
    parts = split(space, space.both(numbers, whole)).items()
    asked = [space.values[end]._replace(packets=packets) for end, packets in parts]
    arriving = [r for r in asked if _gets_there(r, port) and _is_answered(situation, reach, r)]
    senders = question.sources[0][1] or ()
    source = space.among(level["src"], senders)
    others = set(range(len(space.tops))) - {level["src"]}
    by_port = space.both(space.exists(space.union([r.packets for r in arriving]), others - {level["dport"]}), source)
    found = space.exists(by_port, {level["dport"]})
    if space.minus(space.both(found, numbers), by_port) != NO:
        return None
    unsure = any(r.fate == "unknown" for r in asked)
    if found == source:
        return Callers(True, unsure=unsure)
    refused = tuple(dict.fromkeys(r.by for r in asked if r.fate in ("dropped", "rejected") and r.by))
    elsewhere = any(r.fate == "accepted" and not _gets_there(r, port) for r in asked)
    return _in_words(
        reach, senders, found, source, Callers(False, refused=refused, elsewhere=elsewhere, unsure=unsure), port
    )


def _networks(intervals: Addresses, family: Family) -> tuple[str, ...]:
    return tuple(str(network) for low, high in intervals for network in networks(low, high, family))


def _in_words(reach: Reach, senders: Addresses, found: Diagram, source: Diagram, known: Callers, port: Port) -> Callers:
    """The senders that get in, or, where that is shorter to say, those of all senders that do not."""
    fields, family, level = reach.fields, reach.analysis.topology.family, reach.fields.level["src"]
    named = to_network(port.client).interval if port.client else None
    if port.client and named and found == reach.space.both(source, reach.space.among(level, [named])):
        return known._replace(networks=(port.client,), said=(port.client,))

    def ranges(packets: Diagram) -> Addresses:
        boxes = reach.boxes(Region("", packets)) if packets != NO else []
        return tuple(interval for box in boxes for interval in box.get(level, senders))

    within, without = (ranges(p) for p in (found, reach.space.minus(source, found)))
    said, others = (texts(fields, "src", intervals, family) for intervals in (within, without))
    but = bool(within) and len(others) < len(said)
    return known._replace(networks=_networks(within, family), said=others if but else said, but=but)


def _gets_there(region: Region, port: Port) -> bool:
    """Whether packets arrive where the port leads: at Docker's also at docker-proxy, at others only by the port's own rule."""
    to = dict(region.to)
    if region.fate != "accepted":
        return False
    if port.by != DOCKER:
        return port.dnat.place in region.nat
    return region.is_local if "dst" not in to else str(to["dst"]) == port.container_ip


def _is_answered(situation: Situation, reach: Reach, region: Region) -> bool:
    """Whether the answer to one of these packets gets back."""
    answer = situation.answer_to(trace(situation.ruleset, situation.topology, Packet(dict(reach.witness(region)))))
    return answer is None or answer.outcome.kind in (*ARRIVED, "unknown")
