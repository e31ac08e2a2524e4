"""What a configured engine left to read, and what happened to the probes that were sent around it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from iptexplain.rules.values import Family
from tests.kernel.engine import HOST, OUTSIDE, SETUP_IPV6, Engine, Machine
from tests.kernel.engine_configurations import Configuration, Port

FIRST_PORT = 20000
"""Probes are sent from this port and those after it, where no kernel and no proxy picks one by itself."""

EVERYWHERE: dict[Family, str] = {4: "0.0.0.0", 6: "::"}

INSIDE = (("tcp", 80), ("udp", 53))
OTHERS = {("host", "tcp", 7000), ("host", "udp", 7000), ("remote", "tcp", 80), ("remote", "udp", 53)}
"""What every container serves, and what the others do."""


class Sent(NamedTuple):
    """A probe with the addresses and ports that it was sent with."""

    proto: str
    src: str
    sport: int
    dst: str
    dport: int


class Seen(NamedTuple):
    """How a probe went: for its sender, and for the server that got it, which saw it come from this address.

    ``port``: the port that it saw, if that is the sender's own.
    """

    result: str
    server: str | None = None
    address: str | None = None
    port: int | None = None


class Record(NamedTuple):
    """What an engine left to read, and what happened to the probes."""

    configuration: Configuration
    snapshot: dict[str, Any]
    machines: dict[str, Machine]
    servers: dict[tuple[str, str, int], str]
    """(network namespace, protocol, port) → the server's name."""
    probes: dict[str, tuple[Sent, Seen]]

    @property
    def text(self) -> str:
        return json.dumps(self.snapshot)

    def server(self, address: str, proto: str, port: int) -> str | None:
        """Who serves a port at an address."""
        netns = next(m.netns for m in self.machines.values() if m.address == address)
        return self.servers.get((netns, proto, port))

    def proxied(self, address: str, proto: str, port: int) -> Port | None:
        """The publication that docker-proxy listens for at an address of the host."""
        for p in self.configuration.ports:
            at = f"[{p.host_ip}]" if ":" in p.host_ip else p.host_ip
            listens = f"{proto} {at}:{port}" in self.snapshot["listeners"]
            if listens and (p.proto, p.host_port) == (proto, port) and p.host_ip in (address, *EVERYWHERE.values()):
                return p
        return None


def listed(probes: str) -> Iterator[str]:
    """A configuration's probes, one for each service."""
    for line in probes.strip().splitlines():
        sender, _, target, *services = line.split()
        yield from (f"{sender} > {target} {service}" for service in services)


def question(sport: int, probe: str, machines: dict[str, Machine], family: Family) -> dict[str, Any]:
    """A probe as engine_sockets.py takes it, sent from a port."""
    sender, _, target, service = probe.split()
    port, _, proto = service.rpartition("/")
    return {
        "netns": machines[sender].netns,
        "proto": proto if port else "icmp",
        "src": OUTSIDE[family].get(sender, EVERYWHERE[family]),
        "sport": sport,
        "dst": machines[target].address,
        "dport": int(port or 0),
    }


def calls(port: Port) -> dict[str, str]:
    """Who always calls a published port: a client outside, at an address of the LAN, and the host itself."""
    addresses = {address: name for family in HOST.values() for name, address in family.items()}
    name = addresses.get(port.host_ip, "host")
    service = f"{port.host_port}/{port.proto}"
    return {"outside": f"client > {name.replace('localhost', 'host')} {service}", "host": f"host > {name} {service}"}


def recorded(engine: Engine, configuration: Configuration) -> Record:
    """Sets up what a configuration says, and sends its probes."""
    if configuration.family == 6:
        engine.out("sh", "-ec", SETUP_IPV6)
    for command in configuration.docker.strip().splitlines():
        engine.docker(command)
    engine.out("sh", "-ec", f"PATH=/run/bin:$PATH\n{configuration.administrator}")
    return probed(engine, configuration)


def probed(engine: Engine, configuration: Configuration, first_port: int = FIRST_PORT) -> Record:
    """Sends the probes of a configuration that is set up already, from ``first_port`` on, which no others have been sent from."""
    snapshot = engine.snapshot()
    machines = engine.machines(snapshot, configuration.family)
    served = {(name, *each) for name in machines.keys() & snapshot["namespaces"].keys() for each in INSIDE} | OTHERS
    served |= {(p.container.partition(".")[0], p.proto, p.container_port) for p in configuration.ports}
    servers = {(machines[name].netns, proto, port): name for name, proto, port in served}
    probes = [*listed(configuration.probes), *(probe for port in configuration.ports for probe in calls(port).values())]
    asked = {
        probe: question(n, probe, machines, configuration.family)
        for n, probe in enumerate(dict.fromkeys(probes), first_port)
    }
    given = [
        {"name": name, "netns": n, "proto": proto, "port": port, "family": configuration.family}
        for (n, proto, port), name in servers.items()
    ]
    found = engine.exchange({"servers": given, "probes": list(asked.values())})
    snapshot["listeners"] = found["listeners"]
    record = Record(configuration, snapshot, machines, servers, {})
    for (probe, q), answer in zip(asked.items(), found["probes"], strict=True):
        address, port = answer["saw"] or (None, None)
        seen = Seen(answer["result"], answer["server"], address, port if port == q["sport"] else None)
        record.probes[probe] = Sent(q["proto"], answer["src"], q["sport"], q["dst"], q["dport"]), seen
    return record
