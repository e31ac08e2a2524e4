"""Everything that is known about one family's rules: what the explanations ask."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property
from typing import Any

from iptexplain.errors import UsageError
from iptexplain.host.endpoints import End, resolve
from iptexplain.host.infer import topology_of
from iptexplain.host.snapshot import Snapshot
from iptexplain.host.topology import Assumption, Topology
from iptexplain.recognise.docker import Docker, recognise_docker
from iptexplain.recognise.docker_port import Port
from iptexplain.recognise.own_port import own_ports
from iptexplain.recognise.program import Piece, Program
from iptexplain.recognise.programs import recognise_programs
from iptexplain.recognise.shape import Found
from iptexplain.rules.addresses import Address
from iptexplain.rules.model import Dump, Jump, Place, Ruleset
from iptexplain.rules.values import Family
from iptexplain.walk.conntrack import PINGS, TRACKED_PORTS, opening
from iptexplain.walk.outcome import Trace
from iptexplain.walk.packet import OneOf, Packet
from iptexplain.walk.trace import trace


class Situation:
    """A ruleset with its dump, its host and what Docker wrote in it."""

    def __init__(self, snapshot: Snapshot, family: Family, one: tuple[Dump, Ruleset] | None = None) -> None:
        found = one or snapshot.ruleset(family)
        if found is None:
            raise UsageError(f"there are no IPv{family} rules in what was given")
        self.snapshot, self.family = snapshot, family
        self.dump: Dump = found[0]
        self.ruleset: Ruleset = found[1]
        self._probed: dict[Hashable, Trace] = {}

    @property
    def others(self) -> list[Ruleset]:
        """Rulesets of the same family that another backend holds: the kernel asks them too."""
        return self.snapshot.others(self.ruleset)

    @cached_property
    def half(self) -> Situation | None:
        """The rules of the other backend, which the trace asks as well."""
        found = next(((d, r) for d, r in self.snapshot.halves() if r in self.others), None)
        return Situation(self.snapshot, self.family, found) if found else None

    @property
    def beside(self) -> Ruleset | None:
        return self.half.ruleset if self.half else None

    @cached_property
    def docker(self) -> Docker:
        return recognise_docker(self.ruleset, self.snapshot.facts)

    @cached_property
    def programs(self) -> list[Program]:
        """The programs beside Docker that wrote rules here."""
        return recognise_programs(self.ruleset, self.docker.roles.by_place)

    @cached_property
    def own_ports(self) -> list[Port]:
        """The ports that are published by rules that are not Docker's."""
        return own_ports(self.ruleset, self.docker.roles.by_place, self.programs)

    def program_of(self, place: Place) -> tuple[Program, Piece] | None:
        """The program beside Docker that wrote a rule, and the part of it to which the rule belongs."""
        programs = self.programs + (self.half.programs if self.half else [])
        return next(((p, p.by_place[place]) for p in programs if place in p.by_place), None)

    def role_of(self, place: Place | None) -> Found | None:
        """Docker's rule at a place, in either half."""
        halves = (self, self.half) if self.half else (self,)
        return next((h.docker.roles.by_place[place] for h in halves if place in h.docker.roles.by_place), None)

    @cached_property
    def topology(self) -> Topology:
        return topology_of(self.snapshot, self.ruleset)

    @cached_property
    def callers(self) -> dict[tuple[str, str], list[Place]]:
        """(table, chain) → the rules that jump to the chain."""
        found: dict[tuple[str, str], list[Place]] = {}
        for table in self.ruleset.tables.values():
            for chain in table.chains.values():
                for place, rule in chain.placed(table.name):
                    if isinstance(rule.target, Jump):
                        found.setdefault((table.name, rule.target.chain), []).append(place)
        return found

    @property
    def assumptions(self) -> list[Assumption]:
        """What is taken for granted where this half alone is asked."""
        return self.topology.assumptions

    @property
    def granted(self) -> list[Assumption]:
        """What is taken for granted where packets are traced, through both halves."""
        found = [a for a in self.assumptions if a.name != "other_half"]
        shared = self.half and sorted({*self.ruleset.tables} & {*self.half.ruleset.tables})
        return [*found, Assumption("order", {"tables": shared, "matters": False})] if shared else found

    def text(self, place: Place) -> str:
        """The line of the dump at a place."""
        return self.dump.line(place.line)

    def end(self, text: str) -> End:
        """One end of a flow by its name (host/endpoints.py)."""
        return resolve(text, self.topology, self.bridges)

    @cached_property
    def bridges(self) -> dict[str, str]:
        """The name of a network in Docker → its bridge."""
        return {n.name: n.bridge for n in self.docker.networks if n.name}

    def name_of(self, address: Address | str) -> str | None:
        """The container (or host) that has an address, by the name that the snapshot gives it."""
        for endpoint in self.topology.endpoints:
            if str(address) in map(str, endpoint.addresses) and endpoint.name != str(address):
                return endpoint.name
        return None

    def gateway(self, bridge: str | None) -> Address | None:
        """The host's own address on a bridge."""
        return next((a.address for a in self.topology.addresses if a.interface == bridge), None)

    def probe(self, source: End, target: End, proto: str = "tcp", **fields: Any) -> Trace:
        """The way of a first packet from one end to the other; who asks twice gets the same answer."""
        packet: dict[str, Any] = {"src": source.address, "dst": target.address, "proto": proto, "iif": source.interface}
        ports = {"sport": source.port, "dport": target.port} if proto in TRACKED_PORTS else {}
        packet |= {name: port for name, port in ports.items() if port is not None} | fields
        key = tuple(sorted(packet.items()))
        if key not in self._probed:
            self._probed[key] = trace(self.ruleset, self.topology, Packet(opening(packet)), beside=self.beside)
        return self._probed[key]

    def answer_to(self, way: Trace) -> Trace | None:
        """The way of the first answer to a packet that arrived; None where there is none to follow (loopback).

        Where NAT may choose, it is the answer to the packet with the first of what there is to choose from.
        """
        outcome = way.outcome
        last: dict[str, Any] = {k: v.first if isinstance(v, OneOf) else v for k, v in outcome.fields.items()}
        opens = way.state == "NEW" and not way.reply and last.get("icmp_type", 0) in PINGS.get(last["proto"], {0: 0})
        if outcome.kind not in ARRIVED or way.connection is None or outcome.interface == "lo" or not opens:
            return None
        fields = {"src": last["dst"], "dst": last["src"], "proto": last["proto"]}
        fields["iif"] = "" if outcome.kind == "delivered-local" else outcome.interface
        fields |= {back: last[port] for port, back in (("dport", "sport"), ("sport", "dport")) if port in last}
        if last["proto"] == "tcp":
            fields["flags"] = frozenset({"SYN", "ACK"})
        if "icmp_type" in last:
            fields |= {"icmp_type": PINGS[last["proto"]][last["icmp_type"]], "icmp_code": 0}
        if "icmp_id" in last:
            fields["icmp_id"] = last["icmp_id"]
        return trace(self.ruleset, self.topology, Packet(fields), way.connection, reply=True, beside=self.beside)


def is_strange(way: Trace, answer: Trace) -> bool:
    """Whether an answer arrives from another address or port than the one that was asked: nobody takes it for an answer."""
    asked, last = way.packet.fields, answer.outcome.fields
    return answer.outcome.kind in ARRIVED and (last["src"], last.get("sport")) != (asked["dst"], asked.get("dport"))


ARRIVED = ("forwarded", "delivered-local", "sent")


def verdict(way: Trace) -> str:
    """accepted, dropped, rejected or unknown; dropped also where only the order of two backends tells which of the two it is,
    accepted also where a packet arrives at one place whatever nobody can decide, with one source or another."""
    kind, branches = way.outcome.kind, way.outcome.branches
    if branches and all(b.kind in ("dropped", "rejected") for b in branches):
        return "dropped"
    places = {(b.kind, b.interface, b.fields["dst"], b.fields.get("dport")) for b in branches}
    if len(places) == 1 and branches[0].kind in ARRIVED:
        return "accepted"
    return "accepted" if kind in ARRIVED else kind


def situation_of(snapshot: Snapshot, family: Family) -> Situation:
    """The one to ask about packets: of two halves that in which Docker wrote. Raises UsageError for a family without rules."""
    found = Situation(snapshot, family)
    dockers = found.half if found.half and found.half.docker.layout and not found.docker.layout else None
    return dockers or found


def situations(snapshot: Snapshot) -> list[Situation]:
    """One situation for each ruleset that was given and says something."""
    return [Situation(snapshot, r.family, (d, r)) for d, r in snapshot.halves()]


def decider(way: Trace) -> Place | None:
    """The rule or policy that decided: the one that ended it, else the last step in filter that let it pass."""
    if way.outcome.kind == "unknown":
        return None
    return way.outcome.by if isinstance(way.outcome.by, Place) else way.passed
