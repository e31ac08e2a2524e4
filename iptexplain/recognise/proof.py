"""Whose rule it is. In chains that everybody uses a rule of Docker's shape counts as Docker's only where what it speaks of,
a bridge, a container, a port, is named in Docker's own chains as well."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property

from iptexplain.recognise.docker_chains import Layout
from iptexplain.recognise.shape import Found, Roles
from iptexplain.rules.addresses import Network, to_address, to_network

FIRST_SUBNETS = frozenset(
    {"172.17.0.0/16", "10.0.0.0/16", "10.1.0.0/16", "10.42.0.0/16", "172.16.42.0/24", "172.16.43.0/24", "172.16.44.0/24",
     "10.0.42.0/24", "10.0.43.0/24", "192.168.42.0/24", "192.168.43.0/24", "192.168.44.0/24"}
)  # fmt: skip
"""What engines before 1.2 give to docker0, the first that is free."""

DOCKERS_NAMES = re.compile(r"docker0|docker_gwbridge|br-[0-9a-f]{12}")
"""Bridges that Docker named itself."""


class Known:
    """What Docker's own chains name."""

    def __init__(self, roles: Roles, layout: Layout | None) -> None:
        self.roles, self.layout = roles, layout

    @cached_property
    def bridges(self) -> frozenset[str | None]:
        """The bridges that Docker's chains speak of; up to 1.4 there are none, and FORWARD must have the three rules of one."""
        named = {f.values[k] for f in self.roles.found if not f.needs for k in ("bridge", "other")}
        if self.layout and self.layout.name == "nat-only":
            three = ("established",), ("outgoing",), ("icc", "no-icc")
            named |= set.intersection(*({f.values["bridge"] for f in self.roles.of(*some)} for some in three))
        all_named = {f.values["bridge"] for f in self.roles.found} if self.layout else set()
        return frozenset(named | {b for b in all_named if b and DOCKERS_NAMES.fullmatch(b)}) - {None}

    @cached_property
    def in_forward(self) -> frozenset[str | None]:
        """The bridges whose rules stand in FORWARD itself: FORWARD sends their packets to the chain DOCKER."""
        return frozenset(f.values["bridge"] for f in self.roles.of("to-ports") if f.place.chain == "FORWARD")

    @cached_property
    def targets(self) -> frozenset[tuple[str | None, ...]]:
        """(address, protocol, port) of every container's port that is published, or opened without that (gateway mode routed)."""
        published = {(f.container, f.values["proto"], f.values["port"]) for f in self.roles.of("dnat")}
        opened = (f for f in self.roles.of("port-accept") if not f.needs)
        return frozenset(published | {(f.values["ip"], f.values["proto"], f.values["port"]) for f in opened})

    @cached_property
    def doors(self) -> frozenset[tuple[str | None, ...]]:
        """(address, protocol, port) of the host that published ports are bound to."""
        keys = ("host_ip", "proto", "host_port")
        return frozenset(tuple(f.values[k] for k in keys) for f in self.roles.of("dnat"))

    @cached_property
    def shielded(self) -> frozenset[str | None]:
        """Addresses and subnets for which raw drops what is sent straight to them."""
        drops = self.roles.of("direct", "direct-subnet")
        return frozenset(f.values["ip"] or f.values["subnet"] for f in drops if f.values["bridge"] in self.bridges)

    @cached_property
    def subnets(self) -> tuple[Network, ...]:
        """The subnets of Docker's networks."""
        texts = {f.values["subnet"] for f in self.roles.found if f.values["bridge"] in self.bridges}
        return tuple(to_network(t) for t in texts if t)

    @cached_property
    def apart(self) -> frozenset[str | None]:
        """The subnets that 1.9 keeps apart: each from each, in both directions; those of its networks are among them."""
        if self.layout is None or self.layout.name != "subnet-isolation":
            return frozenset()
        pairs = {(f.values["subnet"], f.values["other_subnet"]) for f in self.roles.of("subnet-pair")}
        both = {pair for pair in pairs if pair[::-1] in pairs}
        own = {str(n) for n in self.subnets}
        return frozenset(s for pair in both if not own or own & set(pair) for s in pair)

    @cached_property
    def balanced(self) -> bool:
        """Whether swarm's load balancer works here (a service's sandbox), or Docker's name server does (any container)."""
        return bool(self.roles.of("balanced-source", "dns-jump"))

    def houses(self, address: str | None) -> bool:
        """Whether an address lies in a Docker network."""
        return address is not None and any(n.covers(to_address(address)) for n in self.subnets)


def _in_forward(found: Found, known: Known) -> bool:
    bridge = found.values["bridge"]
    old = known.layout is not None and known.layout.line.in_forward
    return bridge in known.bridges and (old or bridge in known.in_forward)


def _only_in(*names: str) -> Callable[[Found, Known], bool]:
    def check(found: Found, known: Known) -> bool:
        return bool(known.layout and known.layout.name in names) and found.values["bridge"] in known.bridges | {None}

    return check


def _pair(found: Found, known: Known) -> bool:
    return {found.values["subnet"], found.values["other_subnet"]} <= known.apart


def _to_itself(found: Found, known: Known) -> bool:
    """MASQUERADE ``-s S ! -d S``: of the one network that engines before 1.2 have, if its containers do not lie elsewhere."""
    rivals = {str(f.values["subnet"]) for f in known.roles.of("masquerade-to")}
    containers = [to_address(str(t[0])) for t in known.targets]
    inside = {s for s in rivals if containers and all(to_network(s).covers(c) for c in containers)}
    likely = inside if containers else rivals & FIRST_SUBNETS if len(rivals) > 1 else rivals
    newer = any(f.values["bridge"] in known.bridges for f in known.roles.of("masquerade"))
    old = known.layout is not None and known.layout.name == "nat-only" and not newer
    return old and likely == {found.values["subnet"]}


def _task(found: Found, known: Known) -> bool:
    ip = found.values["ip"]
    return all(known.roles.of(role, ip=ip) for role in ("task-redirect", "task-accept")) if ip else False


NEEDS: dict[str, Callable[[Found, Known], bool]] = {
    "": lambda found, known: True,
    "bridge": lambda found, known: found.values["bridge"] in known.bridges,
    "forward": _in_forward,
    "ext-bridges": _only_in("ext-bridges"),
    "nat-only": _only_in("nat-only"),
    "pair": _pair,
    "to-itself": _to_itself,
    "target": lambda found, known: (
        tuple(found.values[k] for k in ("ip", "proto", "port")) in known.targets or known.houses(found.values["ip"])
    ),
    "door": lambda found, known: tuple(found.values[k] for k in ("host_ip", "proto", "host_port")) in known.doors,
    "sctp": lambda found, known: any(t[1:] == ("sctp", found.values["port"]) for t in known.targets),
    "shielded": lambda found, known: (found.values["ip"] or found.values["subnet"]) in known.shielded,
    "task": _task,
    "balanced": lambda found, known: known.balanced,
    "overlay": lambda found, known: bool(known.roles.of("overlay-to")),
}
"""What a shape needs (Shape.needs) → whether it holds of a rule."""


def confirmed(roles: Roles, layout: Layout | None) -> Roles:
    """Of all rules with a shape those that Docker wrote."""
    known = Known(roles, layout)
    return roles.only(f for f in roles.found if NEEDS[f.needs](f, known))


def is_plausible(found: Found) -> bool:
    """Whether a rule alone, without the rest of its dump, may be taken for Docker's: nobody else has reason to write it, or
    the bridge is one that Docker named."""
    specific = found.needs in ("", "target", "door", "sctp")
    return specific or DOCKERS_NAMES.fullmatch(found.values["bridge"] or "") is not None
