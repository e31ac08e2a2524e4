"""A question about one packet: who sends, who is to get it, and what else was said about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from iptexplain.errors import OptionError, UsageError
from iptexplain.explain.situation import Situation, situation_of
from iptexplain.host.endpoints import End, split_port
from iptexplain.host.snapshot import Snapshot
from iptexplain.host.topology import Assumption, Route
from iptexplain.rules.addresses import to_network
from iptexplain.rules.values import Family
from iptexplain.walk.conntrack import TRACKED_PORTS, UNPUBLISHED
from iptexplain.walk.outcome import Trace
from iptexplain.walk.packet import read_fields


class Answered(NamedTuple):
    """The packet that a question describes, traced; ``notes``: what was taken for granted to build it."""

    situation: Situation
    way: Trace
    notes: tuple[Assumption, ...]


class Asker:
    """Answers questions about one snapshot, of which each family is recognised once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._situations: dict[Family, Situation] = {}

    def situation(self, family: Family) -> Situation:
        """Raises UsageError where no rules of this family were given."""
        if family not in self._situations:
            self._situations[family] = situation_of(self.snapshot, family)
        return self._situations[family]

    def ask(self, source: str | None, target: str | None, given: Mapping[str, str], ipv6: bool = False) -> Answered:
        """``source`` and ``target`` are ends as host/endpoints.py reads them; ``given``: packet fields as texts, which count more.

        Raises UsageError for ends that nobody knows and fields that there are not.
        """
        if not (source or "src" in given) or not (target or "dst" in given):
            raise UsageError("say who sends and who is to get it: --from END --to END (or -s and -d with -i)")
        situation = self.situation(family_of(self.snapshot, (source, target, given.get("src"), given.get("dst")), ipv6))
        try:
            typed = read_fields(given)
        except OptionError as e:
            raise UsageError(e.message) from None
        start = situation.end(source or given["src"])
        finish = situation.end(target or given["dst"])
        start = start._replace(
            address=typed.pop("src", start.address),
            interface=typed.pop("iif", start.interface),
            port=typed.pop("sport", start.port),
        )
        behind = _behind(situation, start) if "src" in given and "iif" in given else ()
        finish = finish._replace(address=typed.pop("dst", finish.address), port=typed.pop("dport", finish.port))
        proto = typed.pop("proto", "tcp")
        way = situation.probe(_same_bridge(situation, start, finish), finish, proto, **typed)
        unnamed = no_port_named(way) if finish.port is None else ()
        return Answered(situation, way, (*start.assumptions, *behind, *finish.assumptions, *unnamed))


def family_of(snapshot: Snapshot, ends: Iterable[str | None], ipv6: bool) -> Family:
    """The family whose rules a question is about: that of its ends' addresses; names have both, then IPv4 where there are rules."""
    texts = [split_port(end)[0] for end in ends if end]
    if ipv6 or any(text.count(":") > 1 for text in texts):
        return 6
    return 4 if 4 in snapshot.families else 6


def no_port_named(way: Trace) -> tuple[Assumption, ...]:
    """What is taken for granted where nobody said to which port the packet goes."""
    fields = way.packet.fields
    stands_in = fields["proto"] in TRACKED_PORTS and fields.get("dport") == UNPUBLISHED
    return (Assumption("port", {"port": UNPUBLISHED, "proto": fields["proto"]}),) if stands_in else ()


def _behind(situation: Situation, start: End) -> tuple[Assumption, ...]:
    """Of a dump alone nobody knows who is behind an interface: the sender that was said to come in by it is."""
    topology, route = situation.topology, situation.topology.route(start.address)
    if topology.known_addresses or not start.interface or (route and route.interface == start.interface):
        return ()
    topology.routes.append(Route(to_network(str(start.address), topology.family), start.interface))
    return (Assumption("behind", {"address": str(start.address), "interface": start.interface}),)


def _same_bridge(situation: Situation, start: End, finish: End) -> End:
    """From the host to somebody on a bridge, the kernel takes its address on that bridge as the source."""
    if start.name == "host" and not finish.interface:
        return start._replace(address=finish.address)
    if start.name == "host":
        own = situation.topology.source_for(finish.address, finish.interface)
        return start._replace(address=own) if own else start
    return start
