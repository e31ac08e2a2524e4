"""The rules that Docker 29 writes for the networks and containers of its inspect JSON, where no dump shows what an engine wrote.

From daemon/libnetwork/drivers/bridge of the engines 29.0.0 to 29.7.2 (iptables backend), with docker-proxy on, as it is by default.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.generate.proxy import LOOPBACK
from iptexplain.generate.wanted import Network, Port, Wanted
from iptexplain.rules.save import head
from iptexplain.rules.values import Family

VERSION = "29"
HOST = {4: "/32", 6: "/128"}
ANSWERS = "-m conntrack --ctstate RELATED,ESTABLISHED"
CHAINS = ("DOCKER", "DOCKER-BRIDGE", "DOCKER-CT", "DOCKER-FORWARD", "DOCKER-INTERNAL", "DOCKER-USER")


def dump_of(wanted: Wanted) -> str:
    """The rules as iptables-save prints them, of one family; policies are ACCEPT: which the host has, inspect JSON does not tell."""
    lines = [head(wanted.family)]
    for table, base, own, rules in (
        ("raw", ("PREROUTING", "OUTPUT"), (), _raw(wanted)),
        ("filter", ("INPUT", "FORWARD", "OUTPUT"), CHAINS, _filter(wanted)),
        ("nat", ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"), ("DOCKER",), _nat(wanted)),
    ):
        lines += [f"*{table}", *(f":{c} ACCEPT [0:0]" for c in base), *(f":{c} - [0:0]" for c in own)]
        lines += [*(f"-A {rule}" for rule in rules), "COMMIT"]
    return "\n".join(lines) + "\n"


def _raw(wanted: Wanted) -> Iterator[str]:
    for network in wanted.networks:
        if network.internal or network.mode != "nat":
            continue
        for address in network.containers:
            for interface in network.trusted:
                yield f"PREROUTING -d {address}{HOST[wanted.family]} -i {interface} -j ACCEPT"
            yield f"PREROUTING -d {address}{HOST[wanted.family]} ! -i {network.bridge} -j DROP"
    for port in wanted.ports:
        if port.host_ip and port.host_ip.startswith("127.") and port.network.mode != "routed":
            yield f"PREROUTING -d {port.host_ip}/32 ! -i lo {_to(port.proto, port.host_port)} -j DROP"


def _filter(wanted: Wanted) -> Iterator[str]:
    yield "FORWARD -j DOCKER-USER"
    yield "FORWARD -j DOCKER-FORWARD"
    yield from (f"DOCKER-FORWARD -j {chain}" for chain in ("DOCKER-CT", "DOCKER-INTERNAL", "DOCKER-BRIDGE"))
    for port in wanted.ports:
        bridge = port.network.bridge
        if port.network.mode != "nat-unprotected":
            to = f"-d {port.container}{HOST[wanted.family]} ! -i {bridge} -o {bridge}"
            yield f"DOCKER {to} {_to(port.proto, port.port)} -j ACCEPT"
    for link in wanted.links:
        inside = f"-i {link.network.bridge} -o {link.network.bridge} -p {link.proto} -m {link.proto}"
        yield f"DOCKER -s {link.client}/32 -d {link.server}/32 {inside} --dport {link.port} -j ACCEPT"
        yield f"DOCKER -s {link.server}/32 -d {link.client}/32 {inside} --sport {link.port} -j ACCEPT"
    for network in wanted.networks:
        yield from _internal(network, wanted.family) if network.internal else _open(network, wanted.family)


def _open(network: Network, family: Family) -> Iterator[str]:
    bridge = network.bridge
    yield f"DOCKER-CT -o {bridge} {ANSWERS} -j ACCEPT"
    yield f"DOCKER-BRIDGE -o {bridge} -j DOCKER"
    if network.mode == "routed":
        yield f"DOCKER -o {bridge} -p {'ipv6-icmp' if family == 6 else 'icmp'} -j ACCEPT"
    yield f"DOCKER ! -i {bridge} -o {bridge} -j {'ACCEPT' if network.mode == 'nat-unprotected' else 'DROP'}"
    if not network.icc:
        yield f"DOCKER-FORWARD -i {bridge} -o {bridge} -j DROP"
    yield f"DOCKER-FORWARD -i {bridge} {'' if network.icc else f'! -o {bridge} '}-j ACCEPT"


def _internal(network: Network, family: Family) -> Iterator[str]:
    bridge = network.bridge
    into, out = (f"! -i {bridge} ", f"! -o {bridge} ") if family == 6 else ("", "")
    for subnet in network.subnets:
        yield f"DOCKER-INTERNAL ! -s {subnet} {into}-o {bridge} -j DROP"
        yield f"DOCKER-INTERNAL ! -d {subnet} -i {bridge} {out}-j DROP"
    yield f"DOCKER-FORWARD -i {bridge} -o {bridge} -j {'ACCEPT' if network.icc else 'DROP'}"


def _nat(wanted: Wanted) -> Iterator[str]:
    yield "PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"
    yield f"OUTPUT ! -d {LOOPBACK[wanted.family]} -m addrtype --dst-type LOCAL -j DOCKER"
    for network in wanted.networks:
        if not network.internal and network.masquerade and network.mode != "routed":
            target = f"SNAT --to-source {network.snat}" if network.snat else "MASQUERADE"
            yield from (f"POSTROUTING -s {subnet} ! -o {network.bridge} -j {target}" for subnet in network.subnets)
    for port in wanted.ports:
        if port.network.mode != "routed":
            yield _dnat(port, wanted.family)


def _dnat(port: Port, family: Family) -> str:
    near = "! -s fe80::/10 " if family == 6 else ""
    host = f"-d {port.host_ip}{HOST[family]} " if port.host_ip else ""
    to = f"[{port.container}]" if family == 6 else port.container
    asked = f"{near}{host}! -i {port.network.bridge} {_to(port.proto, port.host_port)}"
    return f"DOCKER {asked} -j DNAT --to-destination {to}:{port.port}"


def _to(proto: str, port: int) -> str:
    return f"-p {proto} -m {proto} --dport {port}"
