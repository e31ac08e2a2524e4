"""What is kept of Docker's inspect JSON: an allow-list, for the rest holds passwords (environment, labels, command lines)."""

from __future__ import annotations

from typing import Any

VALUE = None
"""In a form: a text, a number, true or false."""

ANY = "*"
"""In a form: whatever keys there are; they are names that Docker's users gave, addresses or ports."""

BRIDGE = "com.docker.network.bridge."
OPTIONS = (
    *(BRIDGE + name for name in ("default_bridge", "enable_icc", "enable_ip_masquerade", "gateway_mode_ipv4", "gateway_mode_ipv6",
                                 "host_binding_ipv4", "inhibit_ipv4", "name", "trusted_host_interfaces")),
    "com.docker.network.container_iface_prefix", "com.docker.network.driver.mtu", "com.docker.network.enable_ipv4",
    "com.docker.network.enable_ipv6", "com.docker.network.host_ipv4", "com.docker.network.host_ipv6",
    "com.docker.network.internal", "encrypted", "ipvlan_mode", "macvlan_mode", "parent",
)  # fmt: skip
"""The options of Docker's own network drivers; another driver may be given a token."""

_BINDINGS = {ANY: [{"HostIp": VALUE, "HostPort": VALUE}]}

NETWORK: dict[str, Any] = {
    "Name": VALUE, "Id": VALUE, "Scope": VALUE, "Driver": VALUE, "EnableIPv4": VALUE, "EnableIPv6": VALUE, "Internal": VALUE,
    "Ingress": VALUE,
    "IPAM": {"Config": [{"Subnet": VALUE, "IPRange": VALUE, "Gateway": VALUE}]},
    "Options": dict.fromkeys(OPTIONS, VALUE),
    "Containers": {ANY: {"Name": VALUE, "MacAddress": VALUE, "IPv4Address": VALUE, "IPv6Address": VALUE}},
}  # fmt: skip
"""The form of ``docker network inspect``."""

CONTAINER: dict[str, Any] = {
    "Name": VALUE, "Id": VALUE,
    "HostConfig": {"NetworkMode": VALUE, "PortBindings": _BINDINGS, "PublishAllPorts": VALUE, "Links": [VALUE]},
    "Config": {"ExposedPorts": {ANY: {}}},
    "NetworkSettings": {
        "Ports": _BINDINGS,
        "Networks": {ANY: dict.fromkeys(
            ("NetworkID", "IPAddress", "IPPrefixLen", "Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "IPv6Gateway",
             "MacAddress", "GwPriority"), VALUE)},
    },
}  # fmt: skip
"""The form of ``docker inspect CONTAINER``."""


def kept(value: Any, form: Any) -> Any:
    """What of ``value`` has its place in ``form``; None for what is of another kind than the form says."""
    if isinstance(form, dict) and isinstance(value, dict):
        parts = {k: kept(v, form[k] if k in form else form[ANY]) for k, v in value.items() if k in form or ANY in form}
        return {k: v for k, v in parts.items() if v is not None}
    if isinstance(form, list) and isinstance(value, list):
        return [part for v in value if (part := kept(v, form[0])) is not None]
    return value if form is VALUE and isinstance(value, str | int) else None


def docker_facts(networks: list[Any], containers: list[Any]) -> dict[str, Any]:
    """The networks and containers of a snapshot, by name."""
    return {"networks": _named(networks, NETWORK, "Name", "Id"), "containers": _named(containers, CONTAINER, "Name")}


def _named(items: list[Any], form: Any, *needed: str) -> list[dict[str, Any]]:
    """What is kept of each; what has no name is not Docker's."""
    found = [k for item in items if isinstance(k := kept(item, form), dict)]
    named = [k for k in found if all(isinstance(k.get(key), str) for key in needed)]
    return sorted(named, key=lambda k: str(k["Name"]))
