"""docker-proxy: the program of the host that takes connections to a published port where no rule rewrites them, and opens one
of its own to the container."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from iptexplain.explain.situation import Situation
from iptexplain.host.endpoints import End
from iptexplain.recognise.docker_port import Port
from iptexplain.rules.addresses import to_address
from iptexplain.walk.outcome import Trace


class Proxied(NamedTuple):
    """A packet that arrives at the host for a published port.

    ``runs``: whether docker-proxy listens there; ``known``: whether the snapshot's listeners say so, and not only the form of
    the rules; ``onward``: the way of docker-proxy's own connection, None where it does not run.
    """

    port: Port
    runs: bool | None
    known: bool
    onward: Trace | None


def proxied(situation: Situation, way: Trace) -> Proxied | None:
    """What docker-proxy makes of a packet that was delivered to the host; None where no port is published."""
    last = way.outcome.fields
    if way.outcome.kind != "delivered-local":
        return None
    port = next((p for p in situation.docker.ports if _is_for(p, last)), None)
    if port is None:
        return None
    runs = runs_proxy(situation, port)
    onward = None if runs is False else _onward(situation, port)
    return Proxied(port, runs, listens(situation, port) is not None, onward)


def runs_proxy(situation: Situation, port: Port) -> bool | None:
    """Whether docker-proxy serves the port: by the snapshot's listeners, else by the form of the rules. None: nothing tells."""
    listening = listens(situation, port)
    network = situation.docker.network(port.bridge) if port.bridge else None
    return listening if listening is not None else network.userland_proxy if network else None


def listens(situation: Situation, port: Port) -> bool | None:
    """Whether a program of the host listens on the port: docker-proxy, unless it is switched off. None: no snapshot tells."""
    listeners = situation.snapshot.facts.get("listeners")
    if listeners is None:
        return None
    wanted = {f"{port.proto} {ip}:{port.host_port}" for ip in (port.host_ip, f"[{port.host_ip}]")}
    return any(entry in wanted for entry in listeners)


def _is_for(port: Port, last: Mapping[str, Any]) -> bool:
    is_number = port.host_port == last.get("dport") and port.proto == last["proto"]
    return is_number and (port.is_everywhere or port.host_ip == str(last["dst"]))


def _onward(situation: Situation, port: Port) -> Trace | None:
    container = to_address(port.container_ip)
    own = situation.topology.source_for(container, port.bridge or "")
    if own is None:
        return None
    source = End(own, "", None, "host")
    return situation.probe(source, End(container, port.bridge or "", port.container_port, None), port.proto)
