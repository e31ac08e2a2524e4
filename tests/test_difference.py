"""diff and check: what is said of pairs of rulesets, and that every example that is given ends as the answer says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from iptexplain.explain.difference import Compared, compare
from iptexplain.host.snapshot import read_snapshot
from iptexplain.sets.difference import EVERYTHING, Scope
from iptexplain.sets.ways import UNDECIDED, End
from iptexplain.walk.outcome import Outcome
from iptexplain.walk.packet import Packet
from iptexplain.walk.trace import trace
from tests.conftest import Golden

FIXTURES = Path(__file__).parent.parent / "fixtures"
CASES = sorted(path.parent for path in FIXTURES.glob("differences/*/old.v4"))
EQUAL = {"renamed-chains", "reordered", "regrouped-ports", "limit-moved"}


def run(*arguments: Any, status: int = 1) -> str:
    result = CliRunner().invoke(program, [str(a) for a in arguments])
    assert result.exit_code == status, result.output
    return result.stdout


def compared(old: Path, new: Path, scope: Scope = EVERYTHING) -> list[Compared]:
    snapshots = [read_snapshot(file.read_text(), file.name) for file in (old, new)]
    return compare(snapshots[0], snapshots[1], ("OLD", "NEW"), scope)


def confirm(found: list[Compared]) -> None:
    """Trace the example of every flow through both rulesets."""
    for one in found:
        for flow in one.flows:
            for ruleset, ends in zip(one.comparison.rulesets, (flow.region.was, flow.region.now), strict=True):
                way = trace(ruleset, one.topology, Packet(dict(flow.example)))
                if any(end.way == UNDECIDED for end in ends):
                    assert flow.kind == "unknown"
                    continue
                outcomes = way.outcome.branches or (way.outcome,)
                assert {ended(o) for o in outcomes} == {(e.way, e.interface) for e in ends}, (flow, way)
                if len(ends) == 1:
                    assert by_of(ends[0]) in (None, decider(way)), (flow, way)


def ended(outcome: Outcome) -> tuple[str, str | None]:
    return outcome.kind, outcome.interface if outcome.kind in ("forwarded", "sent") else None


def by_of(end: End) -> Any:
    return end.accepted or end.by


def decider(way: Any) -> Any:
    """The rule that ended the way, else the last one of the filter table that let it pass."""
    passed = [s.place for s in way.steps if s.place.table == "filter" and s.action == "ACCEPT"]
    return way.outcome.by or (passed[-1] if passed else None)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_said_of_a_pair(case: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case)
    status = 0 if case.name in EQUAL else 1
    golden(case / "answer.txt", run("diff", "old.v4", "new.v4", status=status))
    golden(case / "answer.json", run("diff", "old.v4", "new.v4", "-o", "json", status=status))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_examples_end_as_told(case: Path) -> None:
    found = compared(case / "old.v4", case / "new.v4")
    assert all(one.decided for one in found)
    confirm(found)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_other_way_round(case: Path) -> None:
    """What one direction opens the other closes; a ruleset is equal to itself."""
    kinds = {"opened": "closed", "closed": "opened"}
    there, back = (
        sorted(kinds.get(flow.kind, flow.kind) if turned else flow.kind for one in found for flow in one.flows)
        for turned, found in (
            (False, compared(case / "old.v4", case / "new.v4")),
            (True, compared(case / "new.v4", case / "old.v4")),
        )
    )
    assert there == back
    assert [one.flows for one in compared(case / "new.v4", case / "new.v4")] in ([[]], [[], []])


# -- Docker's rules

DUMPS = FIXTURES / "docker-dumps"
TWO_NETWORKS = FIXTURES / "docker/20.10/two-networks"
ENGINES = [
    ("20.10.24/01-new-daemon", "20.10.24/10-docker0-pub-any"),
    ("20.10.24/10-docker0-pub-any", "20.10.24/12-docker0-pub-loopback"),
    ("27.5.1/22-two-usernets-pub", "29.7.2/22-two-usernets-pub"),
    ("27.5.1/40-internal", "28.5.2/40-internal"),
    ("1.9/51-noproxy-pub-any", "20.10.24/51-noproxy-pub-any"),
]
SAME = [("20.10.24", "27.5.1", "10-docker0-pub-any"), ("1.13", "20.10.24", "51-noproxy-pub-any")]


@pytest.mark.parametrize(("old", "new"), ENGINES)
def test_examples_between_engines_end_as_told(old: str, new: str) -> None:
    files = [DUMPS / f"{name}.ip4.txt" for name in (old, new)]
    found = compared(files[0], files[1])
    assert found[0].flows and found[0].decided
    confirm(found)


@pytest.mark.parametrize(("old", "new", "case"), SAME)
def test_engines_that_write_the_same_otherwise(old: str, new: str, case: str) -> None:
    run("diff", DUMPS / old / f"{case}.ip4.txt", DUMPS / new / f"{case}.ip4.txt", status=0)


def test_a_published_port_more() -> None:
    old, new = (DUMPS / f"20.10.24/{name}.ip4.txt" for name in ("01-new-daemon", "10-docker0-pub-any"))
    answer = json.loads(run("diff", old, new, "-o", "json"))
    opened, *others = (r for r in answer["regions"] if not r["strange"])
    assert (answer["opened"], answer["closed"], answer["rewritten"]) == (1, 0, 3)
    assert (opened["was"], opened["now"]) == ("dropped", "accepted")
    assert (opened["packets"]["dst"], opened["packets"]["dport"]) == (["172.17.0.2"], ["80"])
    assert opened["now_by"] == {"table": "filter", "chain": "DOCKER", "rule": 1, "line": 16, "file": str(new)}
    assert {json.dumps(r["now_to"]) for r in others} == {'{"dst": "172.17.0.2", "dport": 80}'}
    assert {r["was"] for r in others} == {r["now"] for r in others} == {"accepted"}


def test_a_container_with_another_address(tmp_path: Path) -> None:
    """Its port is still published: closed and opened is only the way to its own address."""
    moved = tmp_path / "moved.v4"
    moved.write_text((TWO_NETWORKS / "rules.v4").read_text().replace("172.18.0.2", "172.18.0.9"))
    found = compared(TWO_NETWORKS / "rules.v4", moved)
    confirm(found)
    answer = json.loads(run("diff", TWO_NETWORKS / "rules.v4", moved, "-o", "json"))
    ordinary = [r for r in answer["regions"] if not r["strange"]]
    ways = {(r["kind"], r["packets"]["dst"][0] if r["kind"] != "rewritten" else "") for r in ordinary}
    assert ways == {("opened", "172.18.0.9"), ("closed", "172.18.0.2"), ("rewritten", "")}
    assert {(r["was_to"]["dst"], r["now_to"]["dst"]) for r in ordinary if r["kind"] == "rewritten"} == {
        ("172.18.0.2", "172.18.0.9")
    }


def test_a_snapshot_knows_the_host_for_both() -> None:
    answer = run("diff", TWO_NETWORKS / "snapshot.json", TWO_NETWORKS / "rules.v4", status=0)
    assert "stands for it" not in answer
    assert "is a bridge of this host" not in answer


def test_after_a_flush_the_ports_are_closed() -> None:
    shown = run("diff", TWO_NETWORKS / "rules.v4", FIXTURES / "questions/j-reload/after.v4")
    assert shown.startswith("NEW closes ")
    assert "now dropped by the policy of filter FORWARD (NEW line 4)" in shown


# -- options

SMALL = FIXTURES / "differences"
OPENED = (SMALL / "opened-port/old.v4", SMALL / "opened-port/new.v4")


def test_check_says_which_of_the_two_lets_packets_through() -> None:
    old, new = OPENED
    shown = run("check", new, "--against", old)
    assert shown.startswith("RULES opens 1 flow.\n")
    assert (
        "was dropped by the policy of filter INPUT (DUMP line 2); now accepted by filter INPUT rule 3 (RULES line 7)"
        in shown
    )
    assert run("check", new, "--against", new, status=0).startswith("DUMP and RULES treat every packet alike.\n")


@pytest.mark.parametrize(("only", "status"), [("input", 1), ("forward", 0), ("nat", 0)])
def test_only_some_packets_are_compared(only: str, status: int) -> None:
    old, new = OPENED
    run("check", new, "--against", old, "--only", only, status=status)


@pytest.mark.parametrize(("only", "status"), [("input", 0), ("forward", 0), ("output", 1), ("nat", 0)])
def test_only_what_the_host_sends(only: str, status: int) -> None:
    old, new = (SMALL / "own-packets" / name for name in ("old.v4", "new.v4"))
    run("check", new, "--against", old, "--only", only, status=status)


def test_only_is_the_union_of_hooks_and_nat_is_what_they_are_rewritten_to(tmp_path: Path) -> None:
    old, new = OPENED
    run("check", new, "--against", old, "--only", "forward", "--only", "input")
    nat = [SMALL / "changed-nat" / name for name in ("old.v4", "new.v4")]
    run("check", nat[1], "--against", nat[0], "--only", "nat")
    run("check", nat[1], "--against", nat[0], "--only", "nat", "--only", "input", status=0)
    filtered = tmp_path / "filtered.v4"
    filtered.write_text(nat[0].read_text().replace("-A FORWARD", "-A FORWARD -s 192.0.2.0/24"))
    run("check", filtered, "--against", nat[0])
    run("check", filtered, "--against", nat[0], "--only", "nat", status=0)


def test_an_interface_that_does_not_count(tmp_path: Path) -> None:
    old, new = (tmp_path / name for name in ("old.v4", "new.v4"))
    text = (SMALL / "opened-port/old.v4").read_text().replace("COMMIT", "-A INPUT -i eth9 -j ACCEPT\nCOMMIT")
    old.write_text(text)
    new.write_text(text.replace("COMMIT", "-A INPUT -i eth7 -j ACCEPT\n-A FORWARD -i eth8 -o eth9 -j ACCEPT\nCOMMIT"))
    shown = run("diff", old, new)
    assert "in by eth7" in shown and "in by eth8" in shown and "leaves by eth9" in shown
    run("check", new, "--against", old, "--ignore-interface", "eth7", "--only", "input", status=0)
    assert "in by eth8" not in run("check", new, "--against", old, "--ignore-interface", "eth8")
    assert "leaves by eth9" not in run("check", new, "--against", old, "--ignore-interface", "eth9")


def test_interfaces_of_another_host(tmp_path: Path) -> None:
    rules, dump = (tmp_path / name for name in ("rules.v4", "dump.v4"))
    for file, name in ((rules, "eth0"), (dump, "ens3")):
        text = f"*filter\n:INPUT DROP [0:0]\n-A INPUT -i {name} -p tcp -m tcp --dport 80 -j ACCEPT\nCOMMIT\n"
        file.write_text(text)
    run("check", rules, "--against", dump)
    run("check", rules, "--against", dump, "--map", "eth0=ens3", status=0)


def test_who_decides_counts_when_it_is_asked_for(tmp_path: Path) -> None:
    new = tmp_path / "new.v4"
    new.write_text((SMALL / "opened-port/old.v4").read_text().replace("COMMIT", "-A INPUT -j DROP\nCOMMIT"))
    run("diff", SMALL / "opened-port/old.v4", new, status=0)
    shown = run("diff", SMALL / "opened-port/old.v4", new, "--deciders")
    assert (
        "was dropped by the policy of filter INPUT (OLD line 2); now dropped by filter INPUT rule 3 (NEW line 7)"
        in shown
    )
    run("diff", SMALL / "renamed-chains/old.v4", SMALL / "renamed-chains/new.v4", "--deciders", status=0)


@pytest.mark.parametrize(("case", "status"), [("limit-added", 4), ("opened-port", 1), ("reordered", 0)])
def test_strict_fails_for_what_nobody_can_tell(case: str, status: int) -> None:
    run("diff", SMALL / case / "old.v4", SMALL / case / "new.v4", "--strict", status=status)


def test_an_assumption_settles_it() -> None:
    old, new = (SMALL / "limit-added" / name for name in ("old.v4", "new.v4"))
    run("diff", old, new, "--assume", "limit=within", status=0)


def test_an_answer_beyond_the_budget_says_so() -> None:
    snapshots = [read_snapshot(file.read_text(), file.name) for file in OPENED]
    (found,) = compare(snapshots[0], snapshots[1], ("OLD", "NEW"), limit=60)
    assert not found.decided


REFUSED = [
    (("diff", "-", "-"), 2, "cannot both be standard input"),
    (("diff", OPENED[0], "missing.v4"), 2, "missing.v4"),
    (("diff", OPENED[0]), 2, "NEW"),
    (("diff", OPENED[0], SMALL / "ORIGIN"), 3, "the dump was not read"),
    (("check", OPENED[0]), 2, "--against"),
    (("check", OPENED[0], "--against", OPENED[1], "--map", "eth0"), 2, "write NAME=NAME"),
    (("check", OPENED[0], "--against", OPENED[1], "--only", "nonsense"), 2, "nonsense"),
]


@pytest.mark.parametrize(("arguments", "status", "message"), REFUSED)
def test_refused(arguments: tuple[Any, ...], status: int, message: str) -> None:
    result = CliRunner().invoke(program, [str(a) for a in arguments], input="")
    assert (result.exit_code, message in result.output) == (status, True), result.output


EMPTY = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n{rules}COMMIT\n"
LO = "-A INPUT -i lo -j DROP\n"
SSH = """*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -i eth0 -p tcp -m tcp --dport 22 -j DNAT --to-destination 10.9.0.2
COMMIT
"""


def snapshot(outside: str, rules: str, more: str = "") -> str:
    far = {"ifname": "eth9", "addr_info": [{"family": "inet", "local": "10.9.0.1", "prefixlen": 24}]}
    near = {"ifname": outside, "addr_info": [{"family": "inet", "local": "192.0.2.1", "prefixlen": 24}]}
    routes = [
        {"dst": "default", "dev": outside, "gateway": "192.0.2.254"},
        {"dst": "192.0.2.0/24", "dev": outside}, {"dst": "10.9.0.0/24", "dev": "eth9"},
    ]  # fmt: skip
    text = EMPTY.format(rules=rules) + more
    return json.dumps({"schema": 1, "iptables": text, "addresses": [near, far], "routes": routes})


@pytest.mark.parametrize(
    ("theirs", "ours", "options", "last"),
    [
        (EMPTY.format(rules=""), EMPTY.format(rules=LO), ["--only", "input"], "closed"),
        (EMPTY.format(rules=LO), EMPTY.format(rules=LO), ["--only", "input"], ""),
        (EMPTY.format(rules=""), EMPTY.format(rules=LO), ["--only", "forward"], ""),
        (snapshot("eth0", "", SSH), snapshot("eth0", ""), ["--ignore-interface", "eth9"], "rewritten"),
        (snapshot("ens3", "-A FORWARD -i br0 -o ens3 -j DROP\n"), snapshot("eth0", ""), ["--map", "eth0=ens3"], "opened"),
        (snapshot("ens3", LO), snapshot("eth0", LO), ["--map", "eth0=ens3"], ""),
    ],
)  # fmt: skip
def test_what_is_compared_is_all_that_was_asked(
    tmp_path: Path, theirs: str, ours: str, options: list[str], last: str
) -> None:
    against, rules = tmp_path / "dump", tmp_path / "rules"
    against.write_text(theirs)
    rules.write_text(ours)
    result = CliRunner().invoke(program, ["check", str(rules), "--against", str(against), "-o", "json", *options])
    answer = json.loads(result.stdout)
    kinds = {r["kind"] for r in answer["regions"]}
    assert last in kinds if last else not kinds
    assert result.exit_code == bool(last)
