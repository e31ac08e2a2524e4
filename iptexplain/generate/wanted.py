"""What rules are wanted for, read from Docker's inspect JSON: networks, published ports, links, of one family."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from iptexplain.errors import OptionError, UsageError
from iptexplain.explain.words import said
from iptexplain.host.inspected import BRIDGE
from iptexplain.host.topology import bridge_name
from iptexplain.rules.addresses import to_address, to_network
from iptexplain.rules.values import Family

OPTION = "com.docker.network."
NAME = re.compile(r"(?!-)[A-Za-z0-9_.:@-]{1,15}")
"""The names of interfaces that rules can hold without a doubt."""
MODES = ("nat", "nat-unprotected", "routed", "isolated")
ADDRESS: dict[int, str] = {4: "IPAddress", 6: "GlobalIPv6Address"}
EVERYWHERE = ("", "0.0.0.0", "::")
PROTOCOLS = ("tcp", "udp", "sctp")
WITHOUT_RULES = ("host", "null", "none", "macvlan", "ipvlan")
"""Drivers for which Docker writes no rules."""


class Network(NamedTuple):
    """A bridge network with its subnets and its containers' addresses."""

    name: str
    bridge: str
    subnets: tuple[str, ...]
    containers: tuple[str, ...]
    icc: bool
    internal: bool
    masquerade: bool
    snat: str | None
    mode: str
    trusted: tuple[str, ...]
    host_ip: str
    """The host's address at which ports are published that name none; "": all of them."""


class Port(NamedTuple):
    """A published port; ``host_ip`` None: every address of the host."""

    network: Network
    host_ip: str | None
    host_port: int
    container: str
    port: int
    proto: str


class Link(NamedTuple):
    network: Network
    client: str
    server: str
    port: int
    proto: str


class Wanted(NamedTuple):
    """``notes``: what was taken for granted, as sentences."""

    family: Family
    networks: tuple[Network, ...]
    ports: tuple[Port, ...]
    links: tuple[Link, ...]
    notes: tuple[str, ...]


def wanted(docker: dict[str, Any], family: Family) -> Wanted:
    """The networks and ports of inspect JSON (host/inspected.py). Raises UsageError for what no rule can stand for, with its name."""
    networks = {n["Name"]: _network(n, docker, family) for n in docker["networks"] if _is_bridge(n)}
    here = {name: network for name, network in networks.items() if network.subnets}
    notes: list[str] = []
    ports = tuple(p for c in docker["containers"] for p in _ports(c, networks, family, notes))
    links = tuple(x for c in docker["containers"] for x in _links(c, docker, here, family))
    return Wanted(family, tuple(here.values()), ports, links, tuple(notes))


def _is_bridge(network: dict[str, Any]) -> bool:
    driver, name = network.get("Driver"), said(network["Name"])
    if driver == "overlay" and "encrypted" in (network.get("Options") or {}):
        raise UsageError(
            f"network {name}: an encrypted overlay network needs rules that Docker alone can keep up to date"
        )
    if driver not in ("bridge", "overlay", *WITHOUT_RULES):
        raise UsageError(f"network {name}: what the driver '{said(str(driver))}' needs is not known")
    return bool(driver == "bridge")


def _network(network: dict[str, Any], docker: dict[str, Any], family: Family) -> Network:
    options = network.get("Options") or {}
    name, bridge = network["Name"], bridge_name(network)
    trusted = tuple(i for i in str(options.get(f"{BRIDGE}trusted_host_interfaces", "")).split(":") if i)
    mode = options.get(f"{BRIDGE}gateway_mode_ipv{family}") or "nat"
    snat = options.get(f"{OPTION}host_ipv{family}") or None
    for interface in (bridge, *trusted):
        if not NAME.fullmatch(interface):
            raise UsageError(
                f"network {said(name)}: '{said(interface)}' is no name of an interface that rules can hold"
            )
    if mode not in MODES:
        raise UsageError(f"network {said(name)}: the gateway mode '{said(str(mode))}' is not known")
    subnets = [
        c["Subnet"] for c in (network.get("IPAM") or {}).get("Config") or [] if (":" in c["Subnet"]) is (family == 6)
    ]
    on = network.get("EnableIPv6") if family == 6 else network.get("EnableIPv4", True)
    attached = (c.get("NetworkSettings", {}).get("Networks", {}).get(name) or {} for c in docker["containers"])
    return Network(
        name=name,
        bridge=bridge,
        subnets=tuple(str(to_network(s, family)) for s in subnets) if on else (),
        containers=tuple(_checked(a, family, name) for settings in attached if (a := settings.get(ADDRESS[family]))),
        icc=_flag(options, f"{BRIDGE}enable_icc"),
        internal=bool(network.get("Internal")) or mode == "isolated",
        masquerade=_flag(options, f"{BRIDGE}enable_ip_masquerade"),
        snat=_checked(snat, family, name) if snat else None,
        mode="nat" if mode == "isolated" else mode,
        trusted=trusted,
        host_ip=_host_ip(str(options.get(f"{BRIDGE}host_binding_ipv4", "")), name),
    )


def _host_ip(address: str, owner: str) -> str:
    """Bound to 0.0.0.0, a port is published at the IPv6 addresses, too; it may be one of IPv6, whatever its option is called."""
    return _checked(address, 6 if ":" in address else 4, owner) if address not in ("", "0.0.0.0") else ""


def _checked(address: str, family: Family, owner: str) -> str:
    """An address, and nothing but that."""
    try:
        return str(to_address(address, family))
    except OptionError as e:
        raise UsageError(f"{said(owner)}: {said(e.message)}") from None


def _flag(options: dict[str, Any], name: str) -> bool:
    return str(options.get(name, "true")).lower() not in ("false", "0", "f")


def _ports(container: dict[str, Any], networks: dict[str, Network], family: Family, notes: list[str]) -> Iterator[Port]:
    settings = container.get("NetworkSettings", {})
    running = {inner: bindings for inner, bindings in (settings.get("Ports") or {}).items() if bindings}
    planned = (container.get("HostConfig") or {}).get("PortBindings") or {}
    name = said(container["Name"].lstrip("/"))
    if planned and not running and to_outside(settings.get("Networks") or {}, networks):
        raise UsageError(f"container {name}: it is not running, so its address, which rules must name, is missing")
    published = {inner: [b for b in bindings if _may_be(b, family)] for inner, bindings in running.items()}
    if not any(published.values()):
        return
    network, address = _served_by(container, networks, family, notes)
    for inner, bindings in published.items():
        port, _, proto = inner.partition("/")
        if not port.isdecimal() or proto not in PROTOCOLS:
            raise UsageError(f"container {name}: '{said(inner)}' is no port that rules can publish")
        for binding in bindings:
            host_ip = binding.get("HostIp") or (network.host_ip if network else "")
            if host_ip and (":" in host_ip) is not (family == 6):
                continue
            if not str(binding.get("HostPort", "")).isdecimal():
                raise UsageError(f"container {name}: which port of the host leads to {said(inner)} is missing")
            if network and address:
                host = None if host_ip in EVERYWHERE else _checked(host_ip, family, name)
                yield Port(network, host, int(binding["HostPort"]), _checked(address, family, name), int(port), proto)
            else:
                notes.append(
                    f"container {name} has no IPv{family} address: {said(inner)} is not reached over IPv{family} without docker-proxy"
                )


def _may_be(binding: dict[str, Any], family: Family) -> bool:
    """Whether a port is published in a family, as far as its own address of the host tells."""
    return not binding.get("HostIp") or (":" in binding["HostIp"]) is (family == 6)


def _served_by(
    container: dict[str, Any], networks: dict[str, Network], family: Family, notes: list[str]
) -> tuple[Network | None, str | None]:
    """The network that published ports lead by, that of the default gateway, and the container's address there.

    Of the networks that have an address of the family, Docker takes the one with the highest gateway priority (28 and later), of
    those one with both families, and of those the first by name (libnetwork, Endpoint.Less).
    """
    name = said(container["Name"].lstrip("/"))
    attached = container.get("NetworkSettings", {}).get("Networks") or {}
    unknown = sorted(n for n, s in attached.items() if n not in networks and s.get("IPAddress"))
    outside = to_outside(attached, networks)
    if unknown and not outside:
        raise UsageError(
            f"container {name}: its ports lead by network {said(unknown[0])}, of which 'docker network inspect' would tell, or "
            "which is no bridge network: then Docker serves its ports in another way"
        )
    here = [n for n in outside if attached[n].get(ADDRESS[family])]
    missing = next((n for n in outside if networks[n].subnets), None) if family == 4 and not here else None
    if missing:
        raise UsageError(f"container {name}: its address on network {said(missing)} is missing; is it running?")
    if len(here) > 1:
        (first, both), (second, other) = (_rank(attached[n]) for n in here[:2])
        chosen = (
            "the one with the highest gateway priority"
            if first > second
            else "the one with both IPv4 and IPv6"
            if both > other
            else "the first by name"
        )
        notes.append(
            f"container {name} is on {len(here)} networks with IPv{family}: its ports lead by {said(here[0])}, {chosen}, as Docker chooses"
        )
    return (networks[here[0]], attached[here[0]][ADDRESS[family]]) if here else (None, None)


def to_outside(attached: dict[str, Any], networks: dict[str, Network]) -> list[str]:
    """The networks by which a container's ports may lead, the one first that Docker takes where its family is on."""
    found = (n for n in attached if n in networks and not networks[n].internal)
    by_name = sorted(found)
    return sorted(by_name, key=lambda n: _rank(attached[n]), reverse=True)


def _rank(settings: dict[str, Any]) -> tuple[int, bool]:
    """``docker network connect --gw-priority``, 0 where nobody said so, and whether there are addresses of both families."""
    priority = settings.get("GwPriority")
    return priority if isinstance(priority, int) else 0, all(settings.get(key) for key in ADDRESS.values())


def _links(
    container: dict[str, Any], docker: dict[str, Any], networks: dict[str, Network], family: Family
) -> Iterator[Link]:
    """``--link`` on the default bridge with icc off: the server's exposed ports are opened to the client."""
    by_name = {c["Name"]: c for c in docker["containers"]}
    network = networks.get("bridge")
    mine = _address(container, "bridge", family)
    for text in (container.get("HostConfig") or {}).get("Links") or []:
        server = by_name.get(text.partition(":")[0])
        theirs = _address(server, "bridge", family) if server else None
        if not (network and not network.icc and server and mine and theirs and family == 4):
            continue
        for inner in (server.get("Config") or {}).get("ExposedPorts") or {}:
            port, _, proto = inner.partition("/")
            if port.isdecimal() and proto in PROTOCOLS:
                yield Link(network, mine, theirs, int(port), proto)


def _address(container: dict[str, Any], network: str, family: Family) -> str | None:
    settings = container.get("NetworkSettings", {}).get("Networks", {}).get(network) or {}
    address = settings.get(ADDRESS[family])
    return _checked(address, family, container["Name"]) if address else None
