"""The topology that the rules themselves betray, when no snapshot tells it. Every inference is an assumption with its line."""

from __future__ import annotations

from collections.abc import Sequence

from iptexplain.host.snapshot import Snapshot
from iptexplain.host.subnets import UNNAMED, Subnets
from iptexplain.host.sysctls import BRIDGE_CALL, FORWARDING, of_interface
from iptexplain.host.topology import Assumption, Endpoint, HostAddress, Route, Topology, from_facts
from iptexplain.rules.addresses import BITS, Address, to_network
from iptexplain.rules.model import Jump, Rule, Ruleset
from iptexplain.rules.nat import NatTarget
from iptexplain.rules.values import Family

OUTSIDE = "eth0"
"""What the interface to the outside is called when the rules do not name one."""

EXAMPLE_HOST: dict[Family, str] = {4: "198.18.0.1", 6: "2001:2::1"}
"""The host's address when neither snapshot nor rules tell it: from the ranges that RFC 2544 and RFC 5180 keep for tests."""

EXAMPLE_OUTSIDE: dict[Family, str] = {4: "198.18.0.50", 6: "2001:2::50"}


PLAIN_TABLES = ("local", "main", "default")
"""The routing tables that every host asks."""


def topology_of(snapshot: Snapshot, ruleset: Ruleset, beside: Sequence[Ruleset] = ()) -> Topology:
    """The topology for ``ruleset``: what the snapshot states, and for what it leaves out, what the rules say, its own and
    those ``beside`` it that speak of the same host."""
    topology = from_facts(snapshot.facts, ruleset.family)
    topology.assumed = dict(snapshot.assumed)
    topology.assumptions = [Assumption("assumed", {"name": n, "value": v}) for n, v in snapshot.assumed.items()]
    if any(r.get("table") not in PLAIN_TABLES for r in snapshot.facts.get("rules", [])):
        topology.assumptions.append(Assumption("policy_routing", {}))
    topology.assumptions += _other_half(snapshot, ruleset)
    routes_known, halves = bool(topology.routes), [ruleset, *snapshot.others(ruleset), *beside]
    if not topology.known_addresses:
        _infer_bridges(topology, halves)
        _infer_host(topology, halves)
    if not routes_known:
        _infer_routes(topology)
    for half in halves if ruleset.family == 4 else ():
        _infer_route_localnet(topology, half)
    for setting, names in (("ip_forward", FORWARDING), ("bridge_nf_call", BRIDGE_CALL)):
        name = names[ruleset.family]
        if name not in topology.sysctls:
            topology.sysctls[name] = 1
            topology.assumptions.append(Assumption(setting, {"name": name, "value": 1}))
    return topology


def _other_half(snapshot: Snapshot, ruleset: Ruleset) -> list[Assumption]:
    """The kernel asks both backends; where one is asked by itself, the other is taken to let everything pass."""
    values = {"family": ruleset.family, "backends": [r.backend.value for r in snapshot.others(ruleset)]}
    if values["backends"]:
        return [Assumption("other_half", values)]
    line = snapshot.missing_half(ruleset.family)
    return [Assumption("missing_half", values, line)] if line else []


def _infer_route_localnet(topology: Topology, ruleset: Ruleset) -> None:
    """With docker-proxy off, Docker lets loopback's addresses into a bridge, and gives them its own by a rule (Docker 1.6 on)."""
    nat = ruleset.chain("nat", "POSTROUTING")
    for rule in nat.rules if nat else ():
        o, types = rule.parameters.get("o"), [m.value("src_type") for m in rule.matches if m.name == "addrtype"]
        alone = len(rule.parameters.settings) == len(rule.matches) == 1
        if o and not o.inverted and types and alone and rule.target is not None and rule.target.name == "MASQUERADE":
            name = of_interface(o.value, "route_localnet")
            if name not in topology.sysctls:
                topology.sysctls[name] = 1
                topology.assumptions.append(Assumption("route_localnet", {"name": name, "bridge": o.value}, rule.line))


def _infer_bridges(topology: Topology, rulesets: Sequence[Ruleset]) -> None:
    subnets = Subnets(rulesets)
    for subnet in subnets.all():
        name, network = subnet.interface, subnet.network
        gateway = Address(network.family, network.number + 1)
        if subnet.bridge:
            topology.bridges.add(name)
        topology.addresses.append(HostAddress(name, gateway, network))
        topology.routes.append(Route(network, name, prefsrc=gateway))
        values = {
            "bridge": name,
            "network": str(network),
            "gateway": str(gateway),
            "lines": subnet.lines,
            "alone": subnet.alone,
        }
        kind = "unnamed" if name.startswith(UNNAMED) else "subnet" if len(subnet.lines) > 1 else "bridge"
        topology.assumptions.append(Assumption(kind, values, subnet.lines[0]))
    for rule in subnets.rules:
        d, o = rule.parameters.get("d"), rule.parameters.get("o")
        if d and o and not d.inverted and not o.inverted and d.value.is_host and o.value not in ("lo", ""):
            address = Address(d.value.family, d.value.number)
            if topology.endpoint_at(address) is None and o.value in topology.bridges | subnets.switches:
                topology.bridges.add(o.value)
                topology.endpoints.append(Endpoint(str(address), o.value, (address,)))
                route = topology.route(address)
                if route is None or route.interface != o.value:
                    topology.routes.append(Route(d.value, o.value))
                    values = {"bridge": o.value, "address": str(address)}
                    topology.assumptions.append(Assumption("container", values, rule.line))


def _infer_host(topology: Topology, rulesets: Sequence[Ruleset]) -> None:
    """The outside interface, and the host's address there: one that a DNAT rule is bound to, else an example."""
    inside = topology.bridges | {a.interface for a in topology.addresses}
    named = Subnets(rulesets).outside(inside)
    outside = named or OUTSIDE
    bound = _bound(topology, rulesets)
    family = topology.family
    if not bound:
        example = to_network(EXAMPLE_HOST[family], family)
        topology.assumptions.append(Assumption("host_address", {"address": EXAMPLE_HOST[family], "interface": outside}))
        bound = {Address(family, example.number): 0}
    else:
        values = {"addresses": [str(a) for a in bound], "interface": outside}
        topology.assumptions.append(Assumption("bound_address", values, next(iter(bound.values()))))
    addresses = [HostAddress(outside, a, to_network(f"{a}/{BITS[family]}", family)) for a in bound]
    topology.addresses = [*addresses, *topology.addresses]  # the first that is on no bridge is the host's own
    if not named:
        topology.assumptions.append(Assumption("outside", {"interface": outside}))


def _bound(topology: Topology, rulesets: Sequence[Ruleset]) -> dict[Address, int]:
    """The addresses that ports are published on, with the first line that says so: a rule that rewrites what is sent there, or that
    hands it to a chain of such rules."""
    nat = [rule for ruleset in rulesets for rule in (ruleset.tables["nat"].rules() if "nat" in ruleset.tables else ())]
    chains = {rule.chain for rule in nat if _rewrites(rule)}
    found: dict[Address, int] = {}
    for rule in nat:
        d = rule.parameters.get("d")
        leads = _rewrites(rule) or (isinstance(rule.target, Jump) and rule.target.chain in chains)
        if d and not d.inverted and d.value.is_host and leads:
            address = Address(d.value.family, d.value.number)
            if not topology.is_local(address):
                found.setdefault(address, rule.line)
    return found


def _rewrites(rule: Rule) -> bool:
    return isinstance(rule.target, NatTarget) and rule.target.manip == "dst"


def _infer_routes(topology: Topology) -> None:
    """Everything that is on no bridge lies outside."""
    outside = next(
        (a.interface for a in topology.addresses if a.interface not in topology.bridges and a.interface != "lo"),
        OUTSIDE,
    )
    everywhere = to_network("0.0.0.0/0" if topology.family == 4 else "::/0", topology.family)
    topology.routes.append(
        Route(
            everywhere, outside, prefsrc=next((a.address for a in topology.addresses if a.interface == outside), None)
        )
    )
