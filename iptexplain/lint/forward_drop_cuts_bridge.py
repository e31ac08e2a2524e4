"""A bridge of somebody else's (libvirt, LXD, one made by hand) whose machines cannot send anything through FORWARD.

Docker sets the policy of `FORWARD` to DROP when it switches forwarding on, and lets through what is its own. Virtual machines on another
bridge then need rules of their own; and where br_netfilter is loaded, so do machines on one bridge that only talk to each other.
Told is what the policy drops; a network that a rule closes on purpose is not.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.host.endpoints import End
from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host
from iptexplain.rules.addresses import BITS, Address, Network

LEVEL = "warning"

DUMP = """*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
{}COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 192.168.122.0/24 ! -o virbr0 -j MASQUERADE
COMMIT
"""

FIRES = Example(DUMP.format(""))

QUIET = Example(
    DUMP.format(
        "-A FORWARD -i virbr0 -j ACCEPT\n-A FORWARD -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
    )
)


def find(host: Host) -> Iterator[Finding]:
    """The bridges that are not Docker's, and that the policy cuts off."""
    policy = host.policy("filter", "FORWARD")
    if host.docker.layout is None or policy is None:
        return
    dockers = {n.bridge for n in host.docker.networks} | {str(f.values["bridge"]) for f in host.docker.roles.found}
    for bridge, network in _others(host, dockers).items():
        guest = End(_guest(host, bridge, network), bridge, None, None)
        if host.probe(guest, host.end("internet")).outcome.by == policy:
            yield Finding(policy, (), {"bridge": bridge, "network": network})


def _others(host: Host, dockers: set[str]) -> dict[str, Network]:
    """The bridges of others, with their subnets, from which somebody means to let packets out: their source is rewritten, or a
    snapshot has the bridge with machines on it."""
    closed = {f.values["bridge"] for p in host.programs for f in p.facts if f.values.get("mode") == "isolated"}
    found: dict[str, Network] = {}
    for own in host.topology.addresses:
        is_bridge = own.interface in host.topology.bridges and own.interface not in dockers | closed
        if is_bridge and (own.network.prefix or 0) < BITS[host.family] - 1:
            found.setdefault(own.interface, own.network)
    return found


def _guest(host: Host, bridge: str, network: Network) -> Address:
    """A machine on the bridge: one that is known, else the second address."""
    known = (a for e in host.topology.endpoints if e.interface == bridge for a in e.addresses)
    return next(known, Address(network.family, network.number + 2))
