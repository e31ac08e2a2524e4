"""Published ports: the DNAT rule, the rule that lets the packet into the bridge, and the hairpin rule; and --link pairs."""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.recognise.shape import Found, Roles, Shape
from iptexplain.rules.addresses import to_address, to_network

SHAPES = (
    Shape("dnat", "nat", "DOCKER[ -d {host_ip}{host}][ ! -i {bridge}] -p {proto} -m {proto} --dport {host_port} "
                         "-j DNAT --to-destination {container}:{port}"),
    Shape("hairpin", "nat", "POSTROUTING -s {ip}{host} -d {ip}{host} -p {proto} -m {proto} --dport {port} -j MASQUERADE"),
    Shape("port-accept", "filter", "DOCKER -d {ip}{host} ! -i {bridge} -o {bridge} -p {proto} -m {proto} --dport {port} -j ACCEPT"),
    Shape("link", "filter", "DOCKER -s {peer}{host} -d {ip}{host} -i {bridge} -o {bridge} -p {proto} -m {proto} --dport {port} -j ACCEPT"),
    Shape("link-answer", "filter", "DOCKER -s {ip}{host} -d {peer}{host} -i {bridge} -o {bridge} -p {proto} -m {proto} --sport {port} -j ACCEPT"),
    Shape("direct-port", "raw", "PREROUTING -d {ip}{host} ! -i {bridge} -p {proto} -m {proto} --dport {port} -j DROP"),
    Shape("loopback-only", "raw", "PREROUTING -d {host_ip}{host} ! -i lo -p {proto} -m {proto} --dport {host_port} -j DROP"),
    Shape("checksum", "mangle", "POSTROUTING -p sctp -m sctp --sport {port} -j CHECKSUM --checksum-fill"),
)  # fmt: skip


class Port(NamedTuple):
    """A published port. ``host_ip`` is 0.0.0.0 (or ::) when it is published on every address of the host."""

    host_ip: str
    host_port: int
    proto: str
    container_ip: str
    container_port: int
    bridge: str | None
    dnat: Found
    accepts: tuple[Found, ...]
    hairpins: tuple[Found, ...]

    @property
    def lines(self) -> list[int]:
        return sorted({f.place.line for f in (self.dnat, *self.accepts, *self.hairpins)})

    @property
    def is_everywhere(self) -> bool:
        return self.host_ip in ("0.0.0.0", "::")

    @property
    def is_loopback(self) -> bool:
        return self.host_ip.startswith("127.") or self.host_ip == "::1"


class Link(NamedTuple):
    """``docker run --link``: ``client`` may open ``port`` of ``server`` although icc is off."""

    client: str
    server: str
    proto: str
    port: int
    bridge: str
    lines: tuple[int, ...]


def recognise(roles: Roles, subnets: dict[str, tuple[str, ...]]) -> tuple[list[Port], list[Link]]:
    """The published ports in the order of the dump, and the links. ``subnets`` of each bridge tell where a container is."""
    ports = [_port(found, roles, subnets) for found in roles.of("dnat")]
    links = []
    for found in roles.of("link"):
        v = {k: str(value) for k, value in found.values.items()}
        back = roles.lines("link-answer", ip=v["ip"], peer=v["peer"], proto=v["proto"], port=v["port"])
        links.append(Link(v["peer"], v["ip"], v["proto"], int(v["port"]), v["bridge"], (found.place.line, *back)))
    return ports, links


def _port(found: Found, roles: Roles, subnets: dict[str, tuple[str, ...]]) -> Port:
    v = {k: value for k, value in found.values.items() if value is not None}
    container = v["container"].strip("[]")
    same = {"ip": container, "proto": v["proto"], "port": v["port"]}
    accepts = tuple(roles.of("port-accept", **same))
    bridge = v.get("bridge") or next((str(a.values["bridge"]) for a in accepts), None) or _bridge_of(container, subnets)
    return Port(
        host_ip=v.get("host_ip", "::" if ":" in container else "0.0.0.0"),
        host_port=int(v["host_port"]),
        proto=v["proto"],
        container_ip=container,
        container_port=int(v["port"]),
        bridge=bridge,
        dnat=found,
        accepts=accepts,
        hairpins=tuple(roles.of("hairpin", **same)),
    )


def _bridge_of(container: str, subnets: dict[str, tuple[str, ...]]) -> str | None:
    address = to_address(container)
    return next((b for b, nets in subnets.items() for n in nets if to_network(n).covers(address)), None)
