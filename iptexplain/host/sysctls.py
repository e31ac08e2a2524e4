"""The settings of the kernel on which a packet's way depends, by their names (Documentation/networking/ip-sysctl.rst)."""

from __future__ import annotations

from iptexplain.rules.values import Family

FORWARDING: dict[Family, str] = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}
"""Whether the host forwards packets at all."""

BRIDGE_CALL: dict[Family, str] = {4: "net.bridge.bridge-nf-call-iptables", 6: "net.bridge.bridge-nf-call-ip6tables"}
"""Whether packets are shown to iptables while they are switched (br_netfilter)."""

OF_INTERFACES = {"accept_local": 1, "forwarding": 1, "route_localnet": 1, "rp_filter": 2}
"""What IPv4 has for each interface, and for all → the largest value that there is."""

SHORT = {
    "ip_forward": FORWARDING[4],
    **{name.removeprefix("net.bridge."): name for name in BRIDGE_CALL.values()},
    **{name: f"net.ipv4.conf.all.{name}" for name in ("rp_filter", "route_localnet", "accept_local")},
}
"""Short names."""


def of_interface(interface: str, name: str) -> str:
    """The name that one of OF_INTERFACES has for an interface, or for ``all``."""
    return f"net.ipv4.conf.{interface}.{name}"


def largest(name: str) -> int | None:
    """The largest value that a setting has; None: no packet's way depends on it."""
    if name in (*FORWARDING.values(), *BRIDGE_CALL.values()):
        return 1
    interface, _, setting = name.removeprefix("net.ipv4.conf.").rpartition(".")
    known = name.startswith("net.ipv4.conf.") and interface and "/" not in interface
    return OF_INTERFACES.get(setting) if known else None
