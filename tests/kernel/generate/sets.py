"""IP sets with members from the host's addresses."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network

from tests.kernel.generate.pools import PORTS
from tests.kernel.generate.scene import MadeSet, Scene


def _net(scene: Scene, address: str, lengths: dict[int, list[int]]) -> str:
    return str(ip_network(f"{address}/{scene.pick(lengths[scene.family])}", strict=False))


def _ip(scene: Scene, address: str) -> str:
    return address


def _network(scene: Scene, address: str) -> str:
    network = _net(scene, address, {4: [24, 28, 32], 6: [64, 120, 128]})
    return f"{network} nomatch" if scene.chance(0.2) else network


def _ip_port(scene: Scene, address: str) -> str:
    return f"{address},{scene.pick(['tcp', 'udp'])}:{scene.pick(PORTS)}"


def _net_iface(scene: Scene, address: str) -> str:
    return f"{_net(scene, address, {4: [24, 32], 6: [64, 128]})},{scene.pick(scene.pools.interfaces)}"


TYPES: dict[str, Callable[[Scene, str], str]] = {
    "hash:ip": _ip, "hash:net": _network, "hash:ip,port": _ip_port, "hash:net,iface": _net_iface,
}  # fmt: skip
"""Type → what makes a member of an address."""


def sets(scene: Scene) -> tuple[str, list[MadeSet]]:
    """What ipset restore is given, and the sets."""
    lines, made = [], []
    for number in range(scene.random.randint(1, 3)):
        name, kind = f"set{number}", scene.pick(list(TYPES))
        lines.append(f"create {name} {kind} family {'inet' if scene.family == 4 else 'inet6'} hashsize 64 maxelem 1024")
        addresses = [scene.pick(scene.pools.every) for _ in range(scene.random.randint(1, 4))]
        lines += [f"add {name} {TYPES[kind](scene, address)} -exist" for address in addresses]
        made.append(MadeSet(name, kind.count(",") + 1, addresses[-1]))
    return "\n".join(lines) + "\n", made
