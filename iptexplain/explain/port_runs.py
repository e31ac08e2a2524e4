"""Published ports put together: those with consecutive numbers, those that behave alike, and all of them as JSON."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.explain.ports import NETWORK, PublishedPort, numbers, own_ports, published_ports, reachable_from, span
from iptexplain.explain.situation import Situation
from iptexplain.explain.values import place_json
from iptexplain.recognise.docker_port import DOCKER, Port


class PortRun(NamedTuple):
    """Published ports with consecutive numbers that go to one container: said in one row."""

    ports: tuple[PublishedPort, ...]

    @property
    def first(self) -> PublishedPort:
        return self.ports[0]

    @property
    def last(self) -> PublishedPort:
        return self.ports[-1]

    def lines(self, kind: str) -> list[int]:
        """The lines of their DNAT rules (``dnat``) or of the rules that let them in (``accepts``)."""
        found = [p.port.dnat for p in self.ports] if kind == "dnat" else [a for p in self.ports for a in p.port.accepts]
        return sorted({f.place.line for f in found})

    @property
    def host_ports(self) -> str:
        return numbers(self.first.port, self.last.port)

    @property
    def container_ports(self) -> str:
        return inner_numbers(self.first.port, self.last.port)

    def json(self) -> dict[str, Any]:
        """The run as ``ports -o json`` has it: numbers as ``9000-9003``."""
        a = self.first.port
        return {
            "host_ip": a.host_ip,
            "host_ports": self.host_ports,
            "proto": a.proto,
            "container_ip": a.container_ip or None,
            "container_ports": self.container_ports,
            "bridge": a.bridge,
            "lines": sorted({n for p in self.ports for n in p.port.lines}),
        }


def inner_numbers(first: Port, last: Port | None = None) -> str:
    """The ports that the packets go to, from one rule to another."""
    return "*" if first.is_every and first.inner > 1 else span(first.container_port, (last or first).container_last)


def runs(ports: list[PublishedPort]) -> list[PortRun]:
    """Ports with consecutive numbers together, in the order of the dump."""
    found: list[list[PublishedPort]] = []
    for published in sorted(ports, key=lambda p: (p.port.container_ip, p.port.host_ip, p.port.proto, p.port.host_port)):
        if found and _follows(found[-1][-1].port, published.port):
            found[-1].append(published)
        else:
            found.append([published])
    return [PortRun(tuple(r)) for r in sorted(found, key=lambda r: min(p.port.dnat.place.line for p in r))]


def _follows(a: Port, b: Port) -> bool:
    alike = ("container_ip", "host_ip", "proto", "bridge", "by", "interface", "client")
    same = all(getattr(a, name) == getattr(b, name) for name in alike)
    return same and a.size == b.size == 1 and (b.host_port - a.host_port, b.container_port - a.container_port) == (1, 1)


def port_classes(ports: list[PublishedPort]) -> list[list[PortRun]]:
    """The ports by the way they behave, each class in runs, in the order of the dump."""
    classes: dict[tuple[object, ...], list[PublishedPort]] = {}
    for published in ports:
        classes.setdefault(_behaviour(published), []).append(published)
    return [runs(members) for members in classes.values()]


def _behaviour(published: PublishedPort) -> tuple[object, ...]:
    """What is the same for ports about which the same sentences are true."""
    ways = [
        (f.client, f.via, f.seen == "unchanged", None if f.is_own else f.decides, f.reason)
        for f in published.flows.values()
    ]
    networks = {way[1:] for way in ways if way[0].startswith(NETWORK)}
    if len(networks) == 1:  # all other networks fare alike: then it does not matter which they are
        ways = [w for w in ways if not w[0].startswith(NETWORK)] + [(NETWORK, *way) for way in networks]
    port = published.port
    who = published.callers if port.by != DOCKER else None
    return (port.by, port.client, published.lan, who, port.is_everywhere, port.is_loopback, *ways)


def port_json(published: PublishedPort) -> dict[str, Any]:
    """One port as JSON; where a rule is for several, ``host_ports`` and ``container_ports`` say all of them."""
    port, flows = published.port, published.flows
    host, other = flows.get("host") or flows.get("loopback"), published.other_network()
    several = {"host_ports": numbers(port), "container_ports": inner_numbers(port)}
    return {
        "host_ip": port.host_ip,
        "host_port": None if port.is_every else port.host_port,
        "proto": port.proto,
        "container_ip": port.container_ip or None,
        "container_port": None if port.is_every and port.inner > 1 else port.container_port,
        **(several if port.size > 1 or port.inner > 1 else {}),
        "bridge": port.bridge,
        "name": published.name,
        "written_by": port.by,
        "interface": port.interface,
        "loopback_protection": port.loopback_protection,
        "reachable_from": reachable_from(published),
        **({"except": list(published.callers.said)} if published.callers and published.callers.but else {}),
        "for_all": published.for_all,
        "source_seen": {
            "outside": flows["outside"].seen if "outside" in flows else None,
            "host": host.seen if host else None,
            "other network": other.seen if other else None,
        },
        "lines": port.lines,
        "because": port.because,
        "by": place_json(flows["outside"].decides if "outside" in flows else None),
    }


def ports_json(situation: Situation) -> dict[str, Any]:
    """The part of ``ports -o json`` that one family fills: Docker's ports, then those that other rules publish."""
    found = published_ports(situation) + own_ports(situation)
    opened = [
        {
            "container_ip": f.values["ip"],
            "container_port": int(str(f.values["port"])),
            "proto": f.values["proto"],
            "bridge": f.values["bridge"],
            "lines": [f.place.line],
        }
        for f in situation.docker.opened
    ]
    return {
        "ports": [port_json(p) for p in found],
        "ranges": [r.json() for r in runs(found)],
        "opened": opened,
        "mesh": [m._asdict() for m in situation.docker.mesh],
    }
