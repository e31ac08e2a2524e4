"""The rules that Docker engines write for a configuration, by version: what the recognisers read back, the other way round.

test_docker_engines.py holds this against the dumps of real engines; then it serves to make dumps of configurations that nobody
recorded. Of the order of rules only what matters to a reader is kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.docker_setup import Net, Port, Setup

VERSIONS = ("1.0", "1.3", "1.6", "1.7", "1.8", "1.9", "1.10", "1.12", "1.13", "17.05", "17.06", "18.09", "20.10.24", "25", "27.5.1",
            "28.0.0", "28.1.1", "28.2.1", "28.5.2", "29.7.2", "next")  # fmt: skip
"""In their order; ``next`` is what comes after 29.7.2, as far as its sources show."""

LOOPBACK = {4: "127.0.0.0/8", 6: "::1/128"}
HOST = {4: "/32", 6: "/128"}
PAIR = "-m conntrack --ctstate RELATED,ESTABLISHED"


EMPTY = (
    ("1.6", "next", ("DOCKER",)),
    ("18.09", "28.5.2", ("DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2")),
    ("28.1.1", "next", ("DOCKER-FORWARD", "DOCKER-CT", "DOCKER-BRIDGE")),
    ("28.5.2", "next", ("DOCKER-USER",)),
    ("29.7.2", "next", ("DOCKER-INTERNAL",)),
)
"""Chains that versions from … to … make, with or without rules."""


class Engine:
    """The rules of one version for one setup."""

    def __init__(self, version: str, setup: Setup) -> None:
        self.version, self.s = version, setup
        self.here = tuple(n for n in setup.nets if n.subnet)
        self.open = tuple(n for n in self.here if not n.internal)

    def since(self, version: str) -> bool:
        return VERSIONS.index(self.version) >= VERSIONS.index(version)

    def up_to(self, version: str) -> bool:
        return VERSIONS.index(self.version) <= VERSIONS.index(version)

    def rules(self) -> list[tuple[str, str]]:
        """(table, rule) of every rule."""
        tables = {"raw": self.raw, "mangle": self.mangle, "filter": self.filter, "nat": self.nat}
        return [(table, f"-A {rule}") for table, write in tables.items() for rule in write()]

    def chains(self) -> dict[str, tuple[str, ...]]:
        """The user chains of each table: those that have rules, and those that are there without."""
        named = {rule.split()[1] for table, rule in self.rules() if table == "filter"}
        empty = {c for first, last, some in EMPTY if self.since(first) and self.up_to(last) for c in some}
        filters = sorted(c for c in named | empty if c.startswith("DOCKER"))
        return {"filter": tuple(filters), "nat": ("DOCKER", *(("DOCKER-INGRESS",) if self.s.mesh else ()))}

    def ipset(self) -> str:
        """What ipset save prints of the set that 28.0.0 asks; the others have none."""
        if self.version != "28.0.0":
            return ""
        name, inet = f"docker-ext-bridges-v{self.s.family}", {4: "inet", 6: "inet6"}[self.s.family]
        create = f"create {name} hash:net family {inet} hashsize 1024 maxelem 65536 bucketsize 12 initval 0x1cb9a06e"
        return "\n".join([create, *(f"add {name} {net.subnet}" for net in reversed(self.open)), ""])

    # -- nat

    def nat(self) -> Iterator[str]:
        if self.s.mesh:
            yield "PREROUTING -m addrtype --dst-type LOCAL -j DOCKER-INGRESS"
            yield "OUTPUT -m addrtype --dst-type LOCAL -j DOCKER-INGRESS"
        if self.s.family == 4 or self.since("28.0.0") or self.open:
            yield "PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"
            but = f"! -d {LOOPBACK[self.s.family]} " if self.s.proxy else ""
            yield f"OUTPUT {but}-m addrtype --dst-type LOCAL -j DOCKER"
        for net in self.open:
            yield from self.outgoing(net)
        for port in self.s.ports:
            yield from self.itself(port)
        if self.s.wsl2 and self.s.proxy and self.since("27.5.1"):
            yield "DOCKER -d 127.0.0.0/8 -i loopback0 -j RETURN"
        for net in self.open:
            masked = net.masquerade and (net.mode == "nat" or self.since("28.0.0"))
            if masked and self.s.proxy and self.since("1.10") and self.up_to("28.5.2"):
                yield f"DOCKER -i {net.bridge} -j RETURN"
        for port in self.s.ports:
            yield from self.dnat(port)
        for m in self.s.mesh:
            yield f"DOCKER-INGRESS -p {m.proto} -m {m.proto} --dport {m.host_port} -j DNAT --to-destination {m.container}:{m.port}"
        if self.s.mesh:
            yield "DOCKER-INGRESS -j RETURN"

    def outgoing(self, net: Net) -> Iterator[str]:
        target = f"SNAT --to-source {net.snat}" if net.snat else "MASQUERADE"
        if not self.s.proxy or (self.s.mesh and net.bridge == "docker_gwbridge"):
            yield f"POSTROUTING -o {net.bridge} -m addrtype --src-type LOCAL -j {target}"
        if net.masquerade and net.mode != "routed":
            where = f"! -d {net.subnet}" if self.version == "1.0" else f"! -o {net.bridge}"
            yield f"POSTROUTING -s {net.subnet} {where} -j {target}"

    def itself(self, p: Port) -> Iterator[str]:
        if self.since("1.6") and (self.up_to("27.5.1") or not self.s.proxy) and p.net.mode != "routed":
            c = p.container + HOST[self.s.family]
            yield f"POSTROUTING -s {c} -d {c} -p {p.proto} -m {p.proto} --dport {p.port} -j MASQUERADE"

    def dnat(self, p: Port) -> Iterator[str]:
        if p.net.mode == "routed":
            return
        six = self.s.family == 6
        near = "! -s fe80::/10 " if six and self.since("28.0.0") else ""
        host = f"-d {p.host_ip}{HOST[self.s.family]} " if p.host_ip else ""
        other = f"! -i {p.net.bridge} " if self.s.proxy else ""
        to = f"[{p.container}]:{p.port}" if six else f"{p.container}:{p.port}"
        yield f"DOCKER {near}{host}{other}-p {p.proto} -m {p.proto} --dport {p.host_port} -j DNAT --to-destination {to}"

    # -- raw and mangle

    def raw(self) -> Iterator[str]:
        if not self.since("28.0.0") or not self.s.raw:
            return
        guarded = [n for n in self.open if n.mode == "nat" and not self.s.direct]
        for net in guarded:
            each = (net.subnet,) if self.since("next") else tuple(c + HOST[self.s.family] for c in net.containers)
            for what in each if self.since("28.2.1") else ():
                trusted = (*(("lo",) if self.since("next") else ()), *net.trusted)
                yield from (f"PREROUTING -d {what} -i {interface} -j ACCEPT" for interface in trusted)
                yield f"PREROUTING -d {what} ! -i {net.bridge} -j DROP"
        for p in self.s.ports:
            host = f"-d {p.host_ip}/32"
            what = f"-p {p.proto} -m {p.proto} --dport"
            if p.host_ip and p.host_ip.startswith("127.") and p.net.mode != "routed":
                if self.s.wsl2:
                    yield f"PREROUTING {host} -i loopback0 {what} {p.host_port} -j ACCEPT"
                yield f"PREROUTING {host} ! -i lo {what} {p.host_port} -j DROP"
            if p.net in guarded and self.up_to("28.1.1"):
                yield f"PREROUTING -d {p.container}{HOST[self.s.family]} ! -i {p.net.bridge} {what} {p.port} -j DROP"

    def mangle(self) -> Iterator[str]:
        for p in self.s.ports:
            if p.proto == "sctp" and self.since("18.09") and self.up_to("27.5.1"):
                yield f"POSTROUTING -p sctp -m sctp --sport {p.port} -j CHECKSUM --checksum-fill"

    # -- filter

    def filter(self) -> Iterator[str]:
        if self.since("17.06") and not (self.s.family == 6 and self.version == "20.10.24"):
            yield "FORWARD -j DOCKER-USER"
            if self.up_to("28.2.1"):
                yield "DOCKER-USER -j RETURN"
        if self.s.mesh:
            yield f"{'DOCKER-FORWARD' if self.since('28.1.1') else 'FORWARD'} -j DOCKER-INGRESS"
            yield from self.mesh()
        yield from self.forwarded() if self.since("28.1.1") else self.in_forward()
        for net in self.here:
            yield from self.inside(net)
        for port in self.s.ports:
            yield from self.let_in(port)
        for x in self.s.links:
            chain, both = (
                "DOCKER" if self.since("1.6") else "FORWARD",
                f"-i {x.net.bridge} -o {x.net.bridge} -p {x.proto} -m {x.proto}",
            )
            yield f"{chain} -s {x.client}/32 -d {x.server}/32 {both} --dport {x.port} -j ACCEPT"
            yield f"{chain} -s {x.server}/32 -d {x.client}/32 {both} --sport {x.port} -j ACCEPT"
        yield from self.apart()
        for net in self.open if self.since("28.0.0") else ():
            yield from self.default(net)

    def mesh(self) -> Iterator[str]:
        for m in self.s.mesh:
            yield f"DOCKER-INGRESS -p {m.proto} -m {m.proto} --dport {m.port} -j ACCEPT"
            old = f"-m state --state RELATED,ESTABLISHED -m {m.proto} --sport {m.port}"
            new = f"-m {m.proto} --sport {m.port} {PAIR}"
            yield f"DOCKER-INGRESS -p {m.proto} {new if self.since('25') else old} -j ACCEPT"
        yield "DOCKER-INGRESS -j RETURN"

    def forwarded(self) -> Iterator[str]:
        """28.0.1 and later: FORWARD has one jump, and DOCKER-FORWARD the rest."""
        yield "FORWARD -j DOCKER-FORWARD"
        if self.s.mark:
            yield f"DOCKER-FORWARD -m mark --mark {self.s.mark} -j ACCEPT"
        second = "DOCKER-INTERNAL" if self.since("29.7.2") else "DOCKER-ISOLATION-STAGE-1"
        yield from (f"DOCKER-FORWARD -j {chain}" for chain in ("DOCKER-CT", second, "DOCKER-BRIDGE"))
        for net in self.open:
            yield f"DOCKER-CT -o {net.bridge} {PAIR} -j ACCEPT"
            yield f"DOCKER-BRIDGE -o {net.bridge} -j DOCKER"

    def in_forward(self) -> Iterator[str]:
        """Up to 28.0.0 each network's rules stand in FORWARD."""
        if self.version == "28.0.0":
            known = f"-m set --match-set docker-ext-bridges-v{self.s.family} dst"
            yield f"FORWARD {known} {PAIR} -j ACCEPT"
            yield "FORWARD -j DOCKER-ISOLATION-STAGE-1"
            yield f"FORWARD {known} -j DOCKER"
            return
        if self.since("1.10") and (self.s.family == 4 or self.here):
            yield f"FORWARD -j DOCKER-ISOLATION{'-STAGE-1' if self.since('18.09') else ''}"
        for net in self.open:
            two = [
                f"FORWARD -o {net.bridge} {PAIR} -j ACCEPT",
                *([f"FORWARD -o {net.bridge} -j DOCKER"] if self.since("1.6") else []),
            ]
            yield from two if self.since("17.05") else reversed(two)

    def inside(self, net: Net) -> Iterator[str]:
        """Between containers of the network, and out of it."""
        chain, both = "DOCKER-FORWARD" if self.since("28.1.1") else "FORWARD", f"-i {net.bridge} -o {net.bridge}"
        if net.internal and self.version == "1.10":
            return
        if not net.icc:
            yield f"{chain} {both} -j DROP"
        elif net.internal or not self.since("28.0.0"):
            yield f"{chain} {both} -j ACCEPT"
        if not net.internal:
            alone = f"! -o {net.bridge} " if not net.icc or not self.since("28.0.0") else ""
            yield f"{chain} -i {net.bridge} {alone}-j ACCEPT"

    def let_in(self, p: Port) -> Iterator[str]:
        if p.net.mode == "nat-unprotected":
            return
        chain, c = "DOCKER" if self.since("1.6") else "FORWARD", p.container + HOST[self.s.family]
        what = f"-p {p.proto} -m {p.proto} --dport {p.port}"
        yield f"{chain} -d {c} ! -i {p.net.bridge} -o {p.net.bridge} {what} -j ACCEPT"
        if self.since("next") and not p.net.icc:
            yield f"{chain} -d {c} -i {p.net.bridge} -o {p.net.bridge} {what} -m conntrack ! --ctorigdst {p.container} -j ACCEPT"

    def default(self, net: Net) -> Iterator[str]:
        """28 and later: what may enter the network beside its ports."""
        six = self.s.family == 6
        if net.mode == "routed":
            yield f"DOCKER -o {net.bridge} -p {'ipv6-icmp' if six else 'icmp'} -j ACCEPT"
        elif self.since("next") and six and not net.icc:
            both = f"DOCKER -i {net.bridge} -o {net.bridge} -p ipv6-icmp -m icmp6"
            yield from (f"{both} --icmpv6-type {kind} -j ACCEPT" for kind in (135, 136))
        yield f"DOCKER ! -i {net.bridge} -o {net.bridge} -j {'ACCEPT' if net.mode == 'nat-unprotected' else 'DROP'}"

    def apart(self) -> Iterator[str]:
        """What keeps networks apart, and internal ones closed."""
        bridges = [n.bridge for n in self.open]
        chain = (
            "DOCKER-INTERNAL"
            if self.since("29.7.2")
            else "DOCKER-ISOLATION-STAGE-1"
            if self.since("18.09")
            else "DOCKER-ISOLATION"
        )
        both = self.s.family == 6 and self.since("25")
        for net in self.here:
            if net.internal:
                yield f"{chain} ! -s {net.subnet}{f' ! -i {net.bridge}' if both else ''} -o {net.bridge} -j DROP"
                yield f"{chain} ! -d {net.subnet} -i {net.bridge}{f' ! -o {net.bridge}' if both else ''} -j DROP"
        if self.version == "1.9":
            yield from (f"FORWARD -s {a.subnet} -d {b.subnet} -j DROP" for a in self.open for b in self.open if a != b)
        elif self.since("1.10") and self.up_to("17.06"):
            yield from (f"{chain} -i {a} -o {b} -j DROP" for a in bridges for b in bridges if a != b)
            yield f"{chain} -j RETURN"
        elif self.since("18.09") and self.up_to("28.5.2"):
            yield from self.stages()

    def stages(self) -> Iterator[str]:
        first, second = "DOCKER-ISOLATION-STAGE-1", "DOCKER-ISOLATION-STAGE-2"
        old = self.up_to("27.5.1")
        for net in self.open:
            if net.mode == "routed" and not old:
                yield f"{first} -i {net.bridge} {PAIR} -j ACCEPT"
                yield f"{first} -o {net.bridge} -j RETURN"
        kept = [n for n in self.s.nets if not n.internal] if old else self.open
        yield from (f"{first} -i {n.bridge} ! -o {n.bridge} -j {second}" for n in kept)
        yield from (f"{second} -o {n.bridge} -j DROP" for n in kept)
        if old:
            yield from (f"{chain} -j RETURN" for chain in (first, second))
