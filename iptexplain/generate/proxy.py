"""docker-proxy off: what it did for containers and for loopback, done by rules (``"userland-proxy": false`` in daemon.json).

With the proxy, engines leave some packets for a published port alone, so that they get to the program docker-proxy on the host:
those that the host sends by loopback, and those that come from containers (of every network that is masqueraded, up to 28.5;
of the port's own network, from 29 on). Here they are rewritten as all others, let through, and given the bridge's address, which is
what the program in the container saw with the proxy, too.
"""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.generate.draft import Draft, DraftTable, Entry
from iptexplain.recognise.docker import Docker
from iptexplain.recognise.docker_network import Network
from iptexplain.recognise.docker_port import Port

LOOPBACK = {4: "127.0.0.0/8", 6: "::1/128"}
DNATTED = "-m conntrack --ctstate DNAT --ctdir"
OTHERS = "-m addrtype ! --src-type LOCAL"
"""What comes from this host has an address to which the container's answers get back."""

APART = "DOCKER-PROXY"
"""Where the packets go that docker-proxy carried (under the name that is given at last, see names.py)."""


class Client(NamedTuple):
    """A bridge whose containers used docker-proxy: for every published port, or for the ports of their own network alone;
    ``is_apart``: its containers may not talk to each other otherwise (icc is off)."""

    bridge: str
    everywhere: bool
    is_apart: bool


def is_used(docker: Docker) -> bool:
    """Whether the rules leave anything to docker-proxy."""
    excepted = any(f.values["loopback"] for f in docker.roles.of("jump-published-out"))
    return excepted or bool(docker.roles.of("skip-dnat")) or any(f.values["bridge"] for f in docker.roles.of("dnat"))


def without_proxy(draft: Draft, docker: Docker) -> None:
    """Change the rules of a host with docker-proxy to those of one without."""
    nat = draft.tables.get("nat")
    if nat is None or not is_used(docker):
        return
    clients = _clients(docker)
    for name, entries in nat.chains.items():
        nat.chains[name] = [
            _without_exception(entry) for entry in entries if not (entry.own and entry.reason.name in LEFT_OUT)
        ]
    _masquerade(draft, nat, docker)
    if draft.family == 4:
        _guard_loopback(draft, sorted({c.bridge for c in clients} | {n.bridge for n in _served(docker)}))
    stopped = [c for c in clients if c.everywhere or c.is_apart]
    if stopped:
        _let_through(draft, docker, stopped)


LEFT_OUT = ("skip-dnat", "wsl2-return")
WITHOUT = {"jump-published-out": ("d", "loopback"), "dnat": ("i", "bridge")}
"""Role → the parameter that makes the exception, and what its value is called."""


def _without_exception(entry: Entry) -> Entry:
    parameter, called = WITHOUT.get(entry.reason.name, ("", ""))
    parameters = entry.rule.parameters
    kept = tuple(s for s in parameters.settings if not (s.inverted and s.option.key == parameter))
    if not entry.own or len(kept) == len(parameters.settings):
        return entry
    rule = entry.rule._replace(parameters=type(parameters)(kept))
    return entry._replace(rule=rule, reason=entry.reason._replace(values={**entry.reason.values, called: None}))


def _clients(docker: Docker) -> list[Client]:
    skipping = {f.values["bridge"] for f in docker.roles.of("skip-dnat")}
    excepted = {f.values["bridge"] for f in docker.roles.of("dnat")} - {None}
    return [
        Client(n.bridge, n.bridge in skipping, n.icc is False)
        for n in docker.networks
        if not n.internal and (n.bridge in skipping or n.bridge in excepted)
    ]


def _masquerade(draft: Draft, nat: DraftTable, docker: Docker) -> None:
    """The source addresses: the bridge's, for what comes from loopback or from the port's own network."""
    new = []
    for network in _served(docker):
        loopback = LOOPBACK[draft.family]
        text = f"POSTROUTING -s {loopback} -o {network.bridge} -m conntrack --ctstate DNAT -j MASQUERADE"
        new.append(draft.entry("nat", text, "loopback-masquerade", bridge=network.bridge))
        for subnet in network.subnets:
            text = f"POSTROUTING -s {subnet} -o {network.bridge} {OTHERS} -m conntrack --ctstate DNAT -j MASQUERADE"
            new.append(draft.entry("nat", text, "hairpin-network", bridge=network.bridge, subnet=subnet))
    chain = nat.chains["POSTROUTING"]
    first = next((n for n, e in enumerate(chain) if e.own), len(chain))
    nat.chains["POSTROUTING"] = [*chain[:first], *new, *chain[first:]]


def _guard_loopback(draft: Draft, bridges: list[str]) -> None:
    """Containers do not get to the host's loopback: route_localnet, which the host's own way to them needs, would let them,
    and so would a port that is published on 127.0.0.1."""
    chain = draft.table("raw").chains["PREROUTING"]
    for bridge in reversed(bridges):
        text = f"PREROUTING -d {LOOPBACK[4]} -i {bridge} -j DROP"
        chain.insert(0, draft.entry("raw", text, "loopback-guard", bridge=bridge))


def _served(docker: Docker) -> list[Network]:
    """The networks with published ports."""
    bridges = {p.bridge for p in docker.ports}
    return [n for n in docker.networks if n.bridge in bridges]


def _let_through(draft: Draft, docker: Docker, clients: list[Client]) -> None:
    """What docker-proxy carried from network to network passes before they are kept apart; so do the answers."""
    table = draft.table("filter")
    chain = table.add_chain(APART, _doors(draft, docker.ports))
    new = []
    for client in clients:
        bridge = client.bridge
        own = "" if client.everywhere else f" -o {bridge}"
        text = f"FORWARD -i {bridge}{own} {DNATTED} ORIGINAL -j {chain}"
        new.append(draft.entry("filter", text, "proxied", bridge=bridge))
        if client.everywhere:
            text = f"FORWARD -o {bridge} {DNATTED} REPLY -j ACCEPT"
            new.append(draft.entry("filter", text, "proxied-answers", bridge=bridge))
    home = "DOCKER-FORWARD" if "DOCKER-FORWARD" in table.chains else "FORWARD"
    entries = table.chains[home]
    first = next((n for n, e in enumerate(entries) if e.own and e.reason.name != "jump-user"), len(entries))
    moved = [e._replace(rule=e.rule._replace(chain=home)) for e in new]
    table.chains[home] = [*entries[:first], *moved, *entries[first:]]


def _doors(draft: Draft, ports: list[Port]) -> list[Entry]:
    """The containers' ports that are published, by the rules that let them in from outside."""
    wanted = dict.fromkeys((p.container_ip, p.bridge, p.proto, p.container_port) for p in ports if p.bridge)
    return [
        draft.entry(
            "filter", f"FORWARD -d {ip} -o {bridge} -p {proto} -m {proto} --dport {port} -j ACCEPT",
            "proxied-port", ip=ip, bridge=bridge, proto=proto, port=str(port),
        )
        for ip, bridge, proto, port in wanted
    ]  # fmt: skip
