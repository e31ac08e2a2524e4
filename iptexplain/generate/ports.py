"""Rules that differ in nothing but a port, as one rule with ``-m multiport``."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from itertools import groupby

from iptexplain.generate.draft import Entry
from iptexplain.generate.reason import Reason
from iptexplain.rules.extension import Setting, Target
from iptexplain.rules.matches.multiport import Multiport
from iptexplain.rules.model import Rule, Verdict
from iptexplain.rules.nat import NatRange
from iptexplain.rules.targets.dnat import Dnat
from iptexplain.rules.values import Family, PortList, Range

MOST = 15
"""How many ports one multiport holds; a range counts as two (XT_MULTI_PORTS in xt_multiport.h)."""


def group_ports(entries: Sequence[Entry], family: Family) -> list[Entry]:
    """The rules with those made one that may be: of neighbours with the same verdict the order does not matter, of
    others only those that stand directly beside each other are taken together."""
    found: list[Entry] = []
    for verdict, run in groupby(entries, _commuting):
        some = list(run)
        keys = list(dict.fromkeys(map(_key, some))) if verdict else [k for k, _ in groupby(some, _key)]
        groups = (
            [[e for e in some if _key(e) == k] for k in keys] if verdict else [list(g) for _, g in groupby(some, _key)]
        )
        for group in groups:
            found += _grouped(group, family) if _key(group[0]) is not None and len(group) > 1 else group
    return found


def _commuting(entry: Entry) -> str | None:
    target = entry.rule.target
    return target.word if entry.own and isinstance(target, Verdict) and _key(entry) is not None else None


def _key(entry: Entry) -> Hashable:
    """All of a rule but its port; None: it is not about one port of a container."""
    rule = entry.rule
    ports = _ports(rule)
    target = _without_port(rule, ports) if ports else None
    if ports is None or target is None or not entry.own:
        return None
    others = tuple(m for m in rule.matches if m.name != rule.parameters.protocol)
    return (rule.parameters, others, target)


def _ports(rule: Rule) -> Range | None:
    """The one port (or range) that a rule asks for."""
    mine = [m for m in rule.matches if m.name == rule.parameters.protocol]
    if len(mine) != 1 or [s.option.key for s in mine[0].settings] != ["dport"] or mine[0].settings[0].inverted:
        return None
    low, high = mine[0].settings[0].value
    return Range(low, high)


def _without_port(rule: Rule, ports: Range) -> Target | None:
    """The target; of a DNAT that keeps the port, one that names no port: it does the same for all ports."""
    target = rule.target
    if isinstance(target, Dnat):
        to: NatRange = target.value("to_destination")
        if to.ports != ports or ports.low != ports.high or to.base is not None or len(target.settings) > 1:
            return None
        return Dnat((target.settings[0]._replace(value=NatRange(to.first, to.last)),))
    return target


def _grouped(entries: Sequence[Entry], family: Family) -> Iterator[Entry]:
    ports = sorted({p for e in entries if (p := _ports(e.rule))})
    first = entries[0]
    for some in _portions(_runs(ports)):
        text = ",".join(f"{low}:{high}" if high > low else str(low) for low, high in some)
        multiport = Multiport((Setting(Multiport.option("dports"), PortList().parse(text, family)),))
        whole = first.rule.parameters.protocol
        matches = tuple(multiport if m.name == whole else m for m in first.rule.matches)
        target = _without_port(first.rule, _ports(first.rule) or ports[0])
        values = {
            **first.reason.values,
            "port": text,
            "host_port": text if first.reason.values.get("host_port") else None,
        }
        if isinstance(target, Dnat):
            values["port"] = None
        name = {"dnat": "dnat-ports"}.get(first.reason.name, first.reason.name)
        reason = Reason(name, values, first.reason.recogniser if name == first.reason.name else None)
        yield first._replace(rule=first.rule._replace(matches=matches, target=target), reason=reason)


def _runs(ports: Sequence[Range]) -> list[Range]:
    """Ports that follow each other as one range."""
    found: list[Range] = []
    for port in ports:
        if found and port.low <= found[-1].high + 1:
            found[-1] = Range(found[-1].low, max(found[-1].high, port.high))
        else:
            found.append(port)
    return found


def _portions(ports: Sequence[Range]) -> Iterator[list[Range]]:
    portion: list[Range] = []
    room = MOST
    for port in ports:
        size = 1 if port.low == port.high else 2
        if size > room:
            yield portion
            portion, room = [], MOST
        portion.append(port)
        room -= size
    yield portion
