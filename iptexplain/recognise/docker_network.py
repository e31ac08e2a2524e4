"""Docker's networks: one bridge each, with the rules that say how it is configured."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.recognise.shape import Roles, Shape
from iptexplain.rules.model import Ruleset

SHAPES = (
    Shape("masquerade", "nat", "POSTROUTING -s {subnet} ! -o {bridge} -j MASQUERADE"),
    Shape("snat", "nat", "POSTROUTING -s {subnet} ! -o {bridge} -j SNAT --to-source {ip}"),
    Shape("host-masquerade", "nat", "POSTROUTING -o {bridge} -m addrtype --src-type LOCAL -j MASQUERADE"),
    Shape("skip-dnat", "nat", "DOCKER -i {bridge} -j RETURN"),
    Shape("established", "filter", "FORWARD -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    Shape("established", "filter", "DOCKER-CT -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    Shape("to-ports", "filter", "FORWARD -o {bridge} -j DOCKER"),
    Shape("to-ports", "filter", "DOCKER-BRIDGE -o {bridge} -j DOCKER"),
    Shape("outgoing", "filter", "FORWARD -i {bridge} ! -o {bridge} -j ACCEPT"),
    Shape("outgoing", "filter", "DOCKER-FORWARD -i {bridge} ! -o {bridge} -j ACCEPT"),
    Shape("all-outgoing", "filter", "DOCKER-FORWARD -i {bridge} -j ACCEPT"),
    Shape("icc", "filter", "FORWARD -i {bridge} -o {bridge} -j ACCEPT"),
    Shape("icc", "filter", "DOCKER-FORWARD -i {bridge} -o {bridge} -j ACCEPT"),
    Shape("no-icc", "filter", "FORWARD -i {bridge} -o {bridge} -j DROP"),
    Shape("no-icc", "filter", "DOCKER-FORWARD -i {bridge} -o {bridge} -j DROP"),
    Shape("unpublished", "filter", "DOCKER ! -i {bridge} -o {bridge} -j DROP"),
    Shape("direct", "raw", "PREROUTING -d {ip}{host} ! -i {bridge} -j DROP"),
)

OF_A_NETWORK = ("masquerade", "snat", "established", "to-ports", "outgoing", "all-outgoing", "icc", "no-icc", "unpublished",
                "isolation-leaving", "isolation-entering", "internal-in", "internal-out")  # fmt: skip
"""Roles whose bridge is one of Docker's."""


class Network(NamedTuple):
    """A Docker network as its rules tell it; None: the rules do not say."""

    bridge: str
    name: str | None
    default: bool
    subnets: tuple[str, ...]
    icc: bool | None
    internal: bool
    masquerade: bool
    snat_to: str | None
    gateway_mode: str | None
    userland_proxy: bool | None
    lines: dict[str, list[int]]
    """The lines of each role."""

    @property
    def all_lines(self) -> list[int]:
        return sorted({n for some in self.lines.values() for n in some})


def recognise(ruleset: Ruleset, roles: Roles, inspected: dict[str, dict[str, Any]]) -> list[Network]:
    """The networks, the default bridge first, then in the order of the dump.

    ``inspected``: what ``docker network inspect`` says, by bridge; it gives names, and subnets where no rule has them.
    """
    bridges = dict.fromkeys(
        str(f.values["bridge"]) for f in sorted(roles.found, key=lambda f: f.place.line) if f.role in OF_A_NETWORK
    )
    return sorted((_network(b, roles, inspected.get(b, {})) for b in bridges), key=lambda n: not n.default)


def _network(bridge: str, roles: Roles, inspected: dict[str, Any]) -> Network:
    mine = [f for f in roles.found if f.values.get("bridge") == bridge]
    lines: dict[str, list[int]] = {}
    for found in mine:
        lines.setdefault(found.role, []).append(found.place.line)
    subnets = dict.fromkeys(str(f.values["subnet"]) for f in mine if f.values.get("subnet"))
    if not subnets:
        configured = (inspected.get("IPAM") or {}).get("Config") or []
        v6 = any(":" in str(f.values.get("ip")) for f in mine)
        subnets = dict.fromkeys(c["Subnet"] for c in configured if (":" in c.get("Subnet", "")) == v6)
    options = inspected.get("Options") or {}
    snat = next((f.values["ip"] for f in mine if f.role == "snat"), None)
    default = options.get("com.docker.network.bridge.default_bridge") == "true" or (
        not inspected and bridge == "docker0"
    )
    return Network(
        bridge=bridge,
        name=inspected.get("Name"),
        default=default,
        subnets=tuple(subnets),
        icc=False if "no-icc" in lines else True if {"icc", "all-outgoing"} & set(lines) else None,
        internal="internal-in" in lines or "internal-out" in lines,
        masquerade="masquerade" in lines,
        snat_to=snat,
        gateway_mode=_gateway_mode(lines),
        userland_proxy=_userland_proxy(roles),
        lines=lines,
    )


def _gateway_mode(lines: dict[str, list[int]]) -> str | None:
    if {"masquerade", "snat", "dnat"} & set(lines):
        return "nat"
    return "routed" if "port-accept" in lines else None


def _userland_proxy(roles: Roles) -> bool | None:
    """With docker-proxy, the host's own packets to loopback are left to it: the jump from nat OUTPUT excludes them."""
    jumps = roles.of("jump-published-out")
    return jumps[0].values["loopback"] is not None if jumps else None
