"""Published ports: the DNAT rule, the rule that lets the packet into the bridge, and the hairpin rule; and --link pairs."""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.recognise.docker_network import Network, house_of
from iptexplain.recognise.shape import Found, Roles, Shape

SHAPES = (
    Shape("dnat", "nat", "DOCKER[ ! -s fe80::/10][ -d {host_ip}{host}][ ! -i {bridge}] -p {proto} -m {proto} --dport {host_port} "
                         "-j DNAT --to-destination {container}:{port}"),
    Shape("hairpin", "nat", "POSTROUTING -s {ip}{host} -d {ip}{host} -p {proto} -m {proto} --dport {port} -j MASQUERADE", "target"),
    Shape("port-accept", "filter", "DOCKER -d {ip}{host} ! -i {bridge} -o {bridge} -p {proto} -m {proto} --dport {port} -j ACCEPT"),
    Shape("port-accept", "filter", "FORWARD -d {ip}{host} ! -i {bridge} -o {bridge} -p {proto} -m {proto} --dport {port} -j ACCEPT",
          "nat-only"),
    Shape("port-accept-inside", "filter", "DOCKER -d {ip}{host} -i {bridge} -o {bridge} -p {proto} -m {proto} --dport {port} "
                                          "-m conntrack ! --ctorigdst {ip} -j ACCEPT"),
    *(
        shape
        for chain, needs in (("DOCKER", ""), ("FORWARD", "nat-only"))
        for shape in (
            Shape("link", "filter", chain + " -s {peer}{host} -d {ip}{host} -i {bridge} -o {bridge} "
                                            "-p {proto} -m {proto} --dport {port} -j ACCEPT", needs),
            Shape("link-answer", "filter", chain + " -s {ip}{host} -d {peer}{host} -i {bridge} -o {bridge} "
                                                   "-p {proto} -m {proto} --sport {port} -j ACCEPT", needs),
        )
    ),
    Shape("loopback-only", "raw", "PREROUTING -d {host_ip}{host} ! -i lo -p {proto} -m {proto} --dport {host_port} -j DROP", "door"),
    Shape("wsl2-loopback", "raw", "PREROUTING -d {host_ip}{host} -i loopback0 -p {proto} -m {proto} --dport {host_port} -j ACCEPT",
          "door"),
    Shape("direct-port", "raw", "PREROUTING -d {ip}{host} ! -i {bridge} -p {proto} -m {proto} --dport {port} -j DROP", "bridge"),
    Shape("checksum", "mangle", "POSTROUTING -p sctp -m sctp --sport {port} -j CHECKSUM --checksum-fill", "sctp"),
)  # fmt: skip

Key = tuple[str | None, ...]
TO_CONTAINER = ("port-accept", "port-accept-inside", "hairpin", "direct-port")
"""Roles of a published port's rules that name the container's address and port."""
DOCKER = "docker"
EVERY = 65535
"""How many ports an address has; 0 is none of them."""
AT_HOST = ("loopback-only", "wsl2-loopback")
"""Roles of its rules that name the host's."""


class Port(NamedTuple):
    """A published port. ``host_ip`` is 0.0.0.0 (or ::) when it is published on every address of the host.

    ``rules``: the other rules that are there for it, by role; ``by``: who wrote them, ``docker``, ``hand`` or a program
    (recognise/own_port.py). What Docker does not write can be for ``size`` ports that go to ``inner`` ones, for what comes in by
    one ``interface`` or from one network (``client``); ``container_ip`` is "" where it leads to the host itself.
    """

    host_ip: str
    host_port: int
    proto: str
    container_ip: str
    container_port: int
    bridge: str | None
    dnat: Found
    rules: dict[str, tuple[Found, ...]]
    by: str = DOCKER
    size: int = 1
    inner: int = 1
    interface: str | None = None
    client: str | None = None

    @property
    def accepts(self) -> tuple[Found, ...]:
        return self.rules.get("port-accept", ())

    @property
    def because(self) -> dict[str, list[int]]:
        """The lines of its rules by role."""
        return {role: sorted(f.place.line for f in some) for role, some in {"dnat": (self.dnat,), **self.rules}.items()}

    @property
    def lines(self) -> list[int]:
        return sorted({n for some in self.because.values() for n in some})

    @property
    def host_last(self) -> int:
        return self.host_port + self.size - 1

    @property
    def container_last(self) -> int:
        return self.container_port + self.inner - 1

    @property
    def is_every(self) -> bool:
        """Whether it is every port of an address."""
        return self.size > EVERY

    @property
    def is_everywhere(self) -> bool:
        return self.host_ip in ("0.0.0.0", "::")

    def is_for(self, outside: str) -> bool:
        """Whether its rule is (also) about what comes in by the interface to the outside."""
        name = self.interface
        return not name or name == outside or (name.endswith("+") and outside.startswith(name[:-1]))

    @property
    def is_loopback(self) -> bool:
        return self.host_ip.startswith("127.") or self.host_ip == "::1"

    @property
    def loopback_protection(self) -> str | None:
        """What keeps others on the link from a port that is bound to loopback: Docker's drop in ``raw`` (28 and later), the
        ``kernel`` (nothing from outside is let to ::1), or ``none``; None for a port that is not bound to loopback."""
        if not self.is_loopback:
            return None
        return "raw" if "loopback-only" in self.rules else "none" if self.host_ip.startswith("127.") else "kernel"


class Link(NamedTuple):
    """``docker run --link``: ``client`` may open ``port`` of ``server`` although icc is off."""

    client: str
    server: str
    proto: str
    port: int
    bridge: str
    lines: tuple[int, ...]


def recognise(roles: Roles, networks: list[Network]) -> tuple[list[Port], list[Link]]:
    """The published ports in the order of the dump, and the links."""
    rules: dict[tuple[str, Key], list[Found]] = {}
    for keys, wanted in ((("ip", "proto", "port"), TO_CONTAINER), (("host_ip", "proto", "host_port"), AT_HOST)):
        for found in roles.of(*wanted):
            rules.setdefault((found.role, tuple(found.values[k] for k in keys)), []).append(found)
    links = []
    for found in roles.of("link"):
        v = {k: str(value) for k, value in found.values.items()}
        back = roles.lines("link-answer", ip=v["ip"], peer=v["peer"], proto=v["proto"], port=v["port"])
        links.append(Link(v["peer"], v["ip"], v["proto"], int(v["port"]), v["bridge"], (found.place.line, *back)))
    return [_port(f, rules, networks) for f in roles.of("dnat")], links


def _port(found: Found, rules: dict[tuple[str, Key], list[Found]], networks: list[Network]) -> Port:
    v = {k: value for k, value in found.values.items() if value is not None}
    container = found.container
    inside, outside = (container, v["proto"], v["port"]), (v.get("host_ip"), v["proto"], v["host_port"])
    mine = {role: tuple(rules[role, inside]) for role in TO_CONTAINER if (role, inside) in rules}
    mine |= {role: tuple(rules[role, outside]) for role in AT_HOST if (role, outside) in rules}
    named = (v.get("bridge"), *(f.values["bridge"] for some in mine.values() for f in some))
    return Port(
        host_ip=v.get("host_ip", "::" if ":" in container else "0.0.0.0"),
        host_port=int(v["host_port"]),
        proto=v["proto"],
        container_ip=container,
        container_port=int(v["port"]),
        bridge=next(filter(None, named), None) or house_of(container, networks),
        dnat=found,
        rules=mine,
    )


def opened(roles: Roles, networks: list[Network]) -> list[Found]:
    """Rules that let packets to a container's port although no port of the host leads there: gateway mode routed."""
    published = {(f.container, f.values["proto"], f.values["port"]) for f in roles.of("dnat")}
    rewriting = {n.bridge for n in networks if n.gateway_mode in ("nat", "nat-unprotected")}
    alone = (f for f in roles.of("port-accept") if f.values["bridge"] not in rewriting and roles.is_reached(f.place))
    return [f for f in alone if tuple(f.values[k] for k in ("ip", "proto", "port")) not in published]
