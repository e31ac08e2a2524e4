"""A Docker host as somebody sets it up: networks, published ports, links, and what the daemon is told."""

from __future__ import annotations

from typing import NamedTuple


class Net(NamedTuple):
    """A bridge network: what ``docker network create`` is told, and the addresses of its containers in one family."""

    bridge: str
    subnet: str | None
    containers: tuple[str, ...] = ()
    icc: bool = True
    internal: bool = False
    masquerade: bool = True
    snat: str | None = None
    mode: str = "nat"
    trusted: tuple[str, ...] = ()


class Port(NamedTuple):
    """``-p HOST:HOST_PORT:PORT/PROTO`` of a container on a network."""

    net: Net
    host_ip: str | None
    host_port: int
    container: str
    port: int
    proto: str


class Link(NamedTuple):
    """``--link``: what client may open of server."""

    net: Net
    client: str
    server: str
    port: int
    proto: str


class Setup(NamedTuple):
    """A host: its networks, the default one first, and the daemon's own settings."""

    nets: tuple[Net, ...]
    ports: tuple[Port, ...] = ()
    links: tuple[Link, ...] = ()
    mesh: tuple[Port, ...] = ()
    proxy: bool = True
    raw: bool = True
    direct: bool = False
    mark: str | None = None
    wsl2: bool = False
    family: int = 4
