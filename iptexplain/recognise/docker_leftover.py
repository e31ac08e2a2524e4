"""What one running Docker would not have left so: rules of another engine, of flushed tables, of containers that are gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from iptexplain.recognise.docker_chains import Layout, docker_chains
from iptexplain.recognise.docker_network import Network
from iptexplain.recognise.docker_port import Port
from iptexplain.recognise.shape import Found, Roles
from iptexplain.rules.answer import Backend
from iptexplain.rules.model import Chain, Jump, Place, Ruleset, Verdict
from iptexplain.rules.save import save_rule

OTHERS = ("DOCKER-INGRESS", "DOCKER-OVERLAY")
"""Chains of any layout."""

INTERNAL = ("internal-in|internal-in-both", "internal-out|internal-out-both")
APART = {"isolation-leaving", "isolation-entering"}


class Leftover(NamedTuple):
    """One thing that does not fit, and the lines that show it.

    ``kind``: gone (a network that other networks' rules show to be no more), flushed (a table without any chain of Docker's),
    unasked (chains that nothing jumps to), missing (a rule of the layout: ``role``, for ``bridges``), other-layout (a chain
    that this layout does not use, or rules that lead to one), duplicate, shadowed (a port that an earlier rule takes),
    half-port (a published port without one of its two rules), user-end (the RETURN that engines up to 28.2.1 put at the end
    of DOCKER-USER).
    """

    kind: str
    lines: tuple[int, ...]
    table: str = "filter"
    chains: tuple[str, ...] = ()
    bridges: tuple[str, ...] = ()
    role: str | None = None
    port: Port | None = None


def is_of_layout(found: Found, layout: Layout | None) -> bool:
    """Whether a rule is one that the running engine wrote: it neither stands in nor leads to another layout's chains."""
    if layout is None or found.place.table != "filter":
        return True
    target = found.rule.target
    names = [found.place.chain, *([target.chain] if isinstance(target, Jump) else [])]
    dockers = [n for n in names if n.startswith("DOCKER") and n not in OTHERS]
    in_forward = found.place.chain != "FORWARD" or found.needs != "forward" or layout.line.in_forward
    return in_forward and all(n in layout.line.chains or n == "DOCKER-USER" for n in dockers)


def recognise(
    ruleset: Ruleset, roles: Roles, layout: Layout | None, networks: list[Network], ports: list[Port]
) -> list[Leftover]:
    """``roles``: every rule that Docker wrote, of this layout or not."""
    if layout is None:
        return []
    current = roles.only(f for f in roles.found if is_of_layout(f, layout))
    gone = [n for n in networks if is_gone(n, networks, layout)]
    found = [*_flushed(ruleset, layout), *(Leftover("gone", tuple(n.all_lines), bridges=(n.bridge,)) for n in gone)]
    networks = [n for n in networks if n not in gone]
    if layout.name and not _is_waiting(ruleset, roles, layout):
        found += [
            *_unasked(ruleset, roles, layout),
            *_frame(ruleset, current, layout),
            *_of_networks(ruleset, layout, networks),
        ]
    found += [*_other_layouts(ruleset, roles, layout), *_duplicates(roles, ports), *_shadowed(ports)]
    if layout.name:
        found += _half_ports(current, networks, ports)
    ends = roles.of("user-end") if layout.name == "internal-chain" else []
    return [*found, *(Leftover("user-end", (f.place.line,), chains=("DOCKER-USER",)) for f in ends)]


def is_gone(network: Network, networks: list[Network], layout: Layout | None) -> bool:
    """Whether a network has none of the rules that every network has in table filter, while others have them."""
    wanted = {role for some in (*INTERNAL, *(layout.line.network if layout else ())) for role in some.split("|")}
    with_rules = [n for n in networks if n.lines.keys() & wanted]
    return bool(with_rules) and network not in with_rules


def _is_waiting(ruleset: Ruleset, roles: Roles, layout: Layout) -> bool:
    """Whether these are the IPv6 rules of an engine up to 27 before its first IPv6 network that is not internal: it writes the
    jumps with that."""
    return ruleset.family == 6 and layout.line.name == "stage-isolation" and not roles.of("to-ports")


def _flushed(ruleset: Ruleset, layout: Layout) -> Iterator[Leftover]:
    with_chains = {table for table, _ in docker_chains(ruleset)}
    for table in {"filter", "nat"} & set(ruleset.tables) - with_chains:
        if table == "nat" or layout.name != "nat-only":
            yield Leftover("flushed", layout.lines[:1], table)


def _unasked(ruleset: Ruleset, roles: Roles, layout: Layout) -> Iterator[Leftover]:
    """The chains with rules that no packet gets to, by table."""
    for table in ruleset.tables:
        lost = [
            chain
            for t, name in docker_chains(ruleset)
            for chain in [ruleset.tables[t].chains[name]]
            if t == table and (t, name) not in roles.reached and (name == "DOCKER-USER" or not _is_idle(chain))
            if t != "filter" or name in {*layout.line.chains, *OTHERS}
        ]
        if lost:
            lines = tuple(n for c in lost for n in (c.line, *(r.line for r in c.rules)))
            yield Leftover("unasked", lines, table, tuple(c.name for c in lost))


def _is_idle(chain: Chain) -> bool:
    """Whether a chain has nothing but the RETURN at its end."""
    return all(not any(r.conditions()) and r.target == Verdict("RETURN") for r in chain.rules)


def _frame(ruleset: Ruleset, roles: Roles, layout: Layout) -> Iterator[Leftover]:
    """The rules that are there with any network; of a table that was flushed that has been said."""
    with_chains = {table for table, _ in docker_chains(ruleset)}
    for role in layout.line.frame:
        table = "nat" if role.startswith("jump-published") else "filter"
        if not roles.of(role) and (table in with_chains or layout.name == "nat-only"):
            yield Leftover("missing", (), table, role=role)


def _of_networks(ruleset: Ruleset, layout: Layout, networks: list[Network]) -> Iterator[Leftover]:
    """The rules in table filter that every network has."""
    without: dict[str, list[str]] = {}
    for network in networks if "filter" in ruleset.tables else ():
        v6_off = ruleset.family == 6 and layout.line.in_forward and network.lines.keys() <= APART
        for wanted in () if v6_off else INTERNAL if network.internal else layout.line.network:
            if not network.lines.keys() & set(wanted.split("|")):
                without.setdefault(wanted.split("|")[0], []).append(network.bridge)
    for role, bridges in without.items():
        yield Leftover("missing", (), bridges=tuple(bridges), role=role)


def _other_layouts(ruleset: Ruleset, roles: Roles, layout: Layout) -> Iterator[Leftover]:
    """The chains that this layout does not use, and the rules elsewhere that belong to them."""
    own = {*layout.line.chains, *OTHERS, "DOCKER-USER"}
    unused = [c for t, c in docker_chains(ruleset) if t == "filter" and c not in own]
    elsewhere: dict[str, list[int]] = {}
    for f in roles.found:
        if f.place.chain not in unused and not is_of_layout(f, layout):
            elsewhere.setdefault(f.place.chain, []).append(f.place.line)
    for name, lines in elsewhere.items():
        yield Leftover("other-layout", tuple(lines), chains=(name,))
    for name in unused:
        chain = ruleset.tables["filter"].chains[name]
        yield Leftover("other-layout", (chain.line, *(r.line for r in chain.rules)), chains=(name,))


def _duplicates(roles: Roles, ports: list[Port]) -> Iterator[Leftover]:
    """A rule that stands in its chain twice; engines before 1.10 write one for each port of the host that leads to a container's."""
    copies: dict[tuple[str, str], list[Place]] = {}
    for f in roles.found:
        copies.setdefault((f.place.table, save_rule(f.rule, Backend.NFT)), []).append(f.place)
    users = Counter(f.place for port in ports for some in port.rules.values() for f in some)
    for places in copies.values():
        if len(places) > max(users[places[0]], 1):
            yield Leftover("duplicate", tuple(p.line for p in places), places[0].table, (places[0].chain,))


def _half_ports(roles: Roles, networks: list[Network], ports: list[Port]) -> Iterator[Leftover]:
    """Published ports that are rewritten and not let in, or let in and not rewritten."""
    modes = {n.bridge: n.gateway_mode for n in networks}
    for port in ports:
        if not port.accepts and port.bridge and modes.get(port.bridge, "unknown") in ("nat", None):
            yield Leftover("half-port", (port.dnat.place.line,), "nat", bridges=(port.bridge,), role="dnat", port=port)
    published = {(p.container_ip, p.proto, str(p.container_port)) for p in ports}
    for f in roles.of("port-accept"):
        bridge = str(f.values["bridge"])
        if modes.get(bridge) == "nat" and tuple(f.values[k] for k in ("ip", "proto", "port")) not in published:
            yield Leftover("half-port", (f.place.line,), chains=(f.place.chain,), bridges=(bridge,), role="port-accept")


def _shadowed(ports: list[Port]) -> Iterator[Leftover]:
    """A port of the host that an earlier DNAT rule takes to another container: the second gets nothing."""
    first: dict[tuple[str, int], list[Port]] = {}
    for port in ports:
        before = first.setdefault((port.proto, port.host_port), [])
        taken = next((p for p in before if p.is_everywhere or p.host_ip == port.host_ip), None)
        if taken and (taken.container_ip, taken.container_port) != (port.container_ip, port.container_port):
            yield Leftover("shadowed", (taken.dnat.place.line, port.dnat.place.line), "nat", port=port)
        before.append(port)
