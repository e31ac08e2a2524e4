"""A Docker host of any size, as a snapshot."""

from __future__ import annotations

import json

from tests.docker_engines import Engine
from tests.docker_setup import Net, Port, Setup

BASES = {
    "raw": ("PREROUTING", "OUTPUT"), "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"), "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}  # fmt: skip


def docker(ports: int) -> str:
    """A snapshot of a Docker host: a network for each ten published ports, as Docker 28.5 writes them."""
    nets = []
    for n in range(max(1, ports // 10)):
        prefix = f"172.{17 + n // 250}.{n % 250}"
        containers = tuple(f"{prefix}.{2 + k}" for k in range(min(ports, 10)))
        nets.append(Net(f"br-{n:012x}" if n else "docker0", f"{prefix}.0/24", containers))
    published = []
    for n in range(ports):
        net = nets[n % len(nets)]
        published.append(Port(net, None, 8000 + n, net.containers[n // len(nets) % 10], (80, 443)[n % 2], "tcp"))
    engine = Engine("28.5.2", Setup(tuple(nets), tuple(published)))
    lines = []
    for table, bases in BASES.items():
        lines += [
            f"*{table}",
            *(f":{c} {'DROP' if c == 'FORWARD' and table == 'filter' else 'ACCEPT'} [0:0]" for c in bases),
        ]
        lines += [f":{chain} - [0:0]" for chain in engine.chains().get(table, ())]
        lines += [*(rule for where, rule in engine.rules() if where == table), "COMMIT"]
    inside = [(net.bridge, f"{str(net.subnet)[:-4]}1", 24) for net in nets]
    own = [("lo", "127.0.0.1", 8), ("eth0", "192.0.2.10", 24), *inside]
    routes = [
        {"dst": net.subnet, "dev": net.bridge, "prefsrc": gateway}
        for net, (_, gateway, _) in zip(nets, inside, strict=True)
    ]
    endpoints = [(c, net.bridge) for net in nets for c in net.containers]
    facts = {
        "schema": 1,
        "iptables": "\n".join(lines) + "\n",
        "addresses": [
            {"ifname": name, "addr_info": [{"family": "inet", "local": address, "prefixlen": bits}]}
            for name, address, bits in own
        ],
        "routes": [
            {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0"},
            {"dst": "192.0.2.0/24", "dev": "eth0"},
            *routes,
        ],
        "endpoints": [
            {"name": f"c{n}", "iface": bridge, "port": f"veth{n}", "addresses": [c]}
            for n, (c, bridge) in enumerate(endpoints)
        ],
        "sysctls": {"net.ipv4.ip_forward": 1, "net.bridge.bridge-nf-call-iptables": 1},
    }
    return json.dumps(facts)
