"""Rules as Docker writes them, for random networks and published ports, with rules of the host's owner among them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_interface
from random import Random
from typing import NamedTuple

from tests.kernel.generate.host_rules import HostRules, docker_user, host_rules
from tests.kernel.generate.tables import CHAINS
from tests.kernel.generate.topologies import Host

EVERYWHERE = "0.0.0.0"
HOST_IPS = [*[EVERYWHERE] * 4, "127.0.0.1", "192.0.2.10", "192.0.2.11"]
HOST_PORTS = [80, 443, 8080, 8081, 5432, 6379, 53, 3000, 9000, 8443]
ESTABLISHED = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"


@dataclass
class Network:
    bridge: str
    subnet: str
    gateway: str
    containers: dict[str, str]
    """Name → address."""
    icc: bool
    masquerade: bool
    internal: bool


class Port(NamedTuple):
    """A published port."""

    network: Network
    address: str
    proto: str
    host_ip: str
    host_port: int
    port: int


class Engine:
    """The daemon's configuration; it sets ``host`` up as the daemon would."""

    def __init__(self, random: Random, host: Host) -> None:
        self.networks = [_network(random, i) for i in host["interfaces"] if i["kind"] == "bridge"]
        self.ports = _ports(random, self.networks)
        self.proxy = random.random() > 0.25
        self.owner = host_rules(random)
        self.user = docker_user(random)
        self.forward = "DROP" if random.random() < 0.9 else "ACCEPT"
        for interface in host["interfaces"]:
            if interface["kind"] == "bridge":
                interface["hairpin"] = not self.proxy
        if not self.proxy:
            host["sysctls"]["net.ipv4.conf.all.route_localnet"] = 1

    @property
    def newest_first(self) -> list[Network]:
        return self.networks[::-1]

    @property
    def outward(self) -> list[Network]:
        """The networks that are not internal, newest first."""
        return [network for network in self.newest_first if not network.internal]


def _network(random: Random, interface: Host) -> Network:
    own = ip_interface(interface["addresses"][0])
    user = interface["name"] != "docker0"
    containers = {end["name"]: end["addresses"][0] for end in interface["containers"]}
    icc, masquerade = random.random() > 0.15, random.random() > 0.12
    internal = user and random.random() < 0.18
    return Network(interface["name"], str(own.network), str(own.ip), containers, icc, masquerade, internal)


def _ports(random: Random, networks: list[Network]) -> list[Port]:
    ports: dict[tuple[str, int], Port] = {}
    for network in networks:
        for address in () if network.internal else network.containers.values():
            for _ in range(random.choice([0, 1, 1, 2])):
                proto, host_port = random.choice(["tcp", "tcp", "tcp", "udp"]), random.choice(HOST_PORTS)
                inside = random.choice([80, 443, host_port, 8000, 53])
                published = Port(network, address, proto, random.choice(HOST_IPS), host_port, inside)
                ports.setdefault((proto, host_port), published)
    return list(ports.values())


def _to_port(port: Port) -> str:
    return f"-p {port.proto} -m {port.proto} --dport {port.port}"


def nat(engine: Engine, hairpin: bool) -> list[str]:
    """``hairpin``: whether a container that calls itself by a published port is masqueraded even with the proxy."""
    local = "-m addrtype --dst-type LOCAL -j DOCKER"
    rules = [f"-A PREROUTING {local}", f"-A OUTPUT {'! -d 127.0.0.0/8 ' if engine.proxy else ''}{local}"]
    for network in engine.outward:
        if not engine.proxy:
            rules.append(f"-A POSTROUTING -o {network.bridge} -m addrtype --src-type LOCAL -j MASQUERADE")
        if network.masquerade:
            rules.append(f"-A POSTROUTING -s {network.subnet} ! -o {network.bridge} -j MASQUERADE")
    if hairpin or not engine.proxy:
        itself = [f"-s {port.address}/32 -d {port.address}/32 {_to_port(port)}" for port in engine.ports]
        rules += [f"-A POSTROUTING {ends} -j MASQUERADE" for ends in itself]
    if engine.proxy:
        rules += [f"-A DOCKER -i {network.bridge} -j RETURN" for network in engine.outward]
    for port in engine.ports:
        to = "" if port.host_ip == EVERYWHERE else f"-d {port.host_ip}/32 "
        outside = f"! -i {port.network.bridge} " if engine.proxy else ""
        rules.append(
            f"-A DOCKER {to}{outside}-p {port.proto} -m {port.proto} --dport {port.host_port}"
            f" -j DNAT --to-destination {port.address}:{port.port}"
        )
    return rules


def _accepts(engine: Engine) -> list[str]:
    bridges = [(p, p.network.bridge) for p in engine.ports]
    return [f"-A DOCKER -d {p.address}/32 ! -i {br} -o {br} {_to_port(p)} -j ACCEPT" for p, br in bridges]


def _stages(engine: Engine) -> list[str]:
    """Traffic between networks: marked out in the first chain, dropped in the second."""
    first: list[str] = []
    for network in engine.newest_first:
        bridge, subnet = network.bridge, network.subnet
        if network.internal:
            first = [f"! -s {subnet} -o {bridge} -j DROP", f"! -d {subnet} -i {bridge} -j DROP", *first]
        else:
            first.append(f"-i {bridge} ! -o {bridge} -j DOCKER-ISOLATION-STAGE-2")
    second = [f"-A DOCKER-ISOLATION-STAGE-2 -o {network.bridge} -j DROP" for network in engine.outward]
    return [f"-A DOCKER-ISOLATION-STAGE-1 {rule}" for rule in first] + second


def stage_isolation(engine: Engine) -> str:
    """The layout of Docker 18.03.1 to 27."""
    rules = ["-A FORWARD -j DOCKER-USER", "-A FORWARD -j DOCKER-ISOLATION-STAGE-1"]
    for network in engine.newest_first:
        bridge, inside = network.bridge, "ACCEPT" if network.icc else "DROP"
        if not network.internal:
            rules += [
                f"-A FORWARD -o {bridge} {ESTABLISHED}",
                f"-A FORWARD -o {bridge} -j DOCKER",
                f"-A FORWARD -i {bridge} ! -o {bridge} -j ACCEPT",
            ]
        rules.append(f"-A FORWARD -i {bridge} -o {bridge} -j {inside}")
    rules += [*_accepts(engine), *_stages(engine)]
    rules += [f"-A {chain} -j RETURN" for chain in ("DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2")]
    rules += [*engine.user, "-A DOCKER-USER -j RETURN"]
    chains = ["DOCKER", "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2", "DOCKER-USER"]
    return _text(engine, [], nat(engine, hairpin=True), chains, rules)


def forward_ct_bridge(engine: Engine) -> str:
    """The layout of Docker 28.0.1 to 28.5."""
    outward = [network for network in engine.networks if not network.internal]
    rules = ["-A FORWARD -j DOCKER-USER", "-A FORWARD -j DOCKER-FORWARD", *_accepts(engine)]
    rules += [f"-A DOCKER ! -i {network.bridge} -o {network.bridge} -j DROP" for network in outward]
    rules += [f"-A DOCKER-BRIDGE -o {network.bridge} -j DOCKER" for network in outward]
    rules += [f"-A DOCKER-CT -o {network.bridge} {ESTABLISHED}" for network in outward]
    rules += [f"-A DOCKER-FORWARD -j {chain}" for chain in ("DOCKER-CT", "DOCKER-ISOLATION-STAGE-1", "DOCKER-BRIDGE")]
    for network in engine.networks:
        bridge = network.bridge
        if network.internal:
            rules.append(f"-A DOCKER-FORWARD -i {bridge} -o {bridge} -j {'ACCEPT' if network.icc else 'DROP'}")
        elif network.icc:
            rules.append(f"-A DOCKER-FORWARD -i {bridge} -j ACCEPT")
        else:
            rules.append(f"-A DOCKER-FORWARD -i {bridge} -o {bridge} -j DROP")
            rules.append(f"-A DOCKER-FORWARD -i {bridge} ! -o {bridge} -j ACCEPT")
    rules += [*_stages(engine), *engine.user]
    chains = ["DOCKER", "DOCKER-BRIDGE", "DOCKER-CT", "DOCKER-FORWARD", "DOCKER-ISOLATION-STAGE-1",
              "DOCKER-ISOLATION-STAGE-2", "DOCKER-USER"]  # fmt: skip
    return _text(engine, _direct_access(engine), nat(engine, hairpin=False), chains, rules)


def _direct_access(engine: Engine) -> list[str]:
    """Nobody reaches a published container by its own address, or a port of 127.0.0.1 from outside."""
    bridges = {port.address: port.network.bridge for port in engine.ports}
    rules = [f"-A PREROUTING -d {address}/32 ! -i {bridge} -j DROP" for address, bridge in bridges.items()]
    loopback = [(port.proto, port.host_port) for port in engine.ports if port.host_ip == "127.0.0.1"]
    outside = "-A PREROUTING -d 127.0.0.1/32 ! -i lo"
    return rules + [f"{outside} -p {proto} -m {proto} --dport {port} -j DROP" for proto, port in loopback]


def _text(engine: Engine, raw: list[str], nat_rules: list[str], chains: list[str], rules: list[str]) -> str:
    owner: HostRules = engine.owner
    policies = {("filter", "INPUT"): owner.policy, ("filter", "FORWARD"): engine.forward}
    lines: list[str] = []
    for table, users, body in (
        ("raw", [], raw),
        ("nat", ["DOCKER"], nat_rules),
        ("filter", [*chains, *owner.chains], [*owner.rules, *rules]),
    ):
        if body:
            own = [f":{chain} {policies.get((table, chain), 'ACCEPT')} [0:0]" for chain in CHAINS[table]]
            lines += [f"*{table}", *own, *(f":{chain} - [0:0]" for chain in users), *body, "COMMIT"]
    return "\n".join(lines) + "\n"
