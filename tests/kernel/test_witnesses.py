"""The examples of ``diff`` and ``reach`` are sent through the rules in the kernel: they must fare as the answer says.

Random rulesets, for ``diff`` with one random change; ``--kernel-seed S`` chooses them, as for the trace (test_random.py).
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface
from typing import Any

import pytest

from iptexplain.explain.difference import compare
from iptexplain.explain.reach import Asked
from iptexplain.explain.situation import Situation
from iptexplain.host.snapshot import Snapshot, read_snapshot
from iptexplain.rules.parse import parse
from iptexplain.rules.save import save_ruleset
from tests.kernel.compare import ARRIVED, ENDS, snapshot_of
from tests.kernel.generate.styles import TURNS, cases
from tests.kernel.lab.laboratory import DUMPS, Backend, Laboratory, run_case
from tests.kernel.test_random import base_seed
from tests.test_sets_difference import mutated

Case = dict[str, Any]
Json = dict[str, Any]

SENT = ("src", "dst", "proto", "sport", "dport", "flags", "icmp_type", "icmp_code", "icmp_id", "ttl", "tos")
"""What an example has that the laboratory can put into a packet."""
IMPLIED = {"ctstate": "NEW", "fragment": False, "mark": 0, "connmark": 0}
"""What the first packet of a connection has without anybody's doing; an example with something else is not sent."""
UNSENT = (*(f"{first}." for first in range(224, 240)), "ff", "0.", "::")
"""Destinations: which groups a host has joined no snapshot tells, as the answers say; and to nobody's address and to ::1 no socket
sends what the laboratory would."""
FATES = {"rejected": "rejected"} | dict.fromkeys(ARRIVED, "accepted")
"""How a packet ended in the kernel → its fate in an answer; all others are dropped."""
EACH = 16
"""Examples of one case that are sent."""
CASES = 24


def packet_of(case: Case, example: Json) -> Json | None:
    """An example as the laboratory sends it; None where it cannot."""
    own = {name: value for name, value in example.items() if name in SENT}
    rest = {name: value for name, value in example.items() if name not in (*SENT, "iif", "physin")}
    if any(IMPLIED.get(name) != value for name, value in rest.items()) or own["dst"].startswith(UNSENT):
        return None
    networks = [ip_interface(a).network for i in case["host"]["interfaces"] for a in i.get("addresses", [])]
    if ip_address(own["dst"]) in [n.broadcast_address for n in networks if n.version == 4]:
        return None  # the laboratory sends no frames to all
    if not example["iif"]:
        # A program's socket with loopback's address finds no way to elsewhere; the laboratory's raw one would.
        return None if own["src"].startswith("127.") else {"from": "host", **own}
    interface = next((i for i in case["host"]["interfaces"] if i["name"] == example["iif"]), {})
    ends = [*interface.get("peers", []), *interface.get("containers", [])]
    ends = [end for end in ends if example.get("physin") in (None, end.get("port"))]
    sender = next((end for end in ends if own["src"] in end["addresses"]), ends[0] if ends else None)
    return {"from": sender["name"], **own} if sender else None


def sent(case: Case, regions: list[Json]) -> Iterator[tuple[Json, Json]]:
    """(region, the packet that stands for it) for what can be sent and is decided."""
    for region in regions:
        packet = packet_of(case, region["witness"])
        if packet and "unknown" not in (region.get("fate"), region.get("was"), region.get("now")):
            yield region, packet


def is_new(*results: Json) -> bool:
    """Whether conntrack took the packet for the first of a connection, as the example says; raw may drop it before."""
    return all("skipped" not in one and one.get("ctstate", "NEW") == "NEW" for one in results)


def wrong(result: Json, fate: str, by: Json | None) -> str | None:
    """What the kernel did otherwise than a region says."""
    outcome = result["outcome"]
    if FATES.get(outcome["kind"], "dropped") != fate:
        return f"it is {outcome['kind']}, not {fate}"
    if outcome.get("by", {}).get("kernel") == "NETFILTER_DROP":
        return None  # by the rule that drew the target, which legacy does not name
    by = by or {}
    rule = {key: by.get(key) for key in ("table", "chain", "rule")}
    found = [outcome["by"]] if "by" in outcome else result["steps"]
    told = [{key: step[key] for key in rule} for step in found if "table" in step]
    if ("table" in by or (fate != "accepted" and told)) and rule not in told:
        return f"it is {fate} by {told}, not by {by}"
    return None


# -- diff


def changed(case: Case, rng: random.Random) -> Case:
    """The case with one thing changed in the rules of one family, where that can be."""
    family = rng.choice([family for family, key in DUMPS.items() if case.get(key)])
    old = parse(case[DUMPS[family]], "old").rulesets[0]
    new = mutated(rng, case[DUMPS[family]], old)
    return case | {DUMPS[family]: "\n".join(save_ruleset(new)) + "\n"} if new else case


def snapshots(backend: Backend, *cases: Case) -> list[Snapshot]:
    with Laboratory(cases[0], backend) as laboratory:
        facts = laboratory.topology.facts()
    return [read_snapshot(json.dumps(snapshot_of(one | {"facts": facts})), "dump") for one in cases]


def differs(kind: str, was: Json, now: Json) -> bool:
    """Whether the kernel's two answers differ as a region of ``diff`` says."""
    looks = [
        (o["kind"], o.get("iface"), o.get("with"), [o.get("tuple", {}).get(name) for name in ENDS])
        for o in (was["outcome"], now["outcome"])
    ]
    return kind == "decider" or looks[0] != looks[1]


def seeds(request: pytest.FixtureRequest, number: int) -> tuple[int, random.Random]:
    seed = base_seed(request.config.getoption("--kernel-seed")) + 500_000 + number
    return seed, random.Random(seed)


@pytest.mark.parametrize("number", range(CASES))
def test_examples_of_diff_fare_differently_in_the_kernel(number: int, request: pytest.FixtureRequest) -> None:
    seed, rng = seeds(request, number)
    for backend, case in cases(TURNS[seed % len(TURNS)], seed).items():
        new = changed(case, rng)
        regions = [region for one in compare(*snapshots(backend, case, new), ("old", "new")) for region in one.json()]
        found = list(sent(case, rng.sample(regions, min(EACH, len(regions)))))
        packets = [packet for _, packet in found]
        answers = [run_case(one | {"packets": packets}, backend)[0] for one in (case, new)]
        for (region, packet), was, now in zip(found, *answers, strict=True):
            if is_new(was, now):
                said = f"seed {seed}, {backend}: {region['kind']}: {packet}"
                assert wrong(was, region["was"], region["was_by"]) is None, (said, "old")
                assert wrong(now, region["now"], region["now_by"]) is None, (said, "new")
                assert differs(region["kind"], was, now), (said, was, now)


# -- reach


def regions_of(case: Case, backend: Backend, rng: random.Random) -> list[Json]:
    """What the answers say to one sender and one receiver of each family."""
    found = []
    for snapshot in snapshots(backend, case):
        for dump in snapshot.dumps:
            situation = Situation(snapshot, dump.rulesets[0].family)
            places = [*(e.name for e in situation.topology.endpoints if e.addresses), "host"]
            for source, target in ((None, rng.choice(places)), (rng.choice(places), None)):
                found += Asked(situation, source, target).json()["regions"]
    return found


@pytest.mark.parametrize("number", range(CASES))
def test_examples_of_reach_fare_as_it_says_in_the_kernel(number: int, request: pytest.FixtureRequest) -> None:
    seed, rng = seeds(request, number)
    for backend, case in cases(TURNS[seed % len(TURNS)], seed).items():
        regions = regions_of(case, backend, rng)
        found = list(sent(case, rng.sample(regions, min(EACH, len(regions)))))
        results = run_case(case | {"packets": [packet for _, packet in found]}, backend)[0]
        for (region, packet), result in zip(found, results, strict=True):
            if is_new(result):
                said = f"seed {seed}, {backend}: {packet}"
                assert wrong(result, region["fate"], region["by"]) is None, said
