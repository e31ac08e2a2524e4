"""Docker's networks: one bridge each, with the rules that say how it is configured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from iptexplain.recognise.docker_chains import Layout
from iptexplain.recognise.shape import Found, Roles, Shape
from iptexplain.rules.addresses import Address, to_address, to_network
from iptexplain.rules.model import Ruleset

SHAPES = (
    Shape("masquerade", "nat", "POSTROUTING -s {subnet} ! -o {bridge} -j MASQUERADE", "bridge"),
    Shape("masquerade-to", "nat", "POSTROUTING -s {subnet} ! -d {subnet} -j MASQUERADE", "to-itself"),
    Shape("snat", "nat", "POSTROUTING -s {subnet} ! -o {bridge} -j SNAT --to-source {ip}", "bridge"),
    Shape("host-masquerade", "nat", "POSTROUTING -o {bridge} -m addrtype --src-type LOCAL -j MASQUERADE", "bridge"),
    Shape("host-snat", "nat", "POSTROUTING -o {bridge} -m addrtype --src-type LOCAL -j SNAT --to-source {ip}", "bridge"),
    Shape("skip-dnat", "nat", "DOCKER -i {bridge} -j RETURN"),
    Shape("wsl2-return", "nat", "DOCKER -d {loopback} -i loopback0 -j RETURN"),
    Shape("established", "filter", "FORWARD -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "forward"),
    Shape("established", "filter", "DOCKER-CT -o {bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    Shape("to-ports", "filter", "FORWARD -o {bridge} -j DOCKER"),
    Shape("to-ports", "filter", "DOCKER-BRIDGE -o {bridge} -j DOCKER"),
    Shape("outgoing", "filter", "FORWARD -i {bridge} ! -o {bridge} -j ACCEPT", "forward"),
    Shape("outgoing", "filter", "DOCKER-FORWARD -i {bridge} ! -o {bridge} -j ACCEPT"),
    Shape("icc", "filter", "FORWARD -i {bridge} -o {bridge} -j ACCEPT", "forward"),
    Shape("icc", "filter", "DOCKER-FORWARD -i {bridge} -o {bridge} -j ACCEPT"),
    Shape("no-icc", "filter", "FORWARD -i {bridge} -o {bridge} -j DROP", "forward"),
    Shape("no-icc", "filter", "DOCKER-FORWARD -i {bridge} -o {bridge} -j DROP"),
    Shape("all-outgoing", "filter", "FORWARD -i {bridge} -j ACCEPT", "ext-bridges"),
    Shape("all-outgoing", "filter", "DOCKER-FORWARD -i {bridge} -j ACCEPT"),
    Shape("unpublished", "filter", "DOCKER ! -i {bridge} -o {bridge} -j DROP"),
    Shape("unprotected", "filter", "DOCKER ! -i {bridge} -o {bridge} -j ACCEPT"),
    Shape("routed-icmp", "filter", "DOCKER -o {bridge} -p {icmp} -j ACCEPT"),
    Shape("neighbours", "filter", "DOCKER -i {bridge} -o {bridge} -p ipv6-icmp -m icmp6 --icmpv6-type {neighbours} -j ACCEPT"),
    Shape("direct", "raw", "PREROUTING -d {ip}{host} ! -i {bridge} -j DROP", "bridge"),
    Shape("trusted", "raw", "PREROUTING -d {ip}{host} -i {interface} -j ACCEPT", "shielded"),
    Shape("direct-subnet", "raw", "PREROUTING -d {subnet} ! -i {bridge} -j DROP", "bridge"),
    Shape("host-direct", "raw", "PREROUTING -d {subnet} -i lo -j ACCEPT", "shielded"),
    Shape("trusted", "raw", "PREROUTING -d {subnet} -i {interface} -j ACCEPT", "shielded"),
)  # fmt: skip

OF_A_NETWORK = ("masquerade", "snat", "established", "to-ports", "outgoing", "all-outgoing", "icc", "no-icc", "unpublished", "unprotected",
                "isolation-leaving", "isolation-entering", "isolation-pair", "internal-in", "internal-out", "internal-in-both",
                "internal-out-both", "skip-dnat")  # fmt: skip
"""Roles whose bridge is one of Docker's."""

INTERNAL = ("internal-in", "internal-out", "internal-in-both", "internal-out-both")
OUTGOING_NAT = ("masquerade", "masquerade-to", "snat")
SAYS = {
    "subnets": (*OUTGOING_NAT, *INTERNAL, "direct-subnet"),
    "icc": ("icc", "no-icc", "all-outgoing"),
    "internal": INTERNAL,
    "masquerade": ("masquerade", "masquerade-to"),
    "snat_to": ("snat", "host-snat"),
    "gateway_mode": ("unprotected", "routed-icmp", "unpublished", *OUTGOING_NAT, "dnat", "port-accept"),
    "userland_proxy": ("jump-published-out", "skip-dnat", "host-masquerade", "host-snat"),
    "direct_routing": ("direct", "direct-port", "direct-subnet"),
    "trusted_interfaces": ("trusted",),
    "accept_fwmark": ("accept-mark",),
}
"""A network's settings, and the roles of the rules that say them."""


class Network(NamedTuple):
    """A Docker network as its rules tell it; None: the rules do not say."""

    bridge: str
    name: str | None
    default: bool
    subnets: tuple[str, ...]
    icc: bool | None
    internal: bool
    masquerade: bool | None
    snat_to: str | None
    gateway_mode: str | None
    userland_proxy: bool | None
    direct_routing: bool | None
    """Whether packets sent straight to a container get to Docker's rules for ports: False where raw drops them before."""
    trusted_interfaces: tuple[str, ...]
    """The interfaces from which raw does not drop them."""
    accept_fwmark: str | None
    containers: tuple[str, ...]
    """The addresses of containers that the rules name."""
    lines: dict[str, list[int]]
    """The lines of each role."""
    because: dict[str, list[int]]
    """The lines that say each setting."""

    @property
    def all_lines(self) -> list[int]:
        return sorted({n for some in self.lines.values() for n in some})


def recognise(
    ruleset: Ruleset, roles: Roles, layout: Layout | None, inspected: dict[str, dict[str, Any]]
) -> list[Network]:
    """The networks, the default bridge first, then in the order of the dump.

    ``inspected``: what ``docker network inspect`` says, by bridge; it gives names, and subnets where no rule has them.
    """
    bridges: dict[str, list[Found]] = {}
    for found in sorted(roles.found, key=lambda f: f.place.line):
        bridge = found.values["bridge"]
        if bridge and found.role in OF_A_NETWORK:
            bridges.setdefault(bridge, [])
    for found in roles.found:
        if found.values["bridge"] in bridges:
            bridges[str(found.values["bridge"])].append(found)
    if len(bridges) == 1:
        next(iter(bridges.values())).extend(roles.of("masquerade-to"))
    for found in roles.of("dnat"):
        home = None if found.values["bridge"] else _home(found.container, bridges)
        if home:
            bridges[home].append(found)
    networks = [_network(b, mine, roles, layout, inspected.get(b, {})) for b, mine in bridges.items()]
    networks = _by_elimination(networks, roles.of("subnet-pair"))
    if "nat" not in ruleset.tables:
        shut = {n.bridge for n in networks if n.direct_routing is False}
        networks = [n._replace(masquerade=None, direct_routing=False if n.bridge in shut else None) for n in networks]
    return sorted(networks, key=lambda n: not n.default)


def _network(bridge: str, mine: list[Found], roles: Roles, layout: Layout | None, inspected: dict[str, Any]) -> Network:
    addresses = {f.values["ip"] for f in mine if f.role == "direct"}
    subnets = dict.fromkeys(str(f.values["subnet"]) for f in mine if f.values["subnet"])
    trusted = [f for f in roles.of("trusted") if f.values["ip"] in addresses or f.values["subnet"] in subnets]
    lines = _lines([*mine, *trusted])
    if not subnets:
        configured = (inspected.get("IPAM") or {}).get("Config") or []
        v6 = any(":" in str(f.values["ip"]) for f in mine)
        subnets = dict.fromkeys(c["Subnet"] for c in configured if (":" in c.get("Subnet", "")) == v6)
    internal = bool(set(INTERNAL) & set(lines))
    mode = None if internal else _gateway_mode(lines, layout, bool(roles.of("jump-published-in")))
    everybody = _lines(roles.of("jump-published-out", "accept-mark"))
    mark = roles.of("accept-mark")
    return Network(
        bridge=bridge,
        name=inspected.get("Name"),
        default=_is_default(bridge, lines, layout, inspected),
        subnets=tuple(subnets),
        icc=_icc(mine),
        internal=internal,
        masquerade=bool(lines.keys() & {"masquerade", "masquerade-to"}),
        snat_to=next((f.values["ip"] for f in mine if f.role in ("snat", "host-snat")), None),
        gateway_mode=mode,
        userland_proxy=_proxy_of(bridge, lines, roles),
        direct_routing=None if internal else _direct_routing(lines, mode),
        trusted_interfaces=tuple(dict.fromkeys(str(f.values["interface"]) for f in trusted)),
        accept_fwmark=mark[0].values["mark"] if mark and not internal else None,
        containers=_containers(mine),
        lines=lines,
        because=_because(lines, everybody),
    )


def _home(container: str, bridges: dict[str, list[Found]]) -> str | None:
    """The bridge of a container that a DNAT rule without bridge leads to (docker-proxy is off): the one that another rule names
    with its address, or whose subnet it lies in; where no rule does, the only one that can have such a port: its subnet is not
    known, and nothing has to let the port in (nat-unprotected)."""
    address = to_address(container)
    for bridge, mine in bridges.items():
        if any(f.values["ip"] == container or _covers(f.values["subnet"], address) for f in mine):
            return bridge
    unknown = [b for b, mine in bridges.items() if not any(f.values["subnet"] for f in mine)]
    open_to_all = [b for b in unknown if any(f.role == "unprotected" for f in bridges[b])]
    likely = open_to_all or unknown
    return likely[0] if len(likely) == 1 else None


def _covers(subnet: str | None, address: Address) -> bool:
    return subnet is not None and to_network(subnet).covers(address)


def _lines(found: Iterable[Found]) -> dict[str, list[int]]:
    lines: dict[str, list[int]] = {}
    for f in found:
        lines.setdefault(f.role, []).append(f.place.line)
    return lines


def _because(lines: dict[str, list[int]], everybody: dict[str, list[int]]) -> dict[str, list[int]]:
    """The lines that say each setting: the network's own rules, and those that are there for all networks."""
    both = {**everybody, **lines}
    said = {setting: sorted(n for role in wanted for n in both.get(role, [])) for setting, wanted in SAYS.items()}
    return {setting: found for setting, found in said.items() if found}


def _is_default(bridge: str, lines: dict[str, list[int]], layout: Layout | None, inspected: dict[str, Any]) -> bool:
    """docker0 unless ``docker network inspect`` says otherwise; up to 1.8 there is no other network, and --link with icc off
    writes rules for the default one alone."""
    if inspected:
        return (inspected.get("Options") or {}).get("com.docker.network.bridge.default_bridge") == "true"
    return (
        bridge == "docker0" or "link" in lines or (layout is not None and layout.name in ("nat-only", "filter-chain"))
    )


def _icc(mine: list[Found]) -> bool | None:
    """The first rule about packets within the bridge decides."""
    about = [f for f in mine if f.role in SAYS["icc"]]
    return min(about, key=lambda f: f.place.line).role != "no-icc" if about else None


def _gateway_mode(lines: dict[str, list[int]], layout: Layout | None, rewriting: bool) -> str | None:
    """Since 28 the network's default rule says it; before that, what is rewritten, and before 27 there was only one mode.

    ``rewriting``: whether table nat has Docker's rules at all.
    """
    modes = layout.line.modes if layout else ()
    for role, mode in (("unprotected", "nat-unprotected"), ("routed-icmp", "routed"), ("unpublished", "nat")):
        if role in lines and mode in modes:
            return mode
    if lines.keys() & {*OUTGOING_NAT, "dnat"} and "nat-unprotected" not in modes:
        return "nat"
    if len(modes) == 1:
        return modes[0]
    return "routed" if rewriting and "port-accept" in lines and "nat-unprotected" not in modes else None


def userland_proxy(roles: Roles) -> bool | None:
    """With docker-proxy, the host's own packets to loopback are left to it: the jump from nat OUTPUT excludes them."""
    jumps = roles.of("jump-published-out")
    return jumps[0].values["loopback"] is not None if jumps else None


def _proxy_of(bridge: str, lines: dict[str, list[int]], roles: Roles) -> bool | None:
    """The daemon's setting; where the jump is gone, the network's own rules show it."""
    daemon = userland_proxy(roles)
    if daemon is not None or "skip-dnat" in lines:
        return daemon is not False
    hairpin = lines.keys() & {"host-masquerade", "host-snat"} and bridge != "docker_gwbridge"
    return False if hairpin else None


def _direct_routing(lines: dict[str, list[int]], mode: str | None) -> bool | None:
    if lines.keys() & set(SAYS["direct_routing"]):
        return False
    return True if lines.keys() & {"dnat", "port-accept"} or mode in ("routed", "nat-unprotected") else None


def _containers(mine: list[Found]) -> tuple[str, ...]:
    """Addresses of containers, in their order."""
    found = {f.container for f in mine if f.role == "dnat"}
    found |= {str(f.values["ip"]) for f in mine if f.role in ("direct", "direct-port", "port-accept", "link")}
    found |= {str(f.values["peer"]) for f in mine if f.role == "link"}
    return tuple(map(str, sorted(to_address(a) for a in found)))


def _by_elimination(networks: list[Network], pairs: list[Found]) -> list[Network]:
    """1.9 names every subnet in its isolation: the one that no network has is that of the only network without."""
    known = {s for n in networks for s in n.subnets}
    left = dict.fromkeys(
        str(f.values[k]) for f in pairs for k in ("subnet", "other_subnet") if f.values[k] not in known
    )
    without = [n for n in networks if not n.subnets]
    if len(left) != 1 or len(without) != 1:
        return networks
    [subnet] = left
    because = sorted(f.place.line for f in pairs if subnet in (f.values["subnet"], f.values["other_subnet"]))
    told = without[0]._replace(subnets=(subnet,), because={**without[0].because, "subnets": because})
    return [told if n is without[0] else n for n in networks]


def house_of(address: str, networks: list[Network]) -> str | None:
    """The bridge of the network that an address lies in."""
    wanted = to_address(address)
    inside = (n.bridge for n in networks if address in n.containers or any(_covers(s, wanted) for s in n.subnets))
    return next(inside, None)
