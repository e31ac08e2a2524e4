"""What may pass between two networks or containers: rules for DOCKER-USER that open it, or close it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from iptexplain.errors import UsageError
from iptexplain.explain.senders import on_interface
from iptexplain.explain.situation import Situation
from iptexplain.explain.words import said
from iptexplain.generate.asked import Addresses, Asked, Landing, Packets
from iptexplain.generate.engine import ANSWERS
from iptexplain.generate.wanted import PROTOCOLS
from iptexplain.generate.wish import USER, Line, Wish, first_place, line, plain
from iptexplain.host.endpoints import split_port
from iptexplain.rules.addresses import Network, to_network

DIRECT = ("direct", "direct-port", "direct-subnet")
"""Roles of Docker's rules in raw that drop what is sent straight to a container."""


class Side(NamedTuple):
    """A network, or one address of a container on it."""

    name: str
    bridge: str
    address: Network | None


class Service(NamedTuple):
    """A port that is to be opened."""

    proto: str
    port: int


def sides(situation: Situation, name: str) -> list[Side]:
    """What a name stands for in one family: a network by its name or bridge, a container by its name or address.

    Nothing is an answer, too: a container may have no address of this family.
    """
    bridges = {n.bridge for n in situation.docker.networks}
    bridge = situation.bridges.get(name, name)
    if bridge in bridges:
        return [Side(name, bridge, None)]
    return [
        Side(name, e.interface, to_network(str(a)))
        for e in situation.topology.endpoints
        for a in e.addresses
        if e.interface in bridges and name in (e.name, str(a))
    ]


def _called_twice(situations: Sequence[Situation], name: str) -> Side | None:
    """The network whose name a container has as well."""
    networks = (side for s in situations for side in sides(s, name) if side.address is None and side.bridge != name)
    is_container = any(e.name == name for s in situations for e in s.topology.endpoints)
    return next(networks, None) if is_container else None


def named(situations: Sequence[Situation], a: str, b: str) -> list[tuple[Situation, list[Side], list[Side]]]:
    """The families in which both names stand for something; raises UsageError where there is none."""
    found = [(s, sides(s, a), sides(s, b)) for s in situations]
    for name, known in ((a, any(one for _, one, _ in found)), (b, any(other for _, _, other in found))):
        if not known:
            networks = dict.fromkeys(x for s in situations for n in s.docker.networks for x in (n.name, n.bridge) if x)
            containers = dict.fromkeys(e.name for s in situations for e in s.topology.endpoints)
            raise UsageError(
                f"'{said(name)}' is no Docker network and no container here: there are {', '.join(map(said, [*networks, *containers]))}"
            )
        network = _called_twice(situations, name)
        if network:
            raise UsageError(
                f"'{said(name)}' is a Docker network and a container: say the bridge {said(network.bridge)}, or the container's address"
            )
    both = [each for each in found if each[1] and each[2]]
    if not both:
        raise UsageError(f"{said(a)} and {said(b)} have no addresses of the same family")
    return both


def split_service(text: str) -> tuple[str, Service | None]:
    """``B:PORT/PROTOCOL`` or ``B:PORT`` (of TCP) or ``B``; raises UsageError."""
    end, slash, proto = text.partition("/")
    name, port = split_port(end)
    if slash and (port is None or proto not in PROTOCOLS):
        raise UsageError(f"'{said(text)}': after the port stands one of {', '.join(PROTOCOLS)}")
    return name, Service(proto or "tcp", port) if port is not None else None


def _options(source: Side, target: Side, match: str = "") -> str:
    """Which packets go from one side to the other."""
    ends = [f"-s {source.address}" if source.address else "", f"-d {target.address}" if target.address else ""]
    return " ".join(filter(None, (*ends, f"-i {plain(source.bridge)}", f"-o {plain(target.bridge)}", match)))


def _check(a: Sequence[Side], b: Sequence[Side]) -> None:
    for one, other in product(a, b):
        if (one.bridge, one.address) == (other.bridge, other.address):
            raise UsageError(f"{said(one.name)} and {said(other.name)} are the same: name two")


def isolate(situation: Situation, a: Sequence[Side], b: Sequence[Side]) -> Wish:
    """Nothing passes from one to the other, in neither direction; asked before all other rules."""
    _check(a, b)
    pairs = [pair for one, other in product(a, b) for pair in ((one, other), (other, one))]
    lines = [
        line(
            situation,
            "filter",
            USER,
            number,
            _options(*pair, "-j DROP"),
            "isolate",
            bridge=pair[0].name,
            other=pair[1].name,
        )
        for number, pair in enumerate(pairs, 1)
    ]
    asked = [
        Asked("isolate", _names(*pair), _sent(situation, *pair, to_it=False), _landing(situation, pair[1]))
        for pair in pairs
    ]
    return Wish(situation.family, None, tuple(lines), tuple(asked))


def _sent(situation: Situation, source: Side, target: Side, to_it: bool = True) -> Packets:
    """What one side sends: to the other's addresses, or (by a published port it gets there, too) to any."""
    return Packets([source.bridge], _addresses(situation, source), dst=_addresses(situation, target) if to_it else None)


def _landing(situation: Situation, side: Side) -> Landing:
    return Landing(side.bridge, _addresses(situation, side) if side.address else None)


def _addresses(situation: Situation, side: Side) -> Addresses:
    interval = side.address.interval if side.address else None
    return [interval] if interval else on_interface(situation.topology, side.bridge)


def _names(source: Side, target: Side) -> dict[str, str]:
    return {"bridge": source.name, "other": target.name}


def allow(
    situation: Situation, a: Sequence[Side], b: Sequence[Side], service: Service | None, before: bool = False
) -> Wish:
    """``a`` may open connections to ``b``; asked behind the rules that DOCKER-USER has already, or ``before`` them."""
    _check(a, b)
    at = first_place(situation, before)
    filtering: list[Line] = []
    raw: list[Line] = []
    for one, other in product(a, b):
        names = {"bridge": one.name, "other": other.name}
        for source, target, match, name in _wanted(situation, one, other, service):
            number = at + len(filtering)
            filtering.append(line(situation, "filter", USER, number, _options(source, target, match), name, **names))
        for options in (
            *_past_raw(situation, one, other, service),
            *_past_raw(situation, other, one, service, "sport"),
        ):
            raw.append(line(situation, "raw", "PREROUTING", len(raw) + 1, options, "allow-raw", **names))
    asked = tuple(each for pair in product(a, b) for each in _opened(situation, *pair, service))
    return Wish(situation.family, None, tuple(each._replace(opens=True) for each in (*filtering, *raw)), asked)


def _opened(situation: Situation, one: Side, other: Side, service: Service | None) -> Iterator[Asked]:
    """What the one sends arrives, and so does the answer."""
    for source, target, port in ((one, other, "dport"), (other, one, "sport")):
        packets = _sent(situation, source, target)._replace(answers=source is other)
        values = {**_names(source, target), "port": ""}
        if service:
            packets = packets._replace(proto=service.proto, port=(port, service.port))
            values["port"] = f"{service.port}/{service.proto}"
        yield Asked("allow", values, packets, _landing(situation, target), arrives=True)


def _wanted(
    situation: Situation, one: Side, other: Side, service: Service | None
) -> Iterator[tuple[Side, Side, str, str]]:
    """From where to where, which packets and with what verdict, and why. Where answers have to be let past raw, which does not know
    connections yet, what is no answer is dropped here; what goes to a published port (DNAT) never was."""
    yield one, other, f"{_ports(service, 'dport')} -j ACCEPT".strip(), "allow-there"
    yield other, one, f"{ANSWERS} -j ACCEPT", "allow-back"
    if _is_guarded(situation, one) and one.bridge != other.bridge:
        match = f"{_ports(service, 'sport')} -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP"
        yield other, one, match.strip(), "allow-back-only"


def _ports(service: Service | None, end: str) -> str:
    return f"-p {service.proto} -m {service.proto} --{end} {service.port}" if service else ""


def _is_guarded(situation: Situation, side: Side) -> bool:
    """Whether Docker drops in raw what comes to the side's containers from elsewhere than their own bridge (since 28)."""
    return any(f.values["bridge"] == side.bridge for f in situation.docker.roles.of(*DIRECT))


def _past_raw(
    situation: Situation, source: Side, target: Side, service: Service | None, end: str = "dport"
) -> Iterator[str]:
    """Rules that let packets past raw, where that guards their target."""
    if _is_guarded(situation, target) and source.bridge != target.bridge:
        for s, d in product(_networks(situation, source), _networks(situation, target)):
            yield " ".join(
                filter(None, (f"-s {s} -d {d} -i {plain(source.bridge)}", _ports(service, end), "-j ACCEPT"))
            )


def _networks(situation: Situation, side: Side) -> list[str]:
    """The addresses of a side: where no rule tells a network's subnet, those of its containers that rules name."""
    network = situation.docker.network(side.bridge)
    return [str(side.address)] if side.address else list(network.subnets or network.containers) if network else []
