"""``annotate``: the kernel's own TRACE lines (fixtures/annotate), beside the rules that were in force."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
from click.testing import CliRunner, Result

from iptexplain.commands import program
from tests.conftest import Golden

FIXTURES = Path(__file__).parent.parent / "fixtures" / "annotate"
CASES = sorted(p.parent for p in FIXTURES.glob("*/trace.log"))
GOLDENS = [(case.name, "expected.txt", ()) for case in CASES] + [
    ("docker-nft", "expected.json", ("-o", "json")),
    ("docker-nft", "expected.md", ("-o", "markdown")),
]


def rules(case: Path) -> str:
    return next(p.name for p in case.iterdir() if p.name.startswith("rules."))


def annotate(*arguments: str, input: str | None = None) -> Result:
    return CliRunner().invoke(program, ["annotate", *arguments], input=input)


def shown(log: str, dump: str, *options: str) -> str:
    """What is printed about a log and a dump."""
    with NamedTemporaryFile("w", suffix=".log") as file:
        file.write(log)
        file.flush()
        result = annotate(file.name, *options, input=dump)
    assert result.exit_code == 0, result.output
    return result.stdout


def answer(case: str, change: Callable[[str], str] = str) -> dict[str, Any]:
    """The JSON of a recording, its dump changed before."""
    folder = FIXTURES / case
    dump = change((folder / rules(folder)).read_text())
    found: dict[str, Any] = json.loads(shown((folder / "trace.log").read_text(), dump, "-o", "json"))
    return found


def filter_table(*lines: str) -> str:
    return "\n".join(["*filter", ":INPUT DROP [0:0]", *lines, "COMMIT", ""])


@pytest.mark.parametrize(("case", "name", "options"), GOLDENS, ids=[f"{case}-{name}" for case, name, _ in GOLDENS])
def test_recordings(
    case: str, name: str, options: tuple[str, ...], golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FIXTURES / case)
    result = annotate("trace.log", "--rules", rules(FIXTURES / case), *options)
    assert result.exit_code == 0, result.output
    golden(FIXTURES / case / name, result.stdout)


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.name)
def test_every_line_is_a_step_and_has_its_rule(case: Path) -> None:
    found = answer(case.name)
    log = (case / "trace.log").read_text().splitlines()
    dump = (case / rules(case)).read_text().splitlines()
    steps = {step["log"]: step for packet in found["packets"] for step in packet["steps"]}
    assert sorted(steps) == [n for n, line in enumerate(log, 1) if "TRACE:" in line]
    assert found["misfits"] == []
    for number, step in steps.items():
        assert f"{step['table']}:{step['chain']}:" in log[number - 1]
        if isinstance(step["rule"], int):
            assert dump[step["line"] - 1] == step["text"]
            assert step["text"].startswith(f"-A {step['chain']} ")


def test_a_connection() -> None:
    for case in ("connection-nft", "connection-legacy"):
        first, *others = answer(case)["packets"]
        assert (first["nat"], first["kin"]) == ("asked", None)
        assert {p["nat"] for p in others} == {"skipped"}
        assert {(p["kin"]["number"], p["kin"]["relation"]) for p in others} == {(1, "answer"), (1, "later")}
        [dnat] = [s for s in first["steps"] if s["action"] == "DNAT"]
        assert dnat["to"] == {"dst": "172.17.0.2", "dport": 80}


def test_what_a_line_changed_is_told_by_the_next_one() -> None:
    steps = {s["log"]: s for p in answer("jumps-legacy")["packets"] for s in p["steps"]}
    marks = [(s["text"], s["to"]["mark"]) for s in steps.values() if "mark" in s.get("to", {})]
    assert ("-A CLASSES -p tcp -m tcp --dport 22 -j MARK --set-xmark 0x16/0xffffffff", 0x16) in marks
    assert ("-A CLASSES -s 192.0.2.0/24 -j MARK --set-xmark 0x100/0x100", 0x116) in marks


# -- where the dump does not fit


def dropping(text: str) -> Callable[[str], str]:
    return lambda dump: re.sub(rf"^{re.escape(text)}\n", "", dump, flags=re.MULTILINE)


def replacing(old: str, new: str) -> Callable[[str], str]:
    return lambda dump: dump.replace(old, new)


MISFITS = [
    ("jumps-legacy", dropping("-A FORWARD -o docker0 -j web"), {"other-packet"}),
    ("jumps-legacy", replacing("-A INPUT -i lo", "-A INPUT -s 198.51.100.1 -j DROP\n-A INPUT -i lo"), {"other-packet", "astray"}),
    ("jumps-legacy", replacing("services", "servicez"), {"no-chain"}),
    ("jumps-legacy", replacing("-A CLASSES -j TOS --set-tos 0x08/0xff", "-A CLASSES -j ACCEPT"), {"other-kind"}),
    ("jumps-legacy", replacing("-A FORWARD -j known", "-A FORWARD -m mark ! --mark 0x99 -j ACCEPT"), {"astray"}),
    ("jumps-legacy", replacing("-A CLASSES -s 192.0.2.0/24 -j MARK --set-xmark 0x100/0x100", "-A CLASSES -s 192.0.2.0/24 -j ACCEPT"), {"goes-on"}),
    ("jumps-legacy", replacing("-A POSTROUTING -j RETURN", "-A POSTROUTING -o eth7 -j RETURN"), {"other-kind"}),
    ("jumps-legacy", lambda dump: re.sub(r"(?s)\*mangle.*?COMMIT\n", "", dump), {"no-table", "no-rule"}),
    ("jumps-nft", dropping("-A FORWARD -o docker0 -j web"), {"no-text"}),
    ("jumps-nft", replacing(":INPUT DROP", ":INPUT ACCEPT"), {"other-policy"}),
    ("jumps-nft", replacing("services", "servicez"), {"no-text", "no-chain"}),
    ("raw-legacy", replacing("-A PREROUTING -i lo", "-A PREROUTING -i lo -j LOG\n-A PREROUTING -i lo"), {"other-packet"}),
]  # fmt: skip


@pytest.mark.parametrize(("case", "change", "names"), MISFITS, ids=range(len(MISFITS)))
def test_a_dump_that_does_not_fit_is_said_to(case: str, change: Callable[[str], str], names: set[str]) -> None:
    found = answer(case, change)
    assert names <= {m["name"] for m in found["misfits"]}
    for packet in found["packets"]:
        steps = {s["log"]: s for s in packet["steps"]}
        last = steps[max(steps)]
        if "misfit" in last and case.endswith("legacy"):  # whose lines do not tell a verdict
            assert packet["outcome"]["kind"] == "unknown"
    folder = FIXTURES / case
    text = shown((folder / "trace.log").read_text(), change((folder / rules(folder)).read_text()))
    assert text.startswith("The dump does not fit the log")
    for misfit in found["misfits"][:10]:
        assert f"line {misfit['log']} of the log: " in text


def test_what_became_of_it_is_the_log_s_word_where_it_has_one() -> None:
    """xtables-monitor tells the verdict: it holds even where the rule is not in the dump."""
    [ssh] = [
        p for p in answer("jumps-nft", replacing("services", "servicez"))["packets"] if p["packet"].get("dport") == 113
    ]
    assert ssh["outcome"]["kind"] == "rejected" and ssh["outcome"]["by"] is None


RAW = "-A PREROUTING -p udp -m udp --dport 54 -j DROP"


@pytest.mark.parametrize("case", ["raw-legacy", "raw-nft"])
def test_a_dump_without_the_trace_rule(case: str) -> None:
    """The rules of raw have the dump's numbers, and the TRACE rule itself, met again on lo, is named."""
    packets = answer(case)["packets"]
    [dropped] = [p for p in packets if p["outcome"]["kind"] == "dropped"]
    assert (dropped["outcome"]["by"]["rule"], dropped["steps"][-1]["text"]) == (2, RAW)
    raw = [(s["chain"], s["rule"]) for s in packets[-1]["steps"] if s["table"] == "raw"]
    assert raw[-2:] == [("PREROUTING", "tracer"), ("PREROUTING", 3)]


def test_a_number_before_the_trace_rule_is_not_guessed() -> None:
    """On lo a packet comes to raw PREROUTING when it is traced already: which rule is number 2 there depends on the TRACE rule's place."""
    lines = (FIXTURES / "raw-legacy" / "trace.log").read_text().splitlines()[4:11]
    second = "\n".join(lines).replace("raw:PREROUTING:rule:1", "raw:PREROUTING:rule:2")
    dump = (FIXTURES / "raw-legacy" / "rules.v4").read_text()
    found = json.loads(shown(second, dump, "-o", "json"))
    assert {m["name"] for m in found["misfits"]} == {"shifted"}
    assert {m["number"] for m in found["misfits"]} == {2, 4}


def test_rules_that_read_alike() -> None:
    [one, *_] = answer("jumps-nft")["packets"]
    [step] = [s for s in one["steps"] if s["chain"] == "web"]
    assert (step["rule"], [p["rule"] for p in step["or"]]) == (2, [3])


def test_the_end_of_a_chain_as_older_kernels_tell_it() -> None:
    """Their word return says no more than that a chain was left: by its end, or by a rule."""
    log = " TRACE: 2 fc475095 filter:INPUT:rule:0x3:JUMP:a -4 -t filter -A INPUT -j a\n TRACE: 2 fc475095 filter:a:return:\n"
    log += " TRACE: 2 fc475095 filter:INPUT:return:\n TRACE: 2 fc475095 filter:INPUT:policy:DROP \n"
    printed = shown(log, filter_table(":a - [0:0]", "-A INPUT -j a", "-A a -j RETURN"))
    assert "    - end of a, or a rule of it that returns: back\n  - no rule ends it: policy DROP (line 2)" in printed
    assert printed.startswith("Dropped: a packet that the log does not show, by the policy of filter INPUT (line 2)")


# -- how it ends


def x_tables(*steps: str, mark: str = "") -> str:
    """Lines of the kernel log for one UDP packet; a step is TABLE:CHAIN:KIND:NUMBER."""
    ends = {"PREROUTING": "IN=eth0 OUT=", "INPUT": "IN=eth0 OUT=", "FORWARD": "IN=eth0 OUT=eth1", "POSTROUTING": "IN= OUT=eth1",
            "OUTPUT": "IN= OUT=eth1"}  # fmt: skip
    rest = "SRC=192.0.2.50 DST=192.0.2.10 LEN=34 TOS=0x00 PREC=0x00 TTL=64 ID=8 PROTO=UDP SPT=41003 DPT=53 LEN=14"
    hook = ends["INPUT"]
    lines = []
    for step in steps:
        chain = step.split(":")[1]
        hook = ends.get(chain, hook)
        lines.append(f"TRACE: {step} {hook} {rest}")
    return "\n".join(lines)


ENDS = [
    (["filter:INPUT:policy:1"], "", "dropped"),
    (["filter:INPUT:rule:1"], "-A INPUT -p udp -j ACCEPT", "delivered-local"),
    (["filter:INPUT:rule:1"], "-A INPUT -p udp -j REJECT", "rejected"),
    (["filter:INPUT:rule:1"], "-A INPUT -p udp -j NFQUEUE", "queued"),
    (["filter:INPUT:rule:1"], "-A INPUT -p udp -j LOG", "cut"),
    (["filter:INPUT:rule:1"], "-A INPUT -p udp -j known\n-A known -j RETURN", "cut"),
    (["filter:INPUT:rule:1"], "-A INPUT -p udp -j TARPIT", "cut"),
    (["filter:FORWARD:policy:1"], "", "forwarded"),
    (["filter:FORWARD:policy:1", "mangle:POSTROUTING:policy:1"], "", "unknown"),
    (["filter:OUTPUT:policy:1"], "", "sent"),
    (["raw:PREROUTING:policy:1"], "", "unknown"),
    (["filter:known:rule:1"], "-A INPUT -j known\n-A known -p udp -j ACCEPT", "cut"),
    (["filter:known:rule:1"], "-A INPUT -j known\n-A known -p udp -j DROP", "dropped"),
]


@pytest.mark.parametrize(("steps", "lines", "kind"), ENDS)
def test_how_a_packet_ends(steps: list[str], lines: str, kind: str) -> None:
    dump = filter_table(":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", ":known - [0:0]", lines)
    [packet] = json.loads(shown(x_tables(*steps), dump, "-o", "json"))["packets"]
    assert packet["outcome"]["kind"] == kind
    assert shown(x_tables(*steps), dump)


@pytest.mark.parametrize("number", [1, 2])
def test_an_unconditional_rule_is_no_policy(number: int) -> None:
    """x_tables calls both policy; the number tells them apart."""
    [packet] = json.loads(
        shown(x_tables(f"filter:INPUT:policy:{number}"), filter_table("-A INPUT -j DROP"), "-o", "json")
    )["packets"]
    assert packet["outcome"]["by"]["rule"] == (1 if number == 1 else "policy")


# -- the command


def test_a_log_without_trace_lines() -> None:
    result = annotate("-", "--rules", "x", input="eth0: renamed\n")
    assert result.exit_code == 2
    assert (
        "no TRACE line" in result.output and "xtables-monitor --trace" in result.output and "-j TRACE" in result.output
    )
    result = annotate(
        "-", "--rules", "x", input='trace id 9ea2a4b3 ip filter INPUT packet: iif "eth0" ip saddr 192.0.2.50\n'
    )
    assert "nft monitor trace" in result.output


def test_lines_that_were_passed_over_are_named(tmp_path: Path) -> None:
    (tmp_path / "dump").write_text(filter_table())
    result = annotate(
        "-", "--rules", str(tmp_path / "dump"), input=f"one\n\n{x_tables('filter:INPUT:policy:1')}\ntwo\n"
    )
    assert result.stderr == "note: -: no TRACE line, passed over: line 1, 4\n"
    assert result.stdout.startswith(
        "Dropped: 192.0.2.50:41003 → 192.0.2.10:53/udp, by the policy of filter INPUT (line 2)"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "LOG and --rules cannot both be standard input"),
        (["-"], "LOG and --rules cannot both be standard input"),
        (["-", "--rules", "-"], "LOG and --rules cannot both be standard input"),
        (["/nowhere/log", "--rules", "x"], "/nowhere/log: No such file"),
    ],
)
def test_wrong_use(arguments: list[str], said: str) -> None:
    result = annotate(*arguments, input="")
    assert result.exit_code == 2 and result.stderr.startswith(f"iptexplain: {said}")


def test_families() -> None:
    """Each packet is looked up among the rules of its family; packets of a family without rules are left out, which is said."""
    four, six = ((FIXTURES / case / "trace.log").read_text() for case in ("connection-legacy", "ipv6-legacy"))
    dump4 = (FIXTURES / "connection-legacy" / "rules.v4").read_text()
    dump6 = (FIXTURES / "ipv6-legacy" / "rules.v6").read_text()
    both = json.loads(shown(four + six, dump4 + dump6, "-o", "json"))
    assert [p["family"] for p in both["packets"]] == [4] * 7 + [6] * 17
    assert {p["packet"]["proto"] for p in both["packets"]} == {"tcp", "udp", "icmpv6"}
    assert (both["misfits"], both["missing"]) == ([], [])
    one = shown(four + six, dump4)
    assert "packets of IPv6, and the dump no rules of it (ip6tables-save prints them)" in one
    assert "2001:db8" not in one
    result = annotate("-", "--rules", str(FIXTURES / "connection-legacy" / "rules.v4"), input=six)
    assert result.exit_code == 2 and "IPv6" in result.stderr


def test_the_backend_that_wrote_the_log_is_asked() -> None:
    nft = "# Generated by iptables-nft-save v1.8.9 (nf_tables) on Tue\n" + filter_table("-A INPUT -p udp -j ACCEPT")
    legacy = "# Generated by iptables-save v1.8.9 on Tue\n" + filter_table("-A INPUT -p udp -j REJECT")
    [packet] = json.loads(shown(x_tables("filter:INPUT:rule:1"), nft + legacy, "-o", "json"))["packets"]
    assert packet["outcome"]["kind"] == "rejected"


def test_nothing_of_a_log_reaches_the_terminal_unescaped() -> None:
    log = x_tables("filter:\x1b[31mRED:rule:1", "filter:INPUT:policy:9").replace("eth0", "\x1b]0;e\x07")
    monitor = ' TRACE: 2 e2e60951 filter:INPUT:rule:0x2:ACCEPT  -4 -t filter -A INPUT -m comment --comment "\x1b[1m\u202e" -j ACCEPT\n'
    for options in ([], ["-o", "markdown"], ["-o", "json"]):
        for text in (log, monitor):
            printed = shown(text, filter_table(), *options)
            assert "\x1b" not in printed and "\x07" not in printed and "\u202e" not in printed
