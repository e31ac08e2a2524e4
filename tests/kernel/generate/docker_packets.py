"""Packets that people ask about on a Docker host."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from tests.kernel.generate.docker import Engine, Network
from tests.kernel.generate.packets import ForRules
from tests.kernel.generate.pools import Pools

Packet = dict[str, Any]
ADDRESSES = ["192.0.2.10", "192.0.2.10", "192.0.2.11"]
"""The host's own, as outsiders know it."""


class ForDocker:
    """First packets for a host with containers."""

    def __init__(self, random: Random, pools: Pools, engine: Engine) -> None:
        self.random, self.pools, self.engine = random, pools, engine
        self.networks: dict[str, Network] = {name: n for n in engine.networks for name in n.containers}
        self._other = ForRules(random, pools, [])
        published = [(22, self._from_outside), (10, self._from_host), (12, self._by_host_address), (8, self._straight),
                     (2, self._spoofed_loopback)]  # fmt: skip
        self._kinds: list[tuple[int, Callable[[], Packet]]] = [
            *(published if engine.ports else []),
            (14, self._between_containers),
            (12, self._outward),
            (6, self._to_gateway),
            (6, self._to_host),
            (5, self._of_host),
            (3, self._other.first),
        ]

    def first(self) -> Packet:
        makers = [maker for _, maker in self._kinds]
        return self.random.choices(makers, [weight for weight, _ in self._kinds])[0]()

    def _packet(self, sender: str, src: str, dst: str, port: int, proto: str = "tcp") -> Packet:
        ends = {"from": sender, "src": src, "dst": dst, "proto": proto, "sport": self.random.randint(32768, 60768)}
        return ends | {"dport": port, **({"flags": "SYN"} if proto == "tcp" else {})}

    def _outsider(self) -> tuple[str, str]:
        return self.random.choice([("client", "192.0.2.50"), ("gw", self.random.choice(self.pools.remote))])

    def _container(self) -> tuple[str, str, Network]:
        name = self.random.choice(sorted(self.networks))
        return name, self.networks[name].containers[name], self.networks[name]

    def _from_outside(self) -> Packet:
        port = self.random.choice(self.engine.ports)
        return self._packet(*self._outsider(), self.random.choice(ADDRESSES), port.host_port, port.proto)

    def _from_host(self) -> Packet:
        port = self.random.choice(self.engine.ports)
        own = self.random.choice(["127.0.0.1", "127.0.0.1", "192.0.2.10", "172.17.0.1"])
        return self._packet("host", own, own, port.host_port, port.proto)

    def _by_host_address(self) -> Packet:
        """A container to a published port by one of the host's addresses."""
        port, (name, address, network) = self.random.choice(self.engine.ports), self._container()
        to = self.random.choice(["192.0.2.10", network.gateway, "172.17.0.1"])
        return self._packet(name, address, to, port.host_port, port.proto)

    def _straight(self) -> Packet:
        """From outside to a container's own address."""
        port = self.random.choice(self.engine.ports)
        return self._packet(*self._outsider(), port.address, self.random.choice([port.port, 22]), port.proto)

    def _spoofed_loopback(self) -> Packet:
        port = self.random.choice(self.engine.ports)
        return self._packet("client", "192.0.2.50", "127.0.0.1", port.host_port, port.proto)

    def _between_containers(self) -> Packet:
        name, address, _ = self._container()
        others = [n.containers[o] for o, n in self.networks.items() if o != name]
        proto = self.random.choice(["tcp", "tcp", "udp"])
        return self._packet(name, address, self.random.choice(others), self.random.choice([80, 443, 5432, 53]), proto)

    def _outward(self) -> Packet:
        name, address, _ = self._container()
        to = self.random.choice([*self.pools.remote, "192.0.2.50"])
        if self.random.random() < 0.3:
            echo = {"proto": "icmp", "icmp_type": 8, "icmp_id": self.random.randint(1, 65535)}
            return {"from": name, "src": address, "dst": to, **echo}
        return self._packet(name, address, to, self.random.choice([443, 53, 80]), self.random.choice(["tcp", "udp"]))

    def _to_gateway(self) -> Packet:
        name, address, network = self._container()
        port, proto = self.random.choice([22, 53, 80]), self.random.choice(["tcp", "udp"])
        return self._packet(name, address, network.gateway, port, proto)

    def _to_host(self) -> Packet:
        ports, protos = [22, 80, 443, 111], ["tcp", "tcp", "udp"]
        return self._packet(*self._outsider(), "192.0.2.10", self.random.choice(ports), self.random.choice(protos))

    def _of_host(self) -> Packet:
        to = self.random.choice([self._container()[1], "192.0.2.50", *self.pools.remote])
        return self._packet("host", self.pools.own_towards(to), to, self.random.choice([80, 443]))
