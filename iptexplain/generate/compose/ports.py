"""The published ports of a service, in the short form and in the long one."""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.errors import Location, OptionError
from iptexplain.explain.nodes import Node
from iptexplain.explain.words import said
from iptexplain.generate.compose.reader import Reader, address
from iptexplain.generate.wanted import PROTOCOLS

LONG = ("name", "target", "published", "host_ip", "protocol", "app_protocol", "mode")
FORM = "write [[HOST_IP:]HOST_PORT:]CONTAINER_PORT[/PROTOCOL], such as '127.0.0.1:8080:80/tcp'"


class Binding(NamedTuple):
    """A port of a container; ``host_ip`` "": whatever addresses the network says; ``chosen``: the host's port is chosen by Docker when
    the container starts, from these."""

    location: Location
    host_ip: str
    host_port: int
    port: int
    proto: str
    chosen: str | None = None


def read_ports(reader: Reader, node: Node | None, service: str) -> list[Binding]:
    """What is wrong is told with its line, and left out."""
    found = []
    for item in reader.items(node, f"service {service}: ports"):
        try:
            found += _short(reader, item) if isinstance(item.value, str) else _long(reader, item)
        except OptionError as e:
            reader.written.wrong(item.location, f"service {service}: ports: {e.message}")
    return found


def _short(reader: Reader, item: Node) -> list[Binding]:
    text = reader.text(item, "ports")
    if not text:
        return []
    rest, _, inner = text.rpartition(":")
    host_ip, _, outer = rest.rpartition(":")
    if host_ip.startswith("[") and host_ip.endswith("]"):
        host_ip = host_ip[1:-1]
    inner, _, proto = inner.partition("/")
    if not inner:
        raise OptionError(f"'{said(text)}' has no port of the container: {FORM}")
    return _bindings(item.location, host_ip, outer, inner, proto)


def _long(reader: Reader, item: Node) -> list[Binding]:
    found = reader.mapping(item, "ports", LONG)
    texts = {key: reader.text(found.get(key), key) for key in LONG}
    if not texts["target"]:
        raise OptionError("'target', the port of the container, is missing")
    return _bindings(item.location, texts["host_ip"], texts["published"], texts["target"], texts["protocol"])


def _bindings(location: Location, host_ip: str, outer: str, inner: str, proto: str) -> list[Binding]:
    """As ``docker run -p`` reads it: ranges of the same length are paired; of a range for one port Docker chooses when it starts."""
    proto = proto.lower() or "tcp"
    if proto not in PROTOCOLS:
        raise OptionError(f"'{said(proto)}' is no protocol that can be published: there are {', '.join(PROTOCOLS)}")
    if host_ip:
        host_ip = str(address(host_ip))
    first, last = _range(inner)
    if not outer:
        return [Binding(location, host_ip, 0, port, proto, "those that are free") for port in range(first, last + 1)]
    host_first, host_last = _range(outer)
    if first == last != host_last and host_first != host_last:
        return [Binding(location, host_ip, 0, first, proto, f"{host_first} to {host_last}")]
    if last - first != host_last - host_first:
        raise OptionError(f"{said(outer)} and {said(inner)} are ranges of different lengths")
    return [Binding(location, host_ip, host_first + n, first + n, proto) for n in range(last - first + 1)]


def _range(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    ends = [
        int(end) for end in ((low, high) if dash else (low, low)) if end.isascii() and end.isdecimal() and len(end) < 6
    ]
    if len(ends) != 2 or not 0 < ends[0] <= ends[1] < 65536:
        raise OptionError(f"'{said(text)}' is no port and no range of ports: {FORM}")
    return ends[0], ends[1]
