"""Whose namespace a dump is of: a container's own rules (the embedded name server, a swarm task's doors, the load balancer),
or the host's; a daemon inside a container; a daemon without root."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.recognise.docker_chains import Layout
from iptexplain.recognise.shape import Found, Roles, Shape

RESOLVER = "127.0.0.11"
"""Where the containers' resolv.conf points to: dockerd listens there, in the container's namespace, on ports of its own."""
SLIRP = "10.0.2.100"
"""The address that slirp4netns gives to the namespace of a daemon without root."""

TO_DAEMON = f"-d {RESOLVER}/32 -p {{proto}} -m {{proto}} --dport 53 -j DNAT --to-destination {RESOLVER}:{{port}}"
FROM_DAEMON = f"-s {RESOLVER}/32 -p {{proto}} -m {{proto}} --sport {{port}} -j SNAT --to-source :53"
ALL_BITS = "MARK --set-xmark {mark}/0xffffffff"

SHAPES = (
    Shape("dns-jump", "nat", f"OUTPUT -d {RESOLVER}/32 -j DOCKER_OUTPUT"),
    Shape("dns-jump", "nat", f"POSTROUTING -d {RESOLVER}/32 -j DOCKER_POSTROUTING"),
    Shape("dns-query", "nat", f"DOCKER_OUTPUT {TO_DAEMON}"),
    Shape("dns-answer", "nat", f"DOCKER_POSTROUTING {FROM_DAEMON}"),
    Shape("dns-query-direct", "nat", f"OUTPUT {TO_DAEMON}"),
    Shape("dns-answer-direct", "nat", f"POSTROUTING {FROM_DAEMON}"),
    Shape("task-redirect", "nat", "PREROUTING -d {ip}{host} -p {proto} -m {proto} --dport {host_port} -j REDIRECT --to-ports {port}", "task"),
    Shape("task-accept", "filter", "INPUT -d {ip}{host} -p {proto} -m {proto} --dport {port} -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT",
          "task"),
    Shape("task-closed", "filter", "INPUT -d {ip}{host} -p {proto} -j DROP", "task"),
    Shape("task-answer", "filter", "OUTPUT -s {ip}{host} -p {proto} -m {proto} --sport {port} -m conntrack --ctstate ESTABLISHED -j ACCEPT",
          "task"),
    Shape("task-silent", "filter", "OUTPUT -s {ip}{host} -p {proto} -j DROP", "task"),
    Shape("balanced-port", "mangle", f"PREROUTING -p {{proto}} -m {{proto}} --dport {{host_port}} -j {ALL_BITS}", "balanced"),
    Shape("balanced-address", "mangle", f"INPUT -d {{ip}}{{host}} -j {ALL_BITS}", "balanced"),
    Shape("balanced-address", "mangle", f"OUTPUT -d {{ip}}{{host}} -j {ALL_BITS}", "balanced"),
    Shape("balanced-source", "nat", "POSTROUTING -d {subnet} -m ipvs --ipvs -j SNAT --to-source {ip}"),
)  # fmt: skip

QUERIES = ("dns-query", "dns-query-direct")
DNS = ("dns-jump", *QUERIES, "dns-answer", "dns-answer-direct")
TASK = ("task-redirect", "task-accept", "task-closed", "task-answer", "task-silent")
BALANCED = ("balanced-port", "balanced-address", "balanced-source")


class TaskPort(NamedTuple):
    """A port of swarm's routing mesh inside a task: what comes for ``mesh_port`` of ``address`` goes to ``port``."""

    address: str
    proto: str
    mesh_port: int
    port: int
    lines: list[int]


class Namespace(NamedTuple):
    """``kind``: container, swarm-task, load-balancer, ingress-sandbox, nested-daemon, rootless-daemon; None: nothing tells.

    ``first``, ``last``: the engines that write such rules; ``resolver``: the ports of dockerd's name server by protocol.
    """

    kind: str | None
    first: str | None
    last: str | None
    lines: list[int]
    resolver: dict[str, int]
    ports: list[TaskPort]


def recognise(roles: Roles, layout: Layout | None, facts: dict[str, Any]) -> Namespace:
    """``facts`` are the snapshot's: its interfaces tell a daemon without root."""
    dns, task, balanced = (roles.of(*some) for some in (DNS, TASK, BALANCED))
    slirp = [f for f in roles.of("dnat") if f.values["host_ip"] == SLIRP]
    signs: tuple[tuple[str, object], ...] = (
        ("nested-daemon", layout and (dns or _has_peer_outside(facts))),
        ("rootless-daemon", layout and (slirp or _has_tap(facts))),
        ("ingress-sandbox", roles.of("balanced-port")),
        ("load-balancer", roles.of("balanced-source")),
        ("swarm-task", task),
        ("container", dns),
    )
    kind = next((name for name, sign in signs if sign), None)
    said_by = slirp if kind == "rootless-daemon" else [*dns, *task, *balanced]
    resolver = {str(f.values["proto"]): int(str(f.values["port"])) for f in roles.of(*QUERIES)}
    own_chains = bool(roles.of("dns-jump"))
    first = "1.12" if own_chains or task or balanced else "1.10" if dns else None
    last = "1.11" if dns and not own_chains else None
    lines = sorted(f.place.line for f in said_by)
    return Namespace(
        kind, first, last, lines if kind else [], resolver, [_task_port(f, roles) for f in roles.of("task-redirect")]
    )


def _has_tap(facts: dict[str, Any]) -> bool:
    """Whether the namespace reaches the outside by tap0 alone, as slirp4netns and its like make it."""
    names = {str(link.get("ifname")) for link in facts.get("addresses", []) if link.get("addr_info")}
    return "tap0" in names and not any(n.startswith(("eth", "en", "wl")) for n in names)


def _has_peer_outside(facts: dict[str, Any]) -> bool:
    """Whether eth0 is one end of a veth pair whose other end lies in another namespace: so it is in every container."""
    links = [link for link in facts.get("addresses", []) if link.get("ifname") == "eth0"]
    return any("link_netnsid" in link and not link.get("master") for link in links)


def _task_port(found: Found, roles: Roles) -> TaskPort:
    v = {k: str(found.values[k]) for k in ("ip", "proto", "host_port", "port")}
    doors = roles.of("task-accept", "task-answer", ip=v["ip"], proto=v["proto"], port=v["port"])
    lines = sorted([found.place.line, *(f.place.line for f in doors)])
    return TaskPort(v["ip"], v["proto"], int(v["host_port"]), int(v["port"]), lines)
