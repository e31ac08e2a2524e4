"""NAT that leaves the kernel a choice, or counts: ranges of addresses and ports, --random, shifted ports."""

from __future__ import annotations

from ipaddress import ip_address

from tests.kernel.generate.scene import Scene

RANDOM = [(5, ""), (2, " --random"), (1, " --persistent")]
SPANS = ["20000-20009", "1024-65535", "80-443", "30000-30000", "600-700", "8000-9000"]
SHIFTED = [
    ("8000:8100", "18000-18100/8000"),
    ("1:1000", "2001-3000/1"),
    ("53", "5300-5310/50"),
    ("8080:9090", "80-90/8080"),
]


def address_range(scene: Scene, address: str) -> str:
    """One to four addresses, of which ``address`` is one."""
    first = ip_address(address) - scene.pick([0, 0, 1])
    return f"{first}-{first + scene.pick([1, 1, 2, 3])}"


def _ends(scene: Scene, addresses: str, ports: str) -> str:
    if not ports:
        return addresses
    return f"{addresses}:{ports}" if scene.family == 4 or not addresses else f"[{addresses}]:{ports}"


def dnat(scene: Scene) -> tuple[str, str | None]:
    """The target, and the protocol and port that the rule has to name for it."""
    end = scene.pick([end for end in scene.pools.near if end.name != "gw"]).address
    if scene.chance(0.2):
        ports, to = scene.pick(SHIFTED)
        return f"-j DNAT --to-destination {_ends(scene, end, to)}", f"{scene.pick(['tcp', 'udp'])} --dport {ports}"
    addresses = scene.weighted([(3, end), (3, address_range(scene, end)), (1, "")])
    ports = scene.pick(SPANS) if not addresses or scene.chance(0.5) else ""
    more = scene.weighted(RANDOM)
    return f"-j DNAT --to-destination {_ends(scene, addresses, ports)}{more}", scene.pick(
        ["tcp", "udp"]
    ) if ports else None


def redirect(scene: Scene) -> tuple[str, str | None]:
    ports, more = scene.pick(SPANS), scene.weighted([(3, ""), (1, " --random")])
    return f"-j REDIRECT --to-ports {ports}{more}", scene.pick(["tcp", "udp"])


def snat(scene: Scene) -> tuple[str, str | None]:
    own = scene.pick(scene.pools.own).address
    addresses = scene.weighted([(3, own), (3, address_range(scene, own)), (1, "")])
    ports = scene.pick(SPANS) if not addresses or scene.chance(0.5) else ""
    more = scene.weighted([*RANDOM, (1, " --random-fully")])
    return f"-j SNAT --to-source {_ends(scene, addresses, ports)}{more}", scene.pick(["tcp", "udp"]) if ports else None


def masquerade(scene: Scene) -> tuple[str, str | None]:
    more = scene.weighted([(3, ""), (1, " --random"), (1, " --random-fully")])
    if scene.chance(0.6):
        return f"-j MASQUERADE --to-ports {scene.pick(SPANS)}{more}", scene.pick(["tcp", "udp"])
    return f"-j MASQUERADE{more}", None


AT = {
    "PREROUTING": [(5, dnat), (2, redirect)], "OUTPUT": [(5, dnat), (2, redirect)],
    "POSTROUTING": [(4, snat), (3, masquerade)], "INPUT": [(1, snat)],
}  # fmt: skip
