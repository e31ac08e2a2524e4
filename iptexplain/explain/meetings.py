"""Where programs meet: what the rules of one do to packets that another one's rules are about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any, NamedTuple

from iptexplain.explain.ports import PublishedPort, published_ports
from iptexplain.explain.programs import title
from iptexplain.explain.situation import Situation, decider, verdict
from iptexplain.explain.words import environment
from iptexplain.host.endpoints import End, somebody_on
from iptexplain.recognise.program import Program, groups, text_of
from iptexplain.rules.addresses import Address, to_network
from iptexplain.rules.model import Place


class Meeting(NamedTuple):
    """``name`` says which words of templates/documents/meetings.j2 tell it."""

    name: str
    values: dict[str, Any]
    lines: tuple[int, ...]


def meetings(situation: Situation, known: list[PublishedPort] | None = None) -> list[Meeting]:
    """Every meeting that these rules show; ``known``: the published ports, where somebody has asked for them already."""
    names = {p.name: p for p in situation.programs}
    ports = known if known is not None else published_ports(situation) if names else []
    found = []
    for name, needs, meet in MEETINGS:
        if all(n in names for n in needs) and (situation.docker.layout is not None or name == "two-firewalls"):
            found += [Meeting(name, values, tuple(lines)) for values, lines in meet(situation, names, ports)]
    return found + list(_masquerades(situation))


Met = Iterator[tuple[dict[str, Any], list[int]]]
Names = dict[str, Program]


def meeting_text(meeting: Meeting) -> str:
    template = environment().get_template("documents/meetings.j2")
    return " ".join(template.render(name=meeting.name, lines=meeting.lines, **meeting.values).split())


def _first_in_forward(situation: Situation, program: Program) -> tuple[Place | None, Place | None]:
    """The first rule of Docker's in FORWARD, and the first that is the program's."""
    docker = [p for p in situation.docker.roles.by_place if (p.table, p.chain) == ("filter", "FORWARD")]
    own = [p for p in program.by_place if (p.table, p.chain) == ("filter", "FORWARD")]
    return min(docker, key=_number, default=None), min(own, key=_number, default=None)


def _number(place: Place) -> int:
    return int(place.rule)


def _open(ports: list[PublishedPort]) -> list[str]:
    return [p.short for p in ports if p.from_outside]


def _asked(program: Program) -> list[int]:
    """The lines in INPUT where the program's rules are asked."""
    return [p.line for p in program.by_place if (p.table, p.chain) == ("filter", "INPUT")]


def _published(firewall: str) -> Any:
    """A firewall for the host itself, and ports that Docker publishes past it."""

    def meet(situation: Situation, names: Names, ports: list[PublishedPort]) -> Met:
        program = names[firewall]
        docker, own = _first_in_forward(situation, program)
        if docker is None:
            return
        values = {
            "program": title(firewall),
            "ports": _open(ports),
            "docker": docker,
            "own": own,
            "docker_first": own is None or _number(docker) < _number(own),
            "input_lines": _asked(program),
            "user": bool(situation.docker.roles.lines("jump-user")),
        }
        yield values, [docker.line, *([own.line] if own else []), *_asked(program)]

    return meet


def _reload(situation: Situation, names: Names, ports: list[PublishedPort]) -> Met:
    """A reload of firewalld, and the zone that Docker's bridges are in."""
    program = names["firewalld"]
    bridges = [n.bridge for n in situation.docker.networks]
    zones = [f for f in program.facts if f.name == "zone"]
    inside = {b: f for b in bridges for f in zones if b in f.values["interfaces"]}
    rest = next((f for f in zones if f.values["default"]), None)
    values = {
        "zones": [(b, f.values["zone"], f.values["ends"], f.lines[:1]) for b, f in inside.items()],
        "others": [b for b in bridges if b not in inside],
        "rest": rest.values["zone"] if rest else None,
        "user_lines": [u.place.line for u in situation.docker.user_rules],
        "asked": _asked(program),
    }
    yield values, _asked(program)


def _jails(situation: Situation, names: Names, ports: list[PublishedPort]) -> Met:
    """Jails that never see what goes to a published port, and jails that do."""
    jails = [f for f in names["fail2ban"].facts if f.name == "jail" and f.values["asked"]]
    blind = [f for f in jails if set(f.values["asked"]) <= {"INPUT"}]
    seeing = [f for f in jails if f not in blind]
    if blind or seeing:
        lines = [n for f in jails for n in f.values["asked_lines"]]
        values = {
            "ports": _open(ports),
            "blind": [f.values["jail"] for f in blind],
            "blind_lines": [n for f in blind for n in f.values["asked_lines"]],
            "seeing": [f.values["jail"] for f in seeing],
            "seeing_lines": [n for f in seeing for n in f.values["asked_lines"]],
        }
        yield values, lines


def _forward_drop(guests: str) -> Any:
    """FORWARD's policy DROP, and those whose packets go through it without being Docker's."""

    def meet(situation: Situation, names: Names, ports: list[PublishedPort]) -> Met:
        chain = situation.ruleset.chain("filter", "FORWARD")
        if chain and chain.policy == "DROP":
            accepting = r"filter (FORWARD|LIBVIRT_FW[IOX]|NETAVARK_FORWARD|CNI-FORWARD|KUBE-FORWARD) .*-j ACCEPT"
            lets = [p.line for p, *_ in names[guests].inside(accepting)]
            helped = [title(n) for n in ("calico", "cni") if n in names]
            values = {"program": title(guests), "guests": guests, "policy": chain.line, "lets": lets, "helped": helped}
            yield values, [chain.line, *lets]

    return meet


def _guests(situation: Situation, names: Names, ports: list[PublishedPort]) -> Met:
    """libvirt's guests and Docker's containers: a first packet from one to the other."""
    libvirt = names["libvirt"]
    docker, own = _first_in_forward(situation, libvirt)
    refusing = [p.line for p, *_ in libvirt.inside(r"filter (LIBVIRT_FWI|FORWARD) -o \S+ -j REJECT .*")]
    if docker and own and refusing:
        values = {
            "ways": list(_guests_to_containers(situation, libvirt)),
            "docker": docker,
            "own": own,
            "own_first": _number(own) < _number(docker),
            "refusing": refusing,
        }
        yield values, [docker.line, own.line, *refusing]


def _guests_to_containers(situation: Situation, libvirt: Program) -> Iterator[dict[str, Any]]:
    for fact in libvirt.facts:
        for subnet in map(to_network, fact.values["subnets"][:1]):
            guest = End(Address(subnet.family, subnet.number + 2), fact.values["bridge"], None, None)
            for network in situation.docker.networks:
                container = somebody_on(network.bridge, situation.topology)
                way = situation.probe(guest, container) if container else None
                if way and verdict(way) != "unknown":
                    yield {
                        "guests": guest.interface,
                        "containers": network.bridge,
                        "verdict": verdict(way),
                        "by": decider(way),
                    }


def _two_firewalls(situation: Situation, names: Names, ports: list[PublishedPort]) -> Met:
    first, second = _asked(names["ufw"]), _asked(names["firewalld"])
    if first and second:
        earlier = "ufw" if first[0] < second[0] else "firewalld"
        yield {"first": earlier, "ufw_lines": first, "firewalld_lines": second}, [*first, *second]


MEETINGS: tuple[tuple[str, tuple[str, ...], Any], ...] = (
    ("published", ("ufw",), _published("ufw")),
    ("published", ("firewalld",), _published("firewalld")),
    ("published", ("openwrt",), _published("openwrt")),
    ("reload", ("firewalld",), _reload),
    ("jails", ("fail2ban",), _jails),
    *(("forward-drop", (g,), _forward_drop(g)) for g in ("libvirt", "lxd", "netavark", "cni", "kube_proxy")),
    ("guests", ("libvirt",), _guests),
    ("two-firewalls", ("ufw", "firewalld"), _two_firewalls),
)
"""Name of the meeting, the programs that must be there (beside Docker), and what looks for it."""

REWRITES = r"nat \S+ -s (?P<subnet>[0-9a-f:.]+/\d+) ((! -[do] \S+|-o \S+|-m comment --comment (\S+|\".*\")) )*-j (MASQUERADE|SNAT .*)"
"""A rule that gives everything from a subnet, not only what goes to one port, another source."""


def _masquerades(situation: Situation) -> Iterator[Meeting]:
    """Subnets that two writers give another source: the first rule counts, the other does nothing."""
    table = situation.ruleset.tables.get("nat")
    rules = []
    for chain in table.chains.values() if table else ():
        for place, rule in chain.placed("nat"):
            match = re.fullmatch(REWRITES, text_of("nat", rule))
            if match and situation.docker.roles.is_reached(place):
                rules.append((place, to_network(groups(match)["subnet"]), _writer(situation, place)))
    for (a, net, one), (b, other, two) in combinations(rules, 2):
        if one != two and net.overlaps(other):
            yield Meeting(
                "masquerade",
                {"subnets": list(dict.fromkeys(map(str, (net, other)))), "writers": [one, two], "places": [a, b]},
                (a.line, b.line),
            )


def _writer(situation: Situation, place: Place) -> str | None:
    """Docker, a program by its title, or None for nobody known."""
    if place in situation.docker.roles.by_place:
        return "Docker"
    found = situation.program_of(place)
    return title(found[0].name) if found else None
