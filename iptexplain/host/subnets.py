"""Which interface a subnet lies behind, as far as rules say it. What no rule says is not guessed."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from iptexplain.rules.addresses import Network
from iptexplain.rules.model import Jump, Rule, Ruleset, Verdict
from iptexplain.rules.nat import NatTarget

INNER = (
    "br-",
    "docker",
    "veth",
    "virbr",
    "tun",
    "tap",
    "wg",
    "cni",
    "lxdbr",
    "podman",
    "cali",
    "flannel",
    "brq",
    "vnet",
)
"""How the names of interfaces begin that do not lead to the outside."""

UNNAMED = "unnamed-"
"""How the interfaces are called, with a number, that rules hide a subnet behind without naming them."""


class Subnet(NamedTuple):
    """A subnet, the interface that leads to it, and the lines that say so. ``bridge``: whether it is a switch, so that what
    goes from one of its machines to another does not pass the host; ``alone``: it is the only one that can be meant."""

    interface: str
    network: Network
    lines: tuple[int, ...]
    bridge: bool = False
    alone: bool = False


class Hidden(NamedTuple):
    """A subnet whose source addresses a rule rewrites. ``inside``: what stays within it is left alone, so that it is one network
    of this host; ``remark``: what the rule says of itself."""

    network: Network
    line: int
    inside: bool
    remark: str


class Subnets:
    """What the rules of one family say, those of both backends. ``rules``: those that name an interface; ``filter``: those of
    them in filter; ``nat``: all of nat."""

    def __init__(self, rulesets: Iterable[Ruleset]) -> None:
        tables = [table for ruleset in rulesets for table in ruleset.tables.values()]
        named = [(table.name, rule) for table in tables for rule in table.rules() if _names_interface(rule)]
        self.rules = [rule for _, rule in named]
        self.filter = [rule for table, rule in named if table == "filter"]
        self.nat = [rule for table in tables if table.name == "nat" for rule in table.rules()]

    def all(self) -> list[Subnet]:
        """Each subnet that rules tie to an interface, and those that they tie to none though they hide them as one network."""
        found = list(self._bridged())
        for hidden in self._hidden:
            tie = self._tie(hidden)
            if tie and not _known(tie.network, found) and tie.interface not in _names(found):
                found.append(tie)
        found += [s for s in self._both_ways() if s.interface not in _names(found) and not _known(s.network, found)]
        rest = [h for h in self._hidden if h.inside and not _known(h.network, found) and not self._candidates(h)]
        return [*found, *self._without_name(rest, found)]

    def _bridged(self) -> Iterator[Subnet]:
        """MASQUERADE or SNAT ``-s SUBNET ! -o BRIDGE``, else an internal network's drop: the forms of Docker since 1.2."""
        seen: set[str] = set()
        pairs = [(r, r.parameters.get("s"), r.parameters.get("o"), False) for r in self.nat if r.target is not None]
        pairs += [(r, r.parameters.get(a), r.parameters.get(b), True) for r in self.filter for a, b in ("so", "di")]
        for rule, network, interface, drops in pairs:
            told = network and interface and not network.value.is_host
            if told and network and interface and (network.inverted, interface.inverted) == (drops, not drops):
                if interface.value not in seen:
                    seen.add(interface.value)
                    yield Subnet(interface.value, network.value, (rule.line,), bridge=True)

    @cached_property
    def switches(self) -> frozenset[str]:
        """Interfaces that a rule compares with themselves (``-i X -o X`` or ``-i X ! -o X``): what bridges look like."""
        pairs = ((r.parameters.get("i"), r.parameters.get("o")) for r in self.rules)
        return frozenset(i.value for i, o in pairs if i and o and i.value == o.value)

    @cached_property
    def _chains(self) -> dict[str, list[Rule]]:
        """The rules of nat by chain."""
        found: dict[str, list[Rule]] = {}
        for rule in self.nat:
            found.setdefault(rule.chain, []).append(rule)
        return found

    @cached_property
    def _hidden(self) -> list[Hidden]:
        found: dict[Network, Hidden] = {}
        for rule in self.nat:
            s, d = rule.parameters.get("s"), rule.parameters.get("d")
            if isinstance(rule.target, Jump) and s and not s.inverted:
                network = self._hidden_by(rule.target.chain, s.value)
                hidden = Hidden(network, rule.line, True, "") if network else None
            elif isinstance(rule.target, NatTarget) and rule.target.manip == "src" and s and not s.inverted:
                inside = d is not None and d.inverted and d.value == s.value
                hidden = Hidden(s.value, rule.line, inside, _remark(rule))
            else:
                continue
            if hidden and not hidden.network.is_host and hidden.network.prefix:
                found.setdefault(hidden.network, hidden)
                if hidden.inside and not found[hidden.network].inside:
                    found[hidden.network] = hidden
        return list(found.values())

    def _hidden_by(self, chain: str, source: Network) -> Network | None:
        """The subnet that a chain leaves alone (``-d SUBNET -j ACCEPT``) and hides the rest from: netavark's and CNI's form."""
        rules = self._chains.get(chain, [])
        hides = any(isinstance(r.target, NatTarget) and r.target.manip == "src" for r in rules)
        first = rules[0].parameters.get("d") if hides and isinstance(rules[0].target, Verdict) else None
        wide = first.value if first and not first.inverted else None
        return wide if wide and source.lies_in(wide) else None

    def _tie(self, hidden: Hidden) -> Subnet | None:
        """The one interface that rules name with the subnet, with an address in it or with the same remark."""
        candidates = self._candidates(hidden)
        if len(candidates) != 1:
            return None
        [(interface, line)] = candidates.items()
        bridge = interface in self.switches or bool(hidden.remark)
        return Subnet(interface, hidden.network, tuple(sorted({hidden.line, line})), bridge)

    def _candidates(self, hidden: Hidden) -> dict[str, int]:
        """Interface → the first line that names it."""
        found: dict[str, int] = {}
        for network, interface, line, _ in self._accepted:
            inside = network.is_host and interface in self.switches and network.lies_in(hidden.network)
            if network == hidden.network or inside:
                found.setdefault(interface, line)
        for rule in self.filter if hidden.remark and not found else ():
            for s in (rule.parameters.get("i"), rule.parameters.get("o")):
                if s and not s.inverted and _remark(rule) == hidden.remark:
                    found.setdefault(s.value, rule.line)
        return found

    @cached_property
    def _accepted(self) -> list[tuple[Network, str, int, str]]:
        """``-s SUBNET -i INTERFACE`` and ``-d SUBNET -o INTERFACE``, of rules that let packets pass: with the line, and ``s`` or ``d``."""
        found = []
        for rule in self.filter:
            passes = isinstance(rule.target, Verdict) and rule.target.word == "ACCEPT"
            for a, b in ("si", "do") if passes else ():
                network, interface = rule.parameters.get(a), rule.parameters.get(b)
                if (
                    network
                    and interface
                    and not network.inverted
                    and not interface.inverted
                    and interface.value[-1] != "+"
                ):
                    found.append((network.value, interface.value, rule.line, a))
        return found

    def _both_ways(self) -> Iterator[Subnet]:
        """A subnet that is not hidden, but goes in and out by one bridge: libvirt's routed networks."""
        said: dict[tuple[Network, str], dict[str, int]] = {}
        for network, interface, line, way in self._accepted:
            if not network.is_host and interface in self.switches:
                said.setdefault((network, interface), {}).setdefault(way, line)
        for (network, interface), ways in said.items():
            if len(ways) == 2 and [n for n, i in said if i == interface] == [network]:
                yield Subnet(interface, network, tuple(sorted(ways.values())), bridge=True)

    def _without_name(self, rest: list[Hidden], found: list[Subnet]) -> list[Subnet]:
        """One bridge that lets out what comes in (``-i X ! -o X``) and has no subnet, and one subnet without an interface, belong
        together: Docker up to 1.1."""
        free = {name: line for name, line in self._letting_out() if name not in _names(found)}
        if len(rest) == len(free) == 1:
            [hidden], [(name, line)] = rest, free.items()
            return [Subnet(name, hidden.network, (hidden.line, line), bridge=True, alone=True)]
        own = _names(found)
        known = own | {self.outside(own), "lo"}
        if any(name not in known for name in self.named):
            return []  # it may be one of those
        return [Subnet(f"{UNNAMED}{n}", h.network, (h.line,)) for n, h in enumerate(rest, 1)]

    @cached_property
    def named(self) -> list[str]:
        """The interfaces that rules name, first those behind which they hide addresses: that way lies the outside."""
        rules = sorted(self.rules, key=lambda r: not _hides(r))
        pairs = (s for r in rules for s in (r.parameters.get("o"), r.parameters.get("i")))
        return list(dict.fromkeys(s.value for s in pairs if s and not s.value.endswith("+")))

    def outside(self, inside: Container[str]) -> str | None:
        """The interface to the outside, as far as rules name it: the first that is not ``inside`` and has no name of an inner one."""
        return next((n for n in self.named if n not in inside and not n.startswith(INNER) and n != "lo"), None)

    def _letting_out(self) -> Iterator[tuple[str, int]]:
        for rule in self.filter:
            i, o = rule.parameters.get("i"), rule.parameters.get("o")
            passes = isinstance(rule.target, Verdict) and rule.target.word == "ACCEPT"
            if passes and i and o and i.value == o.value and o.inverted and not i.inverted:
                yield i.value, rule.line


def _names_interface(rule: Rule) -> bool:
    return any(s.option.key in ("i", "o") for s in rule.parameters.settings)


def _hides(rule: Rule) -> bool:
    """Whether a rule gives what leaves by an interface the host's own address."""
    o, target = rule.parameters.get("o"), rule.target
    return isinstance(target, NatTarget) and target.manip == "src" and o is not None and not o.inverted


def _remark(rule: Rule) -> str:
    return " ".join(str(m.value("comment")) for m in rule.matches if m.name == "comment")


def _names(found: Iterable[Subnet]) -> set[str]:
    return {s.interface for s in found}


def _known(network: Network, found: Iterable[Subnet]) -> bool:
    return any(s.network.overlaps(network) for s in found)
