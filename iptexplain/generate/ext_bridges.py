"""The IP set that Docker 28.0.0 asks (docker-ext-bridges-v4, -v6), and the rules that say the same without it.

The engine fills the set with the subnets of its networks that are not internal, and only while it writes rules itself
(libnetwork/drivers/bridge/setup_ip_tables_linux.go of 28.0.0).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from iptexplain.explain.situation import Situation
from iptexplain.explain.words import said
from iptexplain.host.ipsets import Element
from iptexplain.host.snapshot import Snapshot
from iptexplain.host.topology import is_link_local
from iptexplain.recognise.docker_network import Network
from iptexplain.rules.addresses import BITS, to_network
from iptexplain.rules.addresses import Network as Subnet
from iptexplain.rules.model import Rule
from iptexplain.rules.values import Family

SETS = {4: "docker-ext-bridges-v4", 6: "docker-ext-bridges-v6"}
INET = {4: "inet", 6: "inet6"}
LAYOUT = "ext-bridges"
"""The layout of the engine that fills the set; in another one the rules are left over, and so is what the set holds."""

ONE_EACH = {
    "external-answers": ("subnet-answers", "FORWARD -d {subnet} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"),
    "external-ports": ("subnet-ports", "FORWARD -d {subnet} -j DOCKER"),
}
"""The role of a rule that asks the set → what the rule for each subnet is called, and what it says."""


def with_sets(snapshot: Snapshot, families: Iterable[Family]) -> tuple[Snapshot, tuple[str, ...]]:
    """The snapshot with the set as its networks tell it, where it does not list the set itself; and what was taken for granted."""
    notes = []
    for family in families:
        if not any(SETS[family] in dump.text for dump in snapshot.dumps):
            continue
        situation = Situation(snapshot, family)
        layout, name = situation.docker.layout, SETS[family]
        if name in situation.topology.ipsets.sets or not layout or layout.name != LAYOUT or unknown(situation):
            continue
        subnets = list(dict.fromkeys(s for n in _outer(situation) for s in _subnets(situation, n)))
        lines = [f"create {name} hash:net family {INET[family]}", *(f"add {name} {subnet}" for subnet in subnets)]
        known = snapshot.facts.get("ipsets") or ""
        snapshot = snapshot._replace(facts={**snapshot.facts, "ipsets": "\n".join([known.rstrip("\n"), *lines, ""])})
        notes.append(
            f"What is in the IP set {name}, {said(situation.dump.file)} does not say; taken for granted are the subnets of "
            f"the networks that are not internal: {', '.join(subnets)}"
        )
    return snapshot, tuple(notes)


def problem(situation: Situation, name: str) -> str | None:
    """Why no rules can say what rules that ask this set say; None where they can."""
    found = situation.topology.ipsets.sets.get(name)
    if found is None:
        bridges = unknown(situation)
        why = f": no rule says which subnet {' and '.join(map(said, bridges))} has" if bridges else ""
        return (
            f"Docker 28.0.0 asks an IP set, {name}, and what is in it is not known here{why}. "
            "Give a snapshot of the host, which lists its IP sets ('iptexplain capture' takes one)"
        )
    if (found.dimensions, found.family) != (("net",), situation.family) or any(e.nomatch for e in found.elements):
        return f"the IP set {name} holds something else than the subnets that Docker 28.0.0 puts into it"
    return None


def asking(situation: Situation) -> Iterator[Rule]:
    """The rules that ask the set and are not Docker's: nobody fills it for them any more."""
    docker = {f.rule.line for f in situation.docker.roles.of(*ONE_EACH)}
    for table in situation.ruleset.tables.values():
        for rule in table.rules():
            names = [m.settings[0].value.name for m in rule.matches if m.name == "set" and m.settings]
            if rule.line not in docker and not set(names).isdisjoint(SETS.values()):
                yield rule


def members(situation: Situation, name: str) -> list[tuple[str, str | None]]:
    """(subnet, its bridge or None) of everything in the set, by address."""
    found = situation.topology.ipsets.sets[name]
    bridges = {s: n.bridge for n in situation.docker.networks for s in _subnets(situation, n)}
    subnets = sorted((_subnet(e) for e in found.elements), key=lambda s: (s.number, s.prefix or 0))
    return [(str(subnet), bridges.get(str(subnet))) for subnet in dict.fromkeys(subnets)]


def _subnet(element: Element) -> Subnet:
    first, last = element.parts[0]
    prefix = BITS[first.family] - (first.number ^ last.number).bit_length()
    return to_network(f"{first}/{prefix}")


def unknown(situation: Situation) -> list[str]:
    """The bridges of networks in the set whose subnets nobody tells."""
    return [n.bridge for n in _outer(situation) if not _subnets(situation, n)]


def _outer(situation: Situation) -> list[Network]:
    return [n for n in situation.docker.networks if not n.internal]


def _subnets(situation: Situation, network: Network) -> list[str]:
    """What rules or Docker's records say, else the host's own addresses on the bridge."""
    here = situation.topology.addresses if situation.topology.known_addresses else []
    mine = (str(a.network) for a in here if a.interface == network.bridge and not is_link_local(a.address))
    return list(network.subnets or dict.fromkeys(mine))
