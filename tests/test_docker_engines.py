"""Configurations that nobody recorded: other names, subnets, orders and neighbours must be read back as well.

The rules are made by docker_engines.py, which is first held against the dumps of real engines.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from itertools import product
from typing import Any

import pytest

from iptexplain.explain.situation import Situation
from iptexplain.host.snapshot import read_snapshot
from tests.docker_catalogue import ADDRESS, FULL, TABLE, Case, lines
from tests.docker_engines import VERSIONS, Engine
from tests.docker_random import Dice, dump, setup
from tests.docker_setup import Link, Net, Port, Setup

pytestmark = pytest.mark.exhaustive

RECORDED = [c for c in FULL if not c.configuration.get("encrypted")]


def recorded(case: Case) -> Setup:
    """The table's configuration as a setup."""
    six = case.family == 6
    daemon = case.configuration.get("daemon", [])
    nets = {}
    for bridge, words in {**case.configuration["networks"], **case.part("networks")}.items():
        mine = words if bridge in case.part("networks") else [w for w in words if w == "internal"]
        subnet = (
            TABLE["subnets6" if six else "subnets"].get(bridge, bridge) if bridge in case.part("networks") else None
        )
        settings = {w.split()[0]: w.split()[1:] for w in mine}
        nets[bridge] = Net(
            bridge=_name(case, bridge),
            subnet=subnet,
            containers=tuple(w for w in mine if ADDRESS.fullmatch(w)),
            icc="no-icc" not in settings,
            internal="internal" in settings,
            masquerade="no-masquerade" not in settings,
            snat=settings["snat"][0] if "snat" in settings else None,
            mode=next((m for m in ("routed", "nat-unprotected") if m in settings), "nat"),
            trusted=tuple(settings.get("trusted", ())),
        )
    everywhere = "::" if six else "0.0.0.0"

    def port(p: Any) -> Port:
        net = next((n for n in nets.values() if p.container_ip in n.containers), nets.get("docker_gwbridge"))
        assert net is not None
        return Port(
            net,
            None if p.host_ip == everywhere else p.host_ip,
            p.host_port or 0,
            p.container_ip,
            p.container_port,
            p.proto,
        )

    published = lines(case.part("ports") + case.part("opened"), case.family)
    return Setup(
        nets=tuple(nets.values()),
        ports=tuple(map(port, published)),
        links=tuple(
            Link(nets["docker0"], x.host_ip, x.container_ip, x.container_port, x.proto)
            for x in lines(case.part("links"), 4)
        ),
        mesh=tuple(map(port, lines(case.part("mesh"), 4))),
        proxy="no-proxy" not in daemon,
        raw="no-raw" not in daemon,
        direct=any("direct" in words for words in case.part("networks").values()),
        mark=next((w.split()[1] for w in daemon if w.startswith("fwmark")), None),
        family=case.family,
    )


def _name(case: Case, bridge: str) -> str:
    """Where Docker chose the name, the one that this dump has."""
    if "/" not in bridge:
        return bridge
    text = case.file.read_text()
    return text.split(f"-s {bridge} ! -o ")[1].split()[0]


@pytest.mark.parametrize("case", RECORDED, ids=lambda c: f"{c.version}-{c.name}-{c.family}")
def test_the_model_writes_what_engines_wrote(case: Case) -> None:
    """Table by table the same rules as the real dump has, apart from what a person wrote."""
    made = Counter(Engine(case.version, recorded(case)).rules())
    found: Counter[tuple[str, str]] = Counter()
    table = ""
    for line in case.file.read_text().splitlines():
        table = line[1:] if line.startswith("*") else table
        if line.startswith("-A ") and line not in case.configuration.get("hand-written", []):
            found[table, line] += 1
    assert made == found


WITH_IPV6 = VERSIONS[VERSIONS.index("20.10.24") :]
ASKED = [(v, f) for v in VERSIONS for f in (4, 6) if f == 4 or v in WITH_IPV6]


@pytest.mark.parametrize(
    "name", sorted({c.name for c in RECORDED if c.version == "28.1.1" and "no-raw" not in str(c.configuration)})
)
def test_the_version_that_was_not_recorded(name: str) -> None:
    """28.0.0 could not be recorded without IP sets; its rules, as the model has them, are read back as the others' are."""
    engine = Engine("28.0.0", recorded(Case("28.0.0", name, 4)))
    text, _ = dump(Dice(name), engine, crowded=False)
    situation = Situation(read_snapshot(text, "dump"), 4)
    check(engine, situation, text, [])
    assert situation.docker.layout and situation.docker.layout.name == "ext-bridges"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("version", "family"), ASKED)
def test_random_hosts_are_read_back(version: str, family: int, seed: int) -> None:
    """Whatever its bridges are called, wherever its subnets lie, whatever stands beside Docker's rules."""
    dice = Dice(f"{version} {family} {seed}")
    for _ in range(4):
        engine = Engine(version, setup(dice, version, family))
        text, written = dump(dice, engine, crowded=dice.often())
        check(engine, Situation(read_snapshot(text, "dump"), family), text, written)  # type: ignore[arg-type]


@pytest.mark.parametrize(("version", "family"), [(v, f) for v, f in ASKED if v in WITH_IPV6])
def test_every_combination_of_settings(version: str, family: int) -> None:
    """One network that is not the default one, one container, one port, and no DOCKER-USER: each setting with each other."""
    subnet, container, snat = {
        4: ("192.168.0.0/24", "192.168.0.2", "192.168.123.0"),
        6: ("fd49:efd7:54aa::/64", "fd49:efd7:54aa::1", "fd34:d0d4:672f::123"),
    }[family]
    loopback = "::1" if family == 6 else "127.0.0.1"
    modes = (
        "nat",
        *(("routed",) if version in VERSIONS[14:] else ()),
        *(("nat-unprotected",) if version in VERSIONS[15:] else ()),
    )
    for mode in modes:
        for proxy, internal, icc, masquerade, fixed, bound, wsl2 in product((True, False), repeat=7):
            if (wsl2 and family == 6) or (internal and mode != "nat"):
                continue
            net = Net("br-dummy", subnet, (container,), icc, internal, masquerade, snat if fixed else None, mode)
            port = Port(net, loopback if bound else None, 8080, container, 80, "tcp")
            engine = Engine(version, Setup((net,), () if internal else (port,), proxy=proxy, wsl2=wsl2, family=family))
            text = "".join(
                x for x in dump(Dice(1), engine, False)[0].splitlines(keepends=True) if "DOCKER-USER" not in x
            )
            situation = Situation(read_snapshot(text, "dump"), family)  # type: ignore[arg-type]
            check(engine, situation, text, [])
            mirrored = (
                wsl2
                and version in VERSIONS[14:]
                and (proxy or (bound and version in VERSIONS[15:] and mode != "routed" and not internal))
            )
            assert bool(situation.docker.roles.of("wsl2-return", "wsl2-loopback")) == mirrored, text


def check(engine: Engine, situation: Situation, text: str, written: list[str]) -> None:
    docker = situation.docker
    told = (engine.version, engine.s, text)
    assert docker.layout, told
    assert is_within(engine.version, docker.layout.first, docker.layout.last), told
    known = {n.bridge: n for n in docker.networks}
    wanted = expected(engine)
    assert known.keys() == wanted.keys(), told
    for bridge, settings in wanted.items():
        assert {key: getattr(known[bridge], key) for key in settings} == settings, (bridge, *told)
    ports = [(p.host_ip, p.host_port, p.proto, p.container_ip, p.container_port, p.bridge) for p in docker.ports]
    assert sorted(ports) == sorted(published(engine)), told
    assert [p.loopback_protection for p in docker.ports if p.host_ip.startswith("127.")] == [
        "raw" if engine.since("28.0.0") and engine.s.raw else "none"
    ] * sum(p.host_ip.startswith("127.") for p in docker.ports), told
    assert [(x.client, x.server, x.port) for x in docker.links] == [
        (x.client, x.server, x.port) for x in engine.s.links
    ]
    assert sorted(m.host_port for m in docker.mesh) == sorted(m.host_port for m in engine.s.mesh)
    assert docker.leftovers == [], told
    mine = {p.line for p in docker.roles.by_place}
    rules = [r.line for t in situation.ruleset.tables.values() for r in t.rules() if r.line not in mine]
    assert sorted(situation.dump.line(n).split("] ")[-1] for n in rules) == sorted(written), told


def is_within(version: str, first: str | None, last: str | None) -> bool:
    def number(text: str) -> list[int]:
        return [int(n) for n in text.split(".")]

    own = [99] if version == "next" else number(version)
    return (first is None or number(first) <= [*own, 0, 0]) and (last is None or own <= [*number(last), 99])


def published(engine: Engine) -> list[tuple[str, int, str, str, int, str]]:
    everywhere = "::" if engine.s.family == 6 else "0.0.0.0"
    some = [p for p in engine.s.ports if p.net.mode != "routed"]
    return [(p.host_ip or everywhere, p.host_port, p.proto, p.container, p.port, p.net.bridge) for p in some]


def expected(engine: Engine) -> dict[str, dict[str, Any]]:
    """What the rules tell of each network; engines up to 27 keep networks apart in IPv6 that have no IPv6."""
    return {n.bridge: of_network(engine, n) for n in engine.here}


def of_network(engine: Engine, net: Net) -> dict[str, Any]:
    staged = engine.since("18.09") and engine.up_to("27.5.1")
    mine = [p for p in engine.s.ports if p.net == net]
    rewriting = bool(mine) and net.mode != "routed"
    masked = net.masquerade and not net.internal and net.mode != "routed"
    guarded = net.mode == "nat" and not net.internal and engine.s.raw and not engine.s.direct
    shut = guarded and engine.since("28.0.0") and bool(mine if engine.up_to("28.1.1") else net.containers)
    shut = shut or (guarded and engine.since("next"))
    hairpin = not engine.s.proxy and not net.internal
    mode = None if staged and not masked and not mine else net.mode
    every = shut and engine.since("28.2.1") and engine.up_to("29.7.2")
    named = {p.container for p in mine} | {a for x in engine.s.links if x.net == net for a in (x.client, x.server)}
    jumps = engine.s.family == 4 or engine.since("28.0.0") or bool(engine.open)
    return {
        "default": net.bridge == "docker0",
        "subnets": (net.subnet,)
        if masked or net.internal or (guarded and engine.since("next")) or _left_over(engine, net)
        else (),
        "icc": None if net.internal and engine.version == "1.10" else net.icc,
        "internal": net.internal,
        "masquerade": masked and not net.snat,
        "snat_to": net.snat if masked or (hairpin and engine.since("20.10.24")) else None,
        "gateway_mode": None if net.internal else mode,
        "userland_proxy": engine.s.proxy if jumps else None,
        "direct_routing": None
        if net.internal
        else False
        if shut
        else True
        if rewriting or mine or mode in ("routed", "nat-unprotected")
        else None,
        "trusted_interfaces": net.trusted if shut and engine.since("28.2.1") else (),
        "accept_fwmark": engine.s.mark if not net.internal else None,
        "containers": net.containers if every else tuple(sorted(named, key=ipaddress.ip_address)),
    }


def _left_over(engine: Engine, net: Net) -> bool:
    """1.9 names every subnet: the one that nothing else names is that of the only network without masquerading."""
    return engine.version == "1.9" and len(engine.open) > 1 and [n for n in engine.open if not n.masquerade] == [net]
