"""Ports that Docker's chains do not publish: rules of nat ``PREROUTING``, and of chains that it leads to, which rewrite where
packets go. Somebody wrote them by hand, or a program that is not Docker did."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import NamedTuple

from iptexplain.recognise.docker_port import Port
from iptexplain.recognise.program import Program
from iptexplain.recognise.shape import NOTHING, Found
from iptexplain.rules.addresses import Network
from iptexplain.rules.model import Jump, Place, Rule, Ruleset, Verdict
from iptexplain.rules.nat import NatTarget
from iptexplain.rules.values import InterfaceName, Range

PROTOCOLS = ("tcp", "udp", "sctp")
EVERY_PORT = Range(0, 65535)
SHARED_OUT = ("kube_proxy",)
"""Programs whose rewriting offers services at addresses that no host has, shared out among many: programs.py speaks of them."""

NUMBERS = {"tcp": ("dport",), "udp": ("dport",), "sctp": ("dport",), "multiport": ("dports", "ports")}
"""The matches that name a packet's destination port, and their options for it."""


class Way(NamedTuple):
    """What is asked of a packet before it gets to a rule of a chain; ``jumps``: the rules that lead there."""

    host: Network | None = None
    client: Network | None = None
    interface: str | None = None
    proto: str | None = None
    ports: tuple[Range, ...] = (EVERY_PORT,)
    jumps: tuple[Found, ...] = ()


def own_ports(ruleset: Ruleset, dockers: Container[Place], programs: Iterable[Program]) -> list[Port]:
    """The ports in the order in which packets meet their rules. ``dockers``: the places whose rules are Docker's.

    A rule counts when it rewrites the destination of packets of TCP, UDP or SCTP, or of all protocols. What it and the jumps
    that lead to it ask of address, interface, protocol and port says which; whether other conditions hold, the trace tells.
    """
    nat = ruleset.tables.get("nat")
    if nat is None or "PREROUTING" not in nat.chains:
        return []
    writers = {place: p.name for p in programs for place in p.by_place}
    found = [
        _port(ruleset, place, rule, way, ports, writers.get(place, "hand"))
        for place, rule, way in _doors(ruleset, "PREROUTING", Way(), set())
        if place not in dockers and writers.get(place) not in SHARED_OUT
        for ports in way.ports
    ]
    return [p for n, p in enumerate(found) if not any(_covers(q, p, n < m) for m, q in enumerate(found) if m != n)]


def _covers(wide: Port, port: Port, before: bool) -> bool:
    """Whether packets meet the rule of ``port`` also on a way that asks less, or as much where the way of ``port`` is the later one."""
    same = (wide.dnat.place, wide.host_port, wide.size) == (port.dnat.place, port.host_port, port.size)
    mine, others = ((None if p.is_everywhere else p.host_ip, p.interface, p.client) for p in (port, wide))
    return same and all(o in (None, m) for o, m in zip(others, mine, strict=True)) and (others != mine or not before)


def _doors(ruleset: Ruleset, name: str, way: Way, met: set[tuple[str, Way]]) -> Iterator[tuple[Place, Rule, Way]]:
    """The rules that rewrite destinations in a chain and in those that it jumps to, with what is asked up to there; ``met``: the
    chains that were looked through, each with what was asked before it."""
    met.add((name, way._replace(jumps=())))
    for place, rule in ruleset.tables["nat"].chains[name].placed("nat"):
        target = rule.target
        rewrites = isinstance(target, NatTarget) and _leads_elsewhere(target)
        narrowed = _narrowed(way, rule) if rewrites or isinstance(target, Jump) else None
        if narrowed is None:
            continue
        if not isinstance(target, Jump):
            yield place, rule, narrowed
        elif (target.chain, narrowed._replace(jumps=())) not in met:
            jump = Found("own_port", "jump", place, rule, NOTHING)
            yield from _doors(ruleset, target.chain, narrowed._replace(jumps=(*way.jumps, jump)), met)


def _leads_elsewhere(target: NatTarget) -> bool:
    """Whether a packet for the host gets another destination: to REDIRECT it without a port keeps it as it is."""
    chosen = target.value("to_destination") or target.value("to_ports")
    return target.manip == "dst" and chosen is not None


def _narrowed(way: Way, rule: Rule) -> Way | None:
    """The way behind a rule's conditions; None where no packet can meet them all."""
    asked = {s.option.key: s.value for s in rule.parameters.settings if not s.inverted}
    host, client = _inside(way.host, asked.get("d")), _inside(way.client, asked.get("s"))
    proto, interface = asked.get("p", way.proto), _narrower(way.interface, asked.get("i"))
    ports = way.ports
    for match in rule.matches:
        for key in NUMBERS.get(match.name, ()):
            setting = match.get(key)
            if setting:
                wanted = (setting.value,) if key == "dport" else setting.value
                ports = _both(ports, _others(wanted) if setting.inverted else wanted)
    apart = (way.host and not host) or (way.client and not client) or (way.interface and not interface)
    apart = apart or way.proto not in (None, proto)
    if apart or not ports or proto not in (None, *PROTOCOLS):
        return None
    return way._replace(host=host, client=client, interface=interface, proto=proto, ports=ports)


def _inside(one: Network | None, other: Network | None) -> Network | None:
    """The narrower of two networks; None where they have nothing in common."""
    if one is None or other is None:
        return one or other
    narrow, wide = (one, other) if one.mask >= other.mask else (other, one)
    return narrow if narrow.overlaps(wide) else None


def _narrower(one: str | None, other: str | None) -> str | None:
    """The name that says more of two for one interface; None where no interface has both."""
    if one is None or other is None:
        return one or other
    named = InterfaceName()
    return other if named.contains(one, other) else one if named.contains(other, one) else None


def _both(some: Iterable[Range], others: Iterable[Range]) -> tuple[Range, ...]:
    found = (Range(max(a.low, b.low), min(a.high, b.high)) for a in some for b in others)
    return tuple(r for r in found if r.low <= r.high)


def _others(ports: Iterable[Range]) -> tuple[Range, ...]:
    """All ports but these."""
    found: tuple[Range, ...] = (EVERY_PORT,)
    for port in ports:
        found = _both(found, (Range(0, port.low - 1), Range(port.high + 1, EVERY_PORT.high)))
    return found


def _port(ruleset: Ruleset, place: Place, rule: Rule, way: Way, ports: Range, by: str) -> Port:
    target = rule.target
    assert isinstance(target, NatTarget)
    first, last, *chosen = target.value("to_destination") or target.value("to_ports")
    inside = _rewritten(ports, *chosen)
    everywhere = "::" if ruleset.family == 6 else "0.0.0.0"
    port = Port(
        host_ip=everywhere if way.host is None else str(way.host).removesuffix("/32").removesuffix("/128"),
        host_port=ports.low,
        proto=way.proto or "all",
        container_ip="" if first is None else str(first) if first == last else f"{first}-{last}",
        container_port=inside.low,
        bridge=None,
        dnat=Found("own_port", "dnat", place, rule, NOTHING),
        rules={"jump": way.jumps} if way.jumps else {},
        by=by,
        size=ports.high - ports.low + 1,
        inner=inside.high - inside.low + 1,
        interface=way.interface,
        client=str(way.client) if way.client else None,
    )
    accepts = tuple(_accepts(ruleset, port))
    return port._replace(rules={**port.rules, "port-accept": accepts}) if accepts else port


def _rewritten(ports: Range, chosen: Range | None, base: int | None) -> Range:
    """The ports that packets for ``ports`` go to (nf_nat_core.c): kept where the rule names none, or lets them be."""
    if chosen is None:
        return ports
    if base is not None:
        size = chosen.high - chosen.low + 1
        low = chosen.low + (ports.low - base & 0xFFFF) % size
        return Range(low, low + ports.high - ports.low) if low + ports.high - ports.low <= chosen.high else chosen
    return ports if chosen.low <= ports.low and ports.high <= chosen.high else chosen


def _accepts(ruleset: Ruleset, port: Port) -> Iterator[Found]:
    """The rules of filter that are there to let the packets in: they name the address that these are rewritten to, and accept."""
    table = ruleset.tables.get("filter")
    for chain in table.chains.values() if table else ():
        for place, rule in chain.placed("filter"):
            d = rule.parameters.get("d")
            accepts = isinstance(rule.target, Verdict) and rule.target.word == "ACCEPT"
            if accepts and d and not d.inverted and d.value.is_host and str(d.value).split("/")[0] == port.container_ip:
                narrowed = _narrowed(Way(ports=(Range(port.container_port, port.container_last),)), rule)
                if narrowed and narrowed.proto in (None, port.proto):
                    yield Found("own_port", "port-accept", place, rule, NOTHING)
