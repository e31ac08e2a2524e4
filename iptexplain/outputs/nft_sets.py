"""IP sets in the language of nftables: the named sets of a table, and the words by which its rules ask and fill them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

from iptexplain.explain.words import said
from iptexplain.host.ipsets import ANY_PORT, PORTS, IpSet, IpSets
from iptexplain.outputs.nft_elements import DIMENSIONS, apart, check, is_range, spelled, stays
from iptexplain.rules.extension import Extension, Match
from iptexplain.rules.matches.set import SetLookup
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import EXPRESSION, names_for, no_form, spelled_set
from iptexplain.rules.targets.set import SetTarget
from iptexplain.rules.values import Family

ADDRESS = {4: "ipv4_addr", 6: "ipv6_addr"}
NOBODY = {4: "0.0.0.0", 6: "::"}
"""The address that hash:ip never holds (hash_ip4_kadt, hash_ip6_kadt)."""
FRAGMENT = {4: "ip frag-off & 0x1fff != 0", 6: "frag frag-off != 0"}
"""A fragment after the first, which has no ports: it is in no set of ports, and nft asks no further where there are none."""

FILLED = ("hash:ip", "hash:ip,port", "hash:ip,port,ip", "hash:ip,mark", "hash:mac", "hash:ip,mac")
"""The types to which a packet adds exactly itself: no network and no place in a range."""
UNLIKE = ("netmask", "bitmask", "forceadd")
"""Options that make a set another one where packets are added."""


class NamedSet(NamedTuple):
    """A set of a table. ``called``: its name in ipset, where it has another here; ``lines``: its type and flags."""

    name: str
    called: str | None
    lines: list[str]
    elements: list[str]


def mentioned(rules: Iterable[Rule], sets: IpSets) -> tuple[set[str], set[str]]:
    """The names of the sets that rules ask or fill, those in lists of sets too; and those that they fill."""
    named: set[str] = set()
    filled: set[str] = set()
    for rule in rules:
        named |= {s.value.name for m in rule.matches if m.name == "set" for s in _lookups(m)}
        if isinstance(rule.target, SetTarget):
            filled |= {s.value.name for s in _lookups(rule.target)}
    inner = {
        e.parts[0] for n in named if n in sets.sets and sets.sets[n].kind == "list:set" for e in sets.sets[n].elements
    }
    return named | filled | inner, filled


def _lookups(extension: Extension) -> Iterator[Any]:
    return (s for s in extension.settings if isinstance(s.value, SetLookup))


class TableSets:
    """The sets of one table. ``rules``: all that it has; ``shared``: the sets that are filled and that other tables name as well."""

    def __init__(self, sets: IpSets, family: Family, rules: Iterable[Rule], shared: frozenset[str]) -> None:
        self.sets, self.family, self.shared = sets, family, shared
        _, self._filled = mentioned(rules, sets)
        self._names: dict[str, str] = {}
        self._used: dict[str, NamedSet] = {}

    def declared(self) -> list[NamedSet]:
        """The sets that were asked for up to now."""
        return [*self._used.values()]

    # -- rules that ask

    def asked(self, match: Match, rule: Rule) -> list[str]:
        """``-m set`` as alternatives that exclude each other; raises OptionError where nft has no form of it."""
        lookup, others = match.settings[0], match.settings[1:]
        excepted = match.get("return_nomatch") is not None
        for setting in others:
            if setting.option.key not in ("return_nomatch", "update_subcounters"):
                raise no_form(f"-m set {'! ' * setting.inverted}{setting.option.name}")
        found = self._known(lookup.value)
        one = self._one_of if found.kind == "list:set" else self._alone
        alternatives = one(found, lookup.value.sides, lookup.inverted, excepted, rule.parameters.protocol)
        if not alternatives:
            raise no_form(f"-m set {'! ' * lookup.inverted}--match-set {_told(lookup.value)}, which no packet meets")
        return alternatives

    def _one_of(
        self, found: IpSet, sides: Sequence[str], inverted: bool, excepted: bool, protocol: str | None
    ) -> list[str]:
        """A list of sets: in one of them, and not in those before it; or in none of them."""
        if excepted or any(e.timeout for e in found.elements):
            raise no_form(f"the list of sets {said(found.name)} with --return-nomatch, or with sets that leave it")
        inner = [self._known(SetLookup(e.parts[0], tuple(sides))) for e in found.elements]
        inner.sort(key=lambda one: "mac" in one.dimensions)  # the last one is never asked whether it fails
        out = [self._alone(one, sides, True, False, protocol) for one in (inner if inverted else inner[:-1])]
        ways = [out] if inverted else [
            [*out[:n], self._alone(one, sides, False, False, protocol)] for n, one in enumerate(inner)
        ]  # fmt: skip
        return [" ".join(filter(None, each)) for way in ways for each in product(*way)]

    def _alone(
        self, found: IpSet, sides: Sequence[str], inverted: bool, excepted: bool, protocol: str | None
    ) -> list[str]:
        """A set that holds no sets; no alternative where no packet can be meant, an empty one where each is."""
        if len(sides) < len(found.dimensions) or found.family not in (None, self.family):
            return [""] * inverted
        name = self._declare(found, excepted and "net" in found.dimensions)
        key = " . ".join(f for _, f in self._fields(found, sides))
        ports = ANY_PORT if found.kind == "bitmap:port" else PORTS
        has_ports = f"meta l4proto {spelled_set([*ports])} " if protocol not in ports else ""
        if not inverted:
            return [f"{has_ports if found.kind == 'bitmap:port' else ''}{key} @{name}"]
        if "mac" in found.dimensions:
            raise no_form(f"-m set ! --match-set {said(found.name)}: its MAC addresses, which not every packet has")
        if "port" not in found.dimensions:
            return [f"{key} != @{name}"]
        without = [f"meta l4proto != {spelled_set([*ports])}"] if has_ports else []
        return [*without, has_ports + FRAGMENT[self.family], f"{has_ports}{key} != @{name}"]

    def _fields(self, found: IpSet, sides: Sequence[str]) -> list[tuple[str, str]]:
        """(type, field of the packet) of each part of an entry."""
        fields: list[tuple[str, str]] = []
        for dimension, side in zip(found.dimensions, sides, strict=False):
            values = {"ip": EXPRESSION[self.family], "address": ADDRESS[self.family], "end": side[0]}
            values["way"] = "i" if side == "src" else "o"
            known = DIMENSIONS[dimension][1:] if found.kind == "bitmap:port" else DIMENSIONS[dimension]
            fields += [(kind.format(**values), field.format(**values)) for kind, field in known]
        return fields

    # -- rules that fill

    def changed(self, target: SetTarget, rule: Rule) -> str:
        """``-j SET`` as the statement of nft; raises OptionError where there is none."""
        option, *more = _lookups(target)
        if more or option.option.key == "map_set":
            raise no_form(f"-j SET with {' and '.join(s.option.name for s in (option, *more))}")
        lookup, what = option.value, f"-j SET {option.option.name} {_told(option.value)}"
        found = self._known(lookup)
        unlike = [o for o in UNLIKE if o in found.options]
        if found.kind not in FILLED or unlike:
            raise no_form(f"{what}: the set is a {found.kind}{' with ' * bool(unlike)}{' and '.join(unlike)}")
        if len(lookup.sides) < len(found.dimensions) or found.family not in (None, self.family):
            raise no_form(f"{what}, which changes nothing")
        if "port" in found.dimensions and rule.parameters.protocol not in PORTS:
            raise no_form(f"{what} for packets without ports: the rule has to say -p tcp, udp, udplite or sctp")
        name = self._declare(found, False)
        key = " . ".join(f for _, f in self._fields(found, lookup.sides))
        guard = f"{key} != {NOBODY[self.family]} " if found.kind == "hash:ip" else ""
        if option.option.key == "del_set":
            return f"{guard}delete @{name} {{ {key} }}"
        seconds = target.value("timeout")
        verb = "update" if target.get("exist") else "add"
        return f"{guard}{verb} @{name} {{ {key}{stays(found, seconds)} }}"

    # -- what a set holds

    def _known(self, lookup: SetLookup) -> IpSet:
        found = self.sets.sets.get(lookup.name)
        if found is None:
            raise no_form(
                f"the set {said(lookup.name)}: what is in it is not known here; a snapshot ('iptexplain capture') lists it"
            )
        if lookup.name in self.shared:
            raise no_form(
                f"the set {said(lookup.name)}, which rules fill and which several tables ask: a set of nft is of one table"
            )
        return found

    def _declare(self, found: IpSet, excepted: bool) -> str:
        """The set's name in this table; ``excepted``: the one with its exceptions instead."""
        called = f"{found.name}-nomatch" if excepted else found.name
        if called not in self._used:
            self._names = names_for([*self._names, called])
            name = self._names[called]
            lines, elements = self._body(found, excepted)
            about = f"the exceptions of {found.name}" if excepted else found.name
            self._used[called] = NamedSet(name, said(about) if name != about else None, lines, elements)
        return self._used[called].name

    def _body(self, found: IpSet, excepted: bool) -> tuple[list[str], list[str]]:
        check(found)
        filled = found.name in self._filled
        rows = apart(found, excepted)
        elements = [spelled(found, parts) + stays(found, seconds) for parts, seconds in rows]
        flags = ["interval"] * any(is_range(part) for parts, _ in rows for part in parts)
        if filled and flags:
            raise no_form(f"the set {said(found.name)}, which rules fill and which has ranges")
        flags += ["dynamic"] * filled + ["timeout"] * ("timeout" in found.options)
        kinds = " . ".join(kind for kind, _ in self._fields(found, ("src",) * len(found.dimensions)))
        lines = [f"type {kinds}", *([f"flags {','.join(flags)}"] if flags else [])]
        lines += [f"size {found.options.get('maxelem') or 65536}"] * filled + ["counter"] * (
            "counters" in found.options
        )
        return lines, elements


def _told(lookup: SetLookup) -> str:
    return f"{said(lookup.name)} {','.join(lookup.sides)}"
