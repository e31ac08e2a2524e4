"""docker-proxy off: what it did for containers and for loopback, done by rules (``"userland-proxy": false`` in daemon.json).

With the proxy, engines leave some packets for a published port alone, so that they get to the program docker-proxy on the host:
those that the host sends by loopback, and those that come from containers (of every network that is masqueraded, up to 28.5;
of the port's own network, from 29 on). Here they are rewritten as all others, let through, and given the bridge's address, which is
what the program in the container saw with the proxy, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from iptexplain.explain.situation import Situation
from iptexplain.generate.carried import Carried, Client, carried, served
from iptexplain.generate.draft import Draft, DraftTable, Entry
from iptexplain.recognise.docker import Docker
from iptexplain.recognise.docker_network import Network
from iptexplain.recognise.docker_port import Port
from iptexplain.rules.model import Jump

LOOPBACK = {4: "127.0.0.0/8", 6: "::1/128"}
DNATTED = "-m conntrack --ctstate DNAT --ctdir"
ELSEWHERE = "-m addrtype ! --dst-type LOCAL --limit-iface-in"
OTHERS = "-m addrtype ! --src-type LOCAL"
"""What comes from this host has an address to which the container's answers get back."""

APART = "DOCKER-PROXY"
"""Where the packets go that docker-proxy carried (under the name that is given at last, see names.py)."""

NEAR = "DOCKER-LINK"
"""Where packets for this host's own IPv6 addresses go before they are offered to the published ports."""


def is_used(docker: Docker) -> bool:
    """Whether the rules leave anything to docker-proxy."""
    excepted = any(f.values["loopback"] for f in docker.roles.of("jump-published-out"))
    return excepted or bool(docker.roles.of("skip-dnat")) or any(f.values["bridge"] for f in docker.roles.of("dnat"))


def keeps_loopback(draft: Draft) -> bool:
    """Whether what the host sends by loopback is still left alone: INPUT did not let it in to docker-proxy either."""
    return any(
        e.own and e.reason.name == "jump-published-out" and e.reason.values["loopback"] for _, _, e in draft.entries()
    )


def without_proxy(draft: Draft, situation: Situation) -> None:
    """Change the rules of a host with docker-proxy to those of one without. What INPUT kept from docker-proxy stays excepted."""
    docker, nat = situation.docker, draft.tables.get("nat")
    if nat is None or not is_used(docker):
        return
    found = carried(situation)
    for name, entries in nat.chains.items():
        nat.chains[name] = [new for entry in entries for new in _without_exception(draft, entry, found)]
    if draft.family == 6:
        _pass_by_other_links(draft, nat, docker)
    _masquerade(draft, nat, served(docker), found.by_loopback)
    bridges = {c.bridge for c in found.clients} | {n.bridge for n in served(docker)}
    _guard_loopback(draft, sorted(bridges))
    stopped = [c for c in found.served if c.everywhere or c.is_apart]
    if stopped:
        _let_through(draft, docker, stopped)


LEFT_OUT = ("skip-dnat", "wsl2-return")
WITHOUT = {"jump-published-out": ("d", "loopback"), "dnat": ("i", "bridge")}
"""Role → the parameter that makes the exception, and what its value is called."""


def _without_exception(draft: Draft, entry: Entry, found: Carried) -> list[Entry]:
    """What a rule of Docker's becomes when docker-proxy is gone."""
    name = entry.reason.name
    if not entry.own or name not in (*LEFT_OUT, *WITHOUT):
        return [entry]
    if name == "jump-published-out" and not found.by_loopback:
        return [entry]
    if name in LEFT_OUT:
        bridge = entry.reason.values["bridge"]
        if bridge and bridge not in {c.bridge for c in found.served}:
            return [entry]
        return [_refused(draft, entry, port) for port in found.refused.get(bridge or "", ())]
    if name == "dnat" and _is_refused(entry, found):
        return [entry]
    parameter, called = WITHOUT[name]
    parameters = entry.rule.parameters
    kept = tuple(s for s in parameters.settings if not (s.inverted and s.option.key == parameter))
    if len(kept) == len(parameters.settings):
        return [entry]
    rule = entry.rule._replace(parameters=type(parameters)(kept))
    reason = entry.reason._replace(values={**entry.reason.values, called: None})
    return [entry._replace(rule=rule, reason=reason)]


def _pass_by_other_links(draft: Draft, nat: DraftTable, docker: Docker) -> None:
    """The other interfaces' link-local addresses are nobody's on a bridge, though they are of the type LOCAL.

    In a chain that PREROUTING alone asks: the kernel takes ``--limit-iface-in`` in none that OUTPUT gets to (net/netfilter/xt_addrtype.c).
    """
    bridges = [f.values["bridge"] for f in docker.roles.of("skip-dnat")]
    new = [
        draft.entry("nat", f"PREROUTING -d fe80::/10 -i {bridge} {ELSEWHERE} -j RETURN", "other-link", bridge=bridge)
        for bridge in dict.fromkeys(filter(None, bridges))
    ]
    for n, entry in enumerate(nat.chains["PREROUTING"]):
        if new and entry.own and entry.reason.name == "jump-published-in" and entry.jumps_to:
            chain = nat.add_chain(
                NEAR, [*new, draft.entry("nat", f"PREROUTING -j {entry.jumps_to}", "all-other-links")]
            )
            nat.chains["PREROUTING"][n] = entry._replace(rule=entry.rule._replace(target=Jump(chain)))


def _refused(draft: Draft, entry: Entry, port: Port) -> Entry:
    """A port that INPUT keeps from a bridge: its packets go to INPUT still."""
    bridge = entry.reason.values["bridge"]
    at = "" if port.is_everywhere else f" -d {port.host_ip}"
    text = f"{entry.rule.chain}{at} -i {bridge} -p {port.proto} -m {port.proto} --dport {port.host_port} -j RETURN"
    return draft.entry("nat", text, "refused-port", bridge=bridge, proto=port.proto, port=str(port.host_port))


def _is_refused(entry: Entry, found: Carried) -> bool:
    """Whether a port is refused to its own network."""
    bridge = entry.reason.values["bridge"]
    return any(p.dnat.place.line == entry.rule.line for p in found.refused.get(bridge or "", ()))


def _masquerade(draft: Draft, nat: DraftTable, networks: list[Network], by_loopback: bool) -> None:
    """The source addresses: the bridge's, for what comes from loopback or from the port's own network."""
    new = []
    for network in networks:
        text = f"POSTROUTING -s {LOOPBACK[draft.family]} -o {network.bridge} -m conntrack --ctstate DNAT -j MASQUERADE"
        if by_loopback:
            new.append(draft.entry("nat", text, "loopback-masquerade", bridge=network.bridge))
        for subnet in network.subnets:
            text = f"POSTROUTING -s {subnet} -o {network.bridge} {OTHERS} -m conntrack --ctstate DNAT -j MASQUERADE"
            new.append(draft.entry("nat", text, "hairpin-network", bridge=network.bridge, subnet=subnet))
    chain = nat.chains["POSTROUTING"]
    first = next((n for n, e in enumerate(chain) if e.own), len(chain))
    nat.chains["POSTROUTING"] = [*chain[:first], *new, *chain[first:]]


GUARDED = {
    4: (f"-d {LOOPBACK[4]} -i {{bridge}}",),
    6: (
        f"-d {LOOPBACK[6]} -i {{bridge}}",
        f"-s {LOOPBACK[6]} -i {{bridge}} -m addrtype --dst-type LOCAL",
        "-s ff00::/8 -i {bridge} -m addrtype --dst-type LOCAL",
    ),
}
"""What the kernel drops only when nothing has rewritten it before, or would not drop once route_localnet is on."""


def _guard_loopback(draft: Draft, bridges: list[str]) -> None:
    """Containers do not get to the host's loopback: route_localnet, which the host's own way to them needs, would let them,
    and so would a port that is published on 127.0.0.1, or a bridge whose packets iptables rewrites before IPv6 has seen them."""
    name = "loopback-guard" if draft.family == 4 else "loopback-guard-6"
    new = [
        draft.entry("raw", f"PREROUTING {what.format(bridge=bridge)} -j DROP", name, bridge=bridge)
        for bridge in bridges
        for what in GUARDED[draft.family]
    ]
    draft.table("raw").chains["PREROUTING"][:0] = new


def _let_through(draft: Draft, docker: Docker, clients: list[Client]) -> None:
    """What docker-proxy carried from network to network passes before they are kept apart; so do the answers."""
    table = draft.table("filter")
    chains: dict[tuple[Door, ...], str] = {}
    new = []
    for client in clients:
        bridge = client.bridge
        doors = _doors(client.ports)
        if doors not in chains:
            chains[doors] = table.add_chain(APART, (_opened(draft, door) for door in doors))
        own = "" if client.everywhere else f" -o {bridge}"
        text = f"FORWARD -i {bridge}{own} {DNATTED} ORIGINAL -j {chains[doors]}"
        new.append(draft.entry("filter", text, "proxied", bridge=bridge))
        if client.everywhere:
            text = f"FORWARD -o {bridge} {DNATTED} REPLY -j ACCEPT"
            new.append(draft.entry("filter", text, "proxied-answers", bridge=bridge))
    home = "DOCKER-FORWARD" if "DOCKER-FORWARD" in table.chains else "FORWARD"
    entries = table.chains[home]
    first = next((n for n, e in enumerate(entries) if e.own and e.reason.name != "jump-user"), len(entries))
    moved = [e._replace(rule=e.rule._replace(chain=home)) for e in new]
    table.chains[home] = [*entries[:first], *moved, *entries[first:]]


class Door(NamedTuple):
    """A port of a container, and the host's port (and address, unless it is every one) by which one may get there."""

    host_ip: str | None
    host_port: int
    ip: str
    bridge: str
    proto: str
    port: int


def _doors(ports: Iterable[Port]) -> tuple[Door, ...]:
    """The containers' ports, for those who asked for the port of the host that leads there; by loopback no container does."""
    found = (
        Door(None if p.is_everywhere else p.host_ip, p.host_port, p.container_ip, p.bridge, p.proto, p.container_port)
        for p in ports
        if p.bridge and not p.is_loopback
    )
    return tuple(dict.fromkeys(found))


def _opened(draft: Draft, door: Door) -> Entry:
    asked = f"--ctorigdst {door.host_ip} " if door.host_ip else ""
    to = f"-d {door.ip} -o {door.bridge} -p {door.proto} -m {door.proto} --dport {door.port}"
    text = f"FORWARD {to} -m conntrack {asked}--ctorigdstport {door.host_port} -j ACCEPT"
    values = {"ip": door.ip, "bridge": door.bridge, "proto": door.proto, "port": str(door.port)}
    return draft.entry("filter", text, "proxied-port", **values)
