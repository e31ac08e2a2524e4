"""Matches that ask for the host's addresses, marks, sets, ports of bridges and neighbours."""

from __future__ import annotations

from ipaddress import ip_address

from tests.kernel.generate.scene import Clause, Scene

TYPES = [(6, "LOCAL"), (2, "UNICAST"), (1, "BROADCAST"), (1, "MULTICAST"), (1, "LOCAL,UNICAST")]
MARKS = ["0x1", "0x2", "0x1/0xff", "0x0/0x1", "0x10/0xf0", "0x0"]


def addrtype(scene: Scene) -> Clause:
    kind = scene.weighted(TYPES)
    if scene.family == 6 and kind == "BROADCAST":
        kind = "MULTICAST"
    text = f"-m addrtype {scene.inverted()}--{scene.pick(['dst', 'dst', 'src'])}-type {kind}"
    if scene.family == 4 and scene.chance(0.12):
        if scene.never_at("OUTPUT", "POSTROUTING"):
            text += " --limit-iface-in"
        elif scene.never_at("INPUT", "PREROUTING"):
            text += " --limit-iface-out"
    return Clause(text)


def mark(scene: Scene) -> Clause:
    return Clause(f"-m mark {scene.inverted()}--mark {scene.pick(MARKS)}")


def mac(scene: Scene) -> Clause | None:
    if not scene.only_at("PREROUTING", "INPUT", "FORWARD"):
        return None
    end, no = scene.pick(scene.pools.near), scene.inverted()
    return Clause(f"-m mac {no}--mac-source {end.mac}", {} if no else {"from": end.name})


def physdev(scene: Scene) -> Clause | None:
    ports, kind, no = scene.pools.ports, scene.random.random(), scene.inverted()
    if not ports:
        return None
    if kind < 0.4:
        return Clause(f"-m physdev {no}--physdev-in {scene.pick([*ports, 'veth+'])}")
    if kind < 0.7 and scene.hooks == {"FORWARD"}:
        return Clause(f"-m physdev {no}--physdev-out {scene.pick(ports)} --physdev-is-bridged")
    return Clause(f"-m physdev {no}--physdev-is-{'bridged' if scene.only_at('FORWARD', 'POSTROUTING') else 'in'}")


def member(scene: Scene) -> Clause | None:
    """A set that the packet is looked up in."""
    if not scene.sets:
        return None
    made, no = scene.pick(scene.sets), scene.inverted()
    sides = [scene.pick(["src", "dst"]) for _ in range(made.sides)]
    return Clause(f"-m set {no}--match-set {made.name} {','.join(sides)}", {} if no else {sides[0]: made.member})


def iprange(scene: Scene) -> Clause:
    address, no, side = ip_address(scene.address()), scene.inverted(), scene.pick(["src", "dst"])
    low, high = address - scene.random.randint(0, 5), address + scene.random.randint(0, 5)
    return Clause(f"-m iprange {no}--{side}-range {low}-{high}", {} if no else {side: str(address)})
