"""A host with routes of every kind and settings for each interface, and packets from and to addresses that are no machine's."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.kernel.generate.packets import ForRules, Packet
from tests.kernel.generate.pools import Pools
from tests.kernel.generate.tables import Wanted
from tests.kernel.generate.topologies import Host

NEAR = {
    4: {"eth0": {"gw": "192.0.2.1", "client": "192.0.2.50"}, "eth1": {"h1": "10.0.1.10", "h2": "10.0.1.20"},
        "ens5": {"twin": "10.9.9.0"}, "ppp0": {"far": "10.8.0.2"}},
    6: {"eth0": {"gw": "2001:db8:2::1", "client": "2001:db8:2::50"}, "eth1": {"h1": "fd00:1::10", "h2": "fd00:1::20"},
        "ens5": {"twin": "2001:db8:9::1"}, "ppp0": {"far": "fe80::2"}},
}  # fmt: skip
OWN = {
    4: {"eth0": ["192.0.2.10/24", "192.0.2.11/24", "203.0.113.9/29", "192.0.2.99/32"],
        "eth1": ["10.0.1.1/24", "10.0.1.129/25"], "ens5": ["10.9.9.1/31"], "ppp0": [], "lo": ["198.18.7.7/32"]},
    6: {"eth0": ["2001:db8:2::10/64", "2001:db8:2::11/64", "fe80::1/64"], "eth1": ["fd00:1::1/64", "fd00:1::81/121"],
        "ens5": ["2001:db8:9::/127"], "ppp0": ["fe80::8/64"], "lo": ["2001:db8:7::7/128"]},
}  # fmt: skip
POINT_TO_POINT = "addr add 10.8.0.1 peer 10.8.0.2/32 dev ppp0"
ROUTES: dict[int, list[dict[str, Any]]] = {
    4: [
        {"type": "unreachable", "dst": "10.66.0.0/16"}, {"type": "blackhole", "dst": "10.67.0.0/16"},
        {"type": "prohibit", "dst": "10.68.0.0/16"}, {"type": "throw", "dst": "10.69.0.0/16"},
        {"dst": "10.0.0.0/8", "via": "10.0.1.20"}, {"dst": "10.66.5.0/24", "via": "192.0.2.1"},
        {"dst": "198.51.100.0/24", "via": "192.0.2.1", "metric": 100}, {"dst": "198.51.100.0/24", "via": "10.0.1.20", "metric": 50},
        {"type": "unreachable", "dst": "198.51.100.0/24", "metric": 200},
        {"dst": "8.8.8.8/32", "via": "10.0.1.10"}, {"dst": "198.51.100.0/28", "via": "192.0.2.1", "src": "192.0.2.11"},
        {"dst": "100.64.0.0/10", "dev": "ppp0"}, {"dst": "203.0.113.64/26", "via": "10.8.0.2", "src": "10.0.1.1"},
        {"dst": "192.0.2.200/32", "dev": "eth1"}, {"type": "unreachable", "dst": "default", "metric": 4294967},
    ],
    6: [
        {"type": "unreachable", "dst": "2001:db8:66::/48"}, {"type": "blackhole", "dst": "2001:db8:67::/48"},
        {"type": "prohibit", "dst": "2001:db8:68::/48"}, {"type": "throw", "dst": "2001:db8:69::/48"},
        {"dst": "2001:db8::/32", "via": "fd00:1::20"}, {"dst": "2001:db8:66:5::/64", "via": "2001:db8:2::1"},
        {"dst": "2001:db8:aaaa::/48", "via": "2001:db8:2::1", "metric": 100},
        {"dst": "2001:db8:aaaa::/48", "via": "fd00:1::20", "metric": 50},
        {"dst": "2606:4700::1111/128", "via": "fd00:1::10"},
        {"dst": "2001:db8:ffff::/64", "via": "2001:db8:2::1", "src": "2001:db8:2::11"},
        {"dst": "2001:db8:aaaa:1::/64", "via": "fe80::2", "dev": "ppp0"}, {"dst": "fd00:9::/48", "dev": "ens5"},
        {"type": "unreachable", "dst": "::/0", "metric": 4294967},
    ],
}  # fmt: skip
DEFAULT: dict[int, dict[str, Any]] = {
    4: {"dst": "default", "via": "192.0.2.1", "dev": "eth0"}, 6: {"dst": "default", "via": "2001:db8:2::1", "dev": "eth0"},
}  # fmt: skip
FAR = {
    4: ["10.66.1.1", "10.66.5.5", "10.67.1.1", "10.68.1.1", "10.69.1.1", "10.77.0.1", "198.51.100.7", "198.51.100.77",
        "8.8.8.8", "100.64.3.9", "203.0.113.77", "192.0.2.200", "1.1.1.1", "10.8.0.2", "10.9.9.0"],
    6: ["2001:db8:66::1", "2001:db8:66:5::5", "2001:db8:67::1", "2001:db8:68::1", "2001:db8:69::1", "2001:db8:77::1",
        "2001:db8:aaaa::1", "2001:db8:aaaa:1::9", "2606:4700::1111", "2001:db8:ffff::9", "fd00:9::1", "2001:db8:9::1"],
}  # fmt: skip
ODD = {
    4: ["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.5.5.5", "224.0.0.1", "240.0.0.5", "255.255.255.255", "192.0.2.255",
        "192.0.2.0", "10.0.1.255", "10.0.1.0", "203.0.113.15", "169.254.3.4", "198.18.7.7", "10.8.0.1"],
    6: ["::1", "ff02::1", "ff01::1", "fe80::1", "fe80::8", "fe80::50",
        "2001:db8:2::", "fd00:1::", "2001:db8:7::7", "2001:db8:2::1234"],
}  # fmt: skip
ODD_SOURCES = {
    4: ["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.5.5.5", "224.0.0.1", "240.0.0.5", "255.255.255.255", "192.0.2.255", "192.0.2.10",
        "10.0.1.1", "169.254.3.4"],
    6: ["::1", "ff02::1", "fe80::1", "fe80::50", "fd00:1::1", "2001:db8:2::10", "2001:db8:2::1234"],
}  # fmt: skip
PER_INTERFACE = [
    (3, {}), (2, {"rp_filter": 1}), (2, {"rp_filter": 2}), (1, {"rp_filter": 1, "accept_local": 1}), (1, {"accept_local": 1}),
    (1, {"forwarding": 0}), (1, {"forwarding": 1}), (1, {"route_localnet": 1}),
]  # fmt: skip


def crossroads(random: Random, family: int) -> Host:
    """The host. ppp0 has a machine at its other end, whose address is in no network of the host's."""
    interfaces: list[dict[str, Any]] = [{"name": "lo", "kind": "loopback", "addresses": OWN[family]["lo"]}]
    for name, near in NEAR[family].items():
        peers = [{"name": peer, "addresses": [address]} for peer, address in near.items()]
        own = (
            [OWN[family][name][0], *(a for a in OWN[family][name][1:] if random.random() < 0.6)]
            if OWN[family][name]
            else []
        )
        interfaces.append({"name": name, "kind": "veth-external", "addresses": own, "peers": peers})
    routes = [route for route in ROUTES[family] if random.random() < 0.5]
    routes += [DEFAULT[family]] if random.random() < 0.75 else []
    own_now = {address.partition("/")[0] for interface in interfaces for address in interface["addresses"]}
    routes = [route for route in routes if route.get("src", next(iter(own_now))) in own_now]
    return {
        "interfaces": interfaces,
        "routes": routes,
        "sysctls": _settings(random),
        **({"ip_batch": [POINT_TO_POINT]} if family == 4 else {}),
    }


def _settings(random: Random) -> dict[str, int]:
    settings = {
        "net.ipv4.ip_forward": int(random.random() < 0.85),
        "net.ipv6.conf.all.forwarding": int(random.random() < 0.9),
        "net.ipv4.conf.all.rp_filter": random.choices([0, 1, 2], [6, 1, 1])[0],
        **({"net.ipv4.conf.all.accept_local": 1} if random.random() < 0.1 else {}),
        **({"net.ipv4.conf.all.route_localnet": 1} if random.random() < 0.1 else {}),
    }
    kinds = [kind for _, kind in PER_INTERFACE]
    for name in ("eth0", "eth1", "ens5", "ppp0"):
        chosen = random.choices(kinds, [weight for weight, _ in PER_INTERFACE])[0]
        settings |= {f"net.ipv4.conf.{name}.{key}": value for key, value in chosen.items()}
    return settings


class ForRoutes(ForRules):
    """First packets of which many have an end that no machine has, or few hops left."""

    def __init__(self, random: Random, pools: Pools, wanted: list[Wanted]) -> None:
        super().__init__(random, pools, wanted)
        pools.remote = FAR[pools.family]

    def first(self) -> Packet:
        packet, r = super().first(), self.random
        if r.random() < 0.3:
            packet = packet | {"dst": r.choice(FAR[self.pools.family] + ODD[self.pools.family])}
        if r.random() < 0.2 and packet["from"] != "host":
            packet = packet | {"src": r.choice(FAR[self.pools.family] + ODD_SOURCES[self.pools.family])}
        if r.random() < 0.08:
            packet = packet | {"ttl": r.choice([1, 1, 2, 255, 0])}
        if "inner" in packet:
            packet["inner"] = packet["inner"] | {"src": packet["dst"], "dst": packet["src"]}
        return packet
