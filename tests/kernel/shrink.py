"""Asks the kernel and the trace, and makes a case that they answer differently as small as it can be.

Everything that the difference does not need is taken out, one thing after the other; the kernel is asked again each time.
"""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from tests.kernel.compare import compared
from tests.kernel.lab import LabError
from tests.kernel.lab.laboratory import DUMPS, Backend, run_case

T = TypeVar("T")
Case = dict[str, Any]


def asked(case: Case, backend: Backend) -> Case:
    """The case with the kernel's answers and the host's facts; raises LabError."""
    results, facts = run_case(case, backend)
    return case | {"results": results, "facts": facts}


FAILS = "the trace fails: "


def wrong(answered: Case) -> dict[int, list[str]]:
    """How kernel and trace differ, by the number of the packet. A trace that fails is a difference of the last packet."""
    try:
        found = compared(answered)
    except Exception as e:
        where = traceback.extract_tb(e.__traceback__)[-1]
        said = f"{FAILS}{type(e).__name__}: {e} ({where.filename}:{where.lineno})"
        return {len(answered["packets"]) - 1: [said]}
    return {one.number: [str(d) for d in one.differences] for one in found if one.differences}


def repeats(answered: Case, backend: Backend) -> set[int]:
    """The packets that the kernel answers in the same way when it is asked again."""
    again = asked(answered, backend)["results"]
    return {n for n, results in enumerate(zip(answered["results"], again, strict=True)) if _same(*results)}


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Which address or port NAT takes of those that it may is no matter here: the trace has to name them all."""
    whole = [{key: r.get(key) for key in ("skipped", "ctstate", "ctdir", "steps")} for r in (one, other)]
    ends = [[answer.get("outcome", {}) for answer in (r, *r.get("replies", []))] for r in (one, other)]
    kinds = [[(outcome.get("kind"), outcome.get("iface"), outcome.get("to")) for outcome in each] for each in ends]
    return whole[0] == whole[1] and kinds[0] == kinds[1]


def _kind(differences: list[str]) -> set[str]:
    """What a packet's differences are about. The smaller case has to differ in the same, or it may have another cause; but
    where the answers' ends differ, too, which rule was the first to show it depends on the rules that are left."""
    abouts = {re.sub(r"\d+ ?", "", text.partition(":")[0]).strip() for text in differences}
    return abouts - {"step"} or abouts


def shrunk(case: Case, backend: Backend, number: int, differences: list[str]) -> Case:
    """A smaller case that kernel and trace answer differently, as they do the packet ``number`` of ``case``."""
    kind = _kind(differences)

    def differs(smaller: Case) -> bool:
        try:
            return any(_kind(found) == kind for found in wrong(asked(smaller, backend)).values())
        except LabError:
            return False

    case = _packets(case, differs, number)
    for reduce in (_tables, _rules, _chains, _set_lines, _interfaces, _host_lists, _sysctls, _fields):
        case = reduce(case, differs)
    return case


def minimal(items: list[T], keeps: Callable[[list[T]], bool]) -> list[T]:
    """The items that are needed: halves are left out first, then single ones."""
    size = (len(items) + 1) // 2
    while size:
        at = 0
        while at < len(items):
            fewer = items[:at] + items[at + size :]
            if keeps(fewer):
                items = fewer
            else:
                at += size
        size //= 2
    return items


Differs = Callable[[Case], bool]


def _packets(case: Case, differs: Differs, number: int) -> Case:
    """The packet, and of those before it the ones that it follows or whose traces in conntrack it needs."""
    start = max(n for n in range(number + 1) if "after" not in case["packets"][n])
    flow = _only(case, list(range(start, number + 1)))
    case = flow if differs(flow) else case
    every = list(range(len(case["packets"])))
    return _only(case, minimal(every, lambda kept: _is_whole(case, kept) and differs(_only(case, kept))))


def _is_whole(case: Case, kept: list[int]) -> bool:
    return bool(kept) and all(case["packets"][n].get("after", n) in kept for n in kept)


def _only(case: Case, kept: list[int]) -> Case:
    places = {old: new for new, old in enumerate(kept)}
    packets = [dict(case["packets"][n]) for n in kept]
    for packet in packets:
        if "after" in packet:
            packet["after"] = places[packet["after"]]
    return case | {"packets": packets}


def _tables(case: Case, differs: Differs) -> Case:
    for key in DUMPS.values():
        if key in case:
            header, tables = _split(case[key])
            case = _without_tables(case, differs, key, header, tables)
    return case


def _split(dump: str) -> tuple[str, list[str]]:
    """The first comment, which names the backend, and the tables."""
    lines = dump.splitlines(True)
    header = lines[0] if lines[0].startswith("#") else ""
    bare = "".join(line for line in lines if not line.startswith("#"))
    return header, [f"{table}COMMIT\n" for table in bare.split("COMMIT\n")[:-1]]


def _without_tables(case: Case, differs: Differs, key: str, header: str, tables: list[str]) -> Case:
    needed = minimal(tables, lambda kept: bool(kept) and differs(case | {key: header + "".join(kept)}))
    return case | {key: header + "".join(needed)}


def _lines(case: Case, differs: Differs, key: str, chosen: Callable[[str], bool]) -> Case:
    """The case without the lines of a text that may go and are not needed."""
    if key not in case:
        return case
    lines = case[key].splitlines(True)

    def with_lines(kept: list[int]) -> Case:
        return case | {key: "".join(line for n, line in enumerate(lines) if n in kept or not chosen(line))}

    return with_lines(
        minimal([n for n, line in enumerate(lines) if chosen(line)], lambda kept: differs(with_lines(kept)))
    )


def _rules(case: Case, differs: Differs) -> Case:
    for key in DUMPS.values():
        case = _lines(case, differs, key, lambda line: "-A " in line)
    return case


def _chains(case: Case, differs: Differs) -> Case:
    for key in DUMPS.values():
        case = _lines(case, differs, key, lambda line: line.startswith(":") and " - " in line)
    return case


def _set_lines(case: Case, differs: Differs) -> Case:
    return _lines(case, differs, "ipset", bool)


MEMBERS = ("peers", "containers", "addresses")


def _interfaces(case: Case, differs: Differs) -> Case:
    """Interfaces, their addresses, and the machines behind them; not those that a packet names."""
    named = {packet.get(key) for packet in case["packets"] for key in ("from", "src", "dst")}

    def free(interface: Case) -> bool:
        members = [one for key in MEMBERS for one in interface.get(key, [])]
        return interface["name"] != "lo" and not any(named & _names(one) for one in members)

    case = _list(case, differs, ("host", "interfaces"), free)
    for number, interface in enumerate(case["host"]["interfaces"]):
        for key in MEMBERS:
            if key in interface:
                case = _list(case, differs, ("host", "interfaces", number, key), lambda one: not named & _names(one))
    return case


def _names(one: str | Case) -> set[str]:
    """What packets call a machine, or an address with its prefix length."""
    return {one.partition("/")[0]} if isinstance(one, str) else {one["name"]}


def _host_lists(case: Case, differs: Differs) -> Case:
    for key in ("routes", "ip_batch"):
        if key in case["host"]:
            case = _list(case, differs, ("host", key), lambda _: True)
    return case


def _list(case: Case, differs: Differs, path: tuple[str | int, ...], free: Callable[[Any], bool]) -> Case:
    """The case without the members of a list that may go and are not needed."""
    members = _at(case, path)
    movable = [n for n, member in enumerate(members) if free(member)]

    def with_members(kept: list[int]) -> Case:
        return _put(case, path, [m for n, m in enumerate(members) if n in kept or n not in movable])

    return with_members(minimal(movable, lambda kept: differs(with_members(kept))))


def _at(case: Case, path: tuple[str | int, ...]) -> Any:
    found: Any = case
    for key in path:
        found = found[key]
    return found


def _put(case: Case, path: tuple[str | int, ...], value: Any) -> Case:
    copied: Case = json.loads(json.dumps(case))
    _at(copied, path[:-1])[path[-1]] = value
    return copied


def _sysctls(case: Case, differs: Differs) -> Case:
    settings = list(case["host"].get("sysctls", {}).items())
    needed = minimal(settings, lambda kept: differs(_put(case, ("host", "sysctls"), dict(kept))))
    return _put(case, ("host", "sysctls"), dict(needed))


OPTIONAL = ("ttl", "tos", "payload_len", "icmp_id", "flags", "tcp_options")


def _fields(case: Case, differs: Differs) -> Case:
    for number, field in _optional(case):
        packet = {k: v for k, v in case["packets"][number].items() if k != field}
        smaller = _put(case, ("packets", number), packet)
        case = smaller if differs(smaller) else case
    return case


def _optional(case: Case) -> Iterator[tuple[int, str]]:
    for number, packet in enumerate(case["packets"]):
        yield from ((number, field) for field in OPTIONAL if field in packet and "after" not in packet)
