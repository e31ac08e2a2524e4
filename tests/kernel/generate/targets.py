"""What a rule does."""

from __future__ import annotations

from typing import NamedTuple

from tests.kernel.generate import more_targets, nat_targets
from tests.kernel.generate.pools import PORTS
from tests.kernel.generate.scene import Scene

REJECT_WITH = {
    4: ["icmp-port-unreachable", "icmp-host-unreachable", "icmp-net-unreachable", "icmp-proto-unreachable",
        "icmp-net-prohibited", "icmp-host-prohibited", "icmp-admin-prohibited"],
    6: ["icmp6-no-route", "icmp6-adm-prohibited", "icmp6-addr-unreachable", "icmp6-port-unreachable"],
}  # fmt: skip
PREFIXES = ["drop: ", "IN ", "[fw] "]
FILTER = [(8, "ACCEPT"), (5, "DROP"), (4, "REJECT"), (3, "RETURN")]
PLAIN = {
    "security": [(2, "ACCEPT"), (1, "RETURN"), (1, "DROP")],
    "raw": [(4, "CT --notrack"), (2, "ACCEPT"), (1, "RETURN"), (1, "DROP"), (1, "MARK --set-xmark 0x2/0xffffffff")],
    "mangle": [
        *[(6, f"MARK {words}") for words in ("--set-xmark 0x1/0xffffffff", "--set-xmark 0x2/0xff", "--set-mark 0x10",
                                             "--or-mark 0x20", "--and-mark 0xf0", "--xor-mark 0x3")],
        *[(4, f"CONNMARK {words}") for words in ("--save-mark", "--restore-mark", "--set-xmark 0x1/0xffffffff",
                                                 "--restore-mark --nfmask 0xff --ctmask 0xff", "--set-mark 0x2")],
        *[(2, f"TOS --set-tos {words}") for words in ("0x10/0x3f", "0x08/0xff", "0x00/0xff", "0x04/0x04")],
        *[(2, f"DSCP --set-dscp {words}") for words in ("0x2e", "0x00", "0x0a")],
        (11, "ACCEPT"), (6, "RETURN"), (6, "DROP"),
    ],
}  # fmt: skip
HOPS = ["set 64", "inc 1", "dec 1", "set 2", "dec 5"]


class Does(NamedTuple):
    """A rule's target as iptables is given it, and the protocol that the rule has to name for it."""

    text: str
    protocol: str | None = None


def target(scene: Scene, chains: list[str]) -> Does:
    """``chains``: the user chains that the rule may call."""
    kind = scene.random.random()
    if chains and kind < 0.22:
        return Does(f"{scene.weighted([(6, '-j'), (1, '-g')])} {scene.pick(chains)}")
    if kind < 0.27:
        return Does(f'-j LOG --log-prefix "{scene.pick(PREFIXES)}"')
    if kind < 0.29:
        return Does("")
    if scene.rare and scene.table in more_targets.TARGETS and scene.chance(0.5):
        return Does(*more_targets.target(scene))
    if scene.table == "nat":
        return _nat(scene)
    if scene.table == "filter":
        return _filter(scene)
    if scene.table == "mangle" and scene.chance(0.09):
        name = ("TTL", "HL")[scene.family == 6]
        return Does(f"-j {name} --{name.lower()}-{scene.pick(HOPS)}")
    return Does(f"-j {scene.weighted(PLAIN[scene.table])}")


def _filter(scene: Scene) -> Does:
    name = scene.weighted(FILTER)
    if name != "REJECT":
        return Does(f"-j {name}")
    answer = scene.weighted([(2, ""), (2, "tcp-reset"), *((1, words) for words in REJECT_WITH[scene.family])])
    text = f"-j REJECT --reject-with {answer}" if answer else "-j REJECT"
    return Does(text, "tcp" if answer == "tcp-reset" else None)


def _nat(scene: Scene) -> Does:
    if scene.chance(0.22):
        return Does(f"-j {scene.pick(['ACCEPT', 'RETURN', 'RETURN'])}")
    if scene.ranges and scene.chance(0.7) and len(scene.hooks) == 1:
        text, protocol = scene.weighted(nat_targets.AT[next(iter(scene.hooks))])(scene)
        return Does(text, protocol)
    if scene.only_at("PREROUTING", "OUTPUT"):
        return scene.weighted([(60, _dnat), (25, _redirect), (15, _netmap)])(scene)
    if scene.only_at("POSTROUTING"):
        return scene.weighted([(50, _masquerade), (40, _snat), (10, _netmap)])(scene)
    if scene.only_at("INPUT"):
        return Does(f"-j SNAT --to-source {scene.address()}")
    return Does(f"-j {scene.pick(['ACCEPT', 'RETURN'])}")


def _with_port(scene: Scene, address: str, port: int) -> str:
    return f"{address}:{port}" if scene.family == 4 else f"[{address}]:{port}"


def _dnat(scene: Scene) -> Does:
    address = scene.pick([end for end in scene.pools.near if end.name != "gw"]).address
    if scene.chance(0.15):
        own = [own.address for own in scene.pools.own if not own.address.startswith("fe80:")]
        address = scene.pick([*own, scene.pick(scene.pools.remote)])
    if scene.chance(0.6):
        to = _with_port(scene, address, scene.pick(PORTS))
        return Does(f"-j DNAT --to-destination {to}", scene.pick(["tcp", "tcp", "udp"]))
    return Does(f"-j DNAT --to-destination {address}")


def _redirect(scene: Scene) -> Does:
    if scene.chance(0.7):
        return Does(f"-j REDIRECT --to-ports {scene.pick(PORTS)}", scene.pick(["tcp", "udp"]))
    return Does("-j REDIRECT")


def _netmap(scene: Scene) -> Does:
    network = scene.pick(scene.pools.own).network
    length = max(network.prefixlen, 24 if scene.family == 4 else 64)
    return Does(f"-j NETMAP --to {next(iter(network.subnets(new_prefix=length)))}")


def _masquerade(scene: Scene) -> Does:
    return Does("-j MASQUERADE")


def _snat(scene: Scene) -> Does:
    address = scene.pick(scene.pools.own).address
    if scene.chance(0.15):
        port = 20000 + scene.random.randint(0, 999)
        return Does(f"-j SNAT --to-source {_with_port(scene, address, port)}", scene.pick(["tcp", "udp"]))
    return Does(f"-j SNAT --to-source {address}")
