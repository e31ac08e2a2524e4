"""Lints: what each fires at and what it leaves alone; whole hosts; that dead and redundant rules are so; the command."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from iptexplain.host.snapshot import read_snapshot
from iptexplain.lint import tables
from iptexplain.lint.examples import example_snapshot
from iptexplain.lint.finding import Example, lints
from iptexplain.lint.host import hosts
from iptexplain.lint.report import Report, Told, look
from tests.conftest import ROOT, Golden


def found(example: Example, *names: str) -> Report:
    return look(hosts(example_snapshot(example)), names or tuple(lints()))


@pytest.mark.parametrize("name", lints())
def test_fires(name: str) -> None:
    told = found(lints()[name].fires, name).told
    assert [t.finding.name for t in told] == [name]
    assert told[0].message and told[0].fix


@pytest.mark.parametrize("name", lints())
def test_quiet(name: str) -> None:
    assert not found(lints()[name].quiet, name).told


DUMPS = sorted((ROOT / "fixtures/docker-dumps").glob("*/*.ip[46].txt"))
MEANT = {
    "loopback-port-reachable": r"^(1\.|17\.|18\.|20|25|27)|67-no-raw|upgrade|nftables",
    "unpublished-ports-open": r"^1\.|17\.0|firewalld|75-",
    "bridge-without-masquerade": r"no-masq",
    "answers-cut-in-docker-user": r"75-preexisting-user-rules",
    "accepting-policy": r"75-preexisting-user-rules",
}


def told_of(file: Path) -> set[str]:
    text = file.read_text(encoding="utf-8")
    return {t.finding.name for t in look(hosts(read_snapshot(text, "rules")), lints()).told} if text.strip() else set()


def test_healthy_hosts() -> None:
    """Recorded hosts of every engine: nothing is found but what is true of them and has its reason in what was set up there."""
    found = {(name, str(file.relative_to(ROOT / "fixtures/docker-dumps"))) for file in DUMPS for name in told_of(file)}
    assert not [(name, file) for name, file in found if not re.search(MEANT.get(name, "$^"), file)]
    levels = {t.level for f in DUMPS if "01-new-daemon" in f.name for t in _told(f)}
    assert levels <= {"info"}


def _told(file: Path) -> list[Told]:
    return look(hosts(read_snapshot(file.read_text(encoding="utf-8"), "rules")), lints()).told


def run(*words: str, text: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(program, ["lint", *words], input=text)
    return result.exit_code, result.stdout, result.stderr


ASKED = sorted(p for p in (ROOT / "fixtures/lint").iterdir() if p.is_dir())


@pytest.mark.parametrize("folder", ASKED, ids=lambda f: f.name)
def test_golden(folder: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    file = next(f.name for f in folder.iterdir() if f.name.startswith("rules"))
    for output, name in (("text", "text"), ("json", "json"), ("markdown", "md"), ("sarif", "sarif")):
        status, printed, _ = run(file, "-o", output)
        assert status == 1
        golden(folder / f"findings.{name}", printed)


DEAD = """*filter
:INPUT DROP [0:0]
-A INPUT -s 10.0.0.0/8 -j ACCEPT
-A INPUT -s 10.1.0.0/16 -p tcp {}-j DROP
-A INPUT -p icmp -j DROP
COMMIT
"""


def test_exit_statuses(tmp_path: Path) -> None:
    dead, silent = DEAD.format(""), lints()["unused-chain"].quiet.text
    assert [run("-", text=silent)[0], run("-", text=dead)[0]] == [0, 1]
    assert [run("-", "--fail-on", level, text=dead)[0] for level in ("error", "warning", "info", "never")] == [
        0,
        1,
        1,
        0,
    ]
    assert run("-", "--ignore", "unreachable-rule", text=dead)[0] == 0
    assert run("-", "--select", "mixed-backends", text=dead)[0] == 0
    assert run("-", text="*filter\n-A INPUT -p tcp --dport 99999 -j DROP\nCOMMIT\n")[0] == 3
    assert run(str(tmp_path / "none"))[0] == 2


@pytest.mark.parametrize("option", ["--select", "--ignore", "--explain"])
def test_unknown_name_lists_the_known_ones(option: str) -> None:
    status, printed, said = run("-", option, "unreachable", text=DEAD.format(""))
    assert (status, printed) == (2, "")
    assert (
        f"{option} unreachable: there is no such lint: there are accepting-policy, " in said
        and "unreachable-rule" in said
    )


@pytest.mark.parametrize(
    ("comment", "names"),
    [
        ("iptexplain: ignore unreachable-rule", []),
        ("why; iptexplain: ignore redundant-rule, unreachable-rule", []),
        ("iptexplain: ignore redundant-rule", ["unreachable-rule"]),
        ("ignore unreachable-rule", ["unreachable-rule"]),
    ],
)
def test_silenced_by_comment(comment: str, names: list[str]) -> None:
    dump = DEAD.format(f'-m comment --comment "{comment}" ')
    found = json.loads(run("-", "-o", "json", "--ignore", "redundant-rule", text=dump)[1])["findings"]
    assert [f["name"] for f in found] == names


@pytest.mark.parametrize("silent", [None, 1, 2])
def test_a_comment_in_any_rule_of_a_chain_silences_what_is_said_of_the_chain(silent: int | None) -> None:
    remark = {silent: '-m comment --comment "iptexplain: ignore unused-chain" '}
    rules = "".join(f"-A LOST -s 10.0.0.{n} {remark.get(n, '')}-j DROP\n" for n in (1, 2))
    text = (
        f"*filter\n:INPUT DROP [0:0]\n:LOST - [0:0]\n:GONE - [0:0]\n{rules}-A GONE -j DROP\n-A GONE -j DROP\nCOMMIT\n"
    )
    found = json.loads(run("-", "-o", "json", text=text)[1])["findings"]
    assert [f["chain"] for f in found] == (["GONE"] if silent else ["LOST", "GONE"])


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["--select", "unreachable-rule,redundant-rule"], ["unreachable-rule", "redundant-rule"]),
        (["--select", "unreachable-rule, unused-chain"], ["unreachable-rule"]),
        (["--select", "unreachable-rule", "--select", "redundant-rule"], ["unreachable-rule", "redundant-rule"]),
        (["--select", "unreachable-rule,redundant-rule", "--ignore", "unreachable-rule"], ["redundant-rule"]),
        (["--ignore", "unreachable-rule,redundant-rule"], []),
        (["--ignore", "unused-chain", "--ignore", "redundant-rule"], ["unreachable-rule"]),
    ],
)
def test_several_names(words: list[str], names: list[str]) -> None:
    found = json.loads(run("-", "-o", "json", *words, text=DEAD.format(""))[1])["findings"]
    assert [f["name"] for f in found] == names


@pytest.mark.parametrize(("words", "names"), [([], set()), (["--all"], {"redundant-rule", "unreachable-rule"})])
def test_rules_of_programs_are_judged_on_demand(words: list[str], names: set[str]) -> None:
    file = ROOT / "fixtures/docker-dumps/20.10.24/01-new-daemon.ip4.txt"
    status, printed, _ = run(str(file), "-o", "json", *words)
    found = json.loads(printed)["findings"]
    assert {f["name"] for f in found} == names and status == bool(names)


@pytest.mark.parametrize(
    ("written", "words", "status", "names"),
    [
        ("[iptexplain:lint]\nignore = unreachable-rule\n", [], 0, ["redundant-rule"]),
        ("[iptexplain:lint]\nignore =\n  unreachable-rule\n  redundant-rule\n", [], 0, []),
        ("[iptexplain:lint]\nfail-on = error\n", [], 0, ["unreachable-rule", "redundant-rule"]),
        ("[iptexplain:lint]\nfail-on = error\n", ["--fail-on", "info"], 1, ["unreachable-rule", "redundant-rule"]),
        ("[iptexplain:lint]\nselect = redundant-rule\n", [], 0, ["redundant-rule"]),
        ("[iptexplain:lint]\nselect = redundant-rule\n", ["--select", "unreachable-rule"], 1, ["unreachable-rule"]),
        ("[metadata]\nname = x\n", [], 1, ["unreachable-rule", "redundant-rule"]),
        ("no settings at all\n", [], 1, ["unreachable-rule", "redundant-rule"]),
    ],
)
@pytest.mark.parametrize("file", [".iptexplain.cfg", "setup.cfg"])
def test_settings(
    written: str,
    words: list[str],
    status: int,
    names: list[str],
    file: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(file).write_text(written)
    got, printed, _ = run("-", "-o", "json", *words, text=DEAD.format(""))
    assert (got, [f["name"] for f in json.loads(printed)["findings"]]) == (status, names)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("[iptexplain:lint]\nignore = nothing\n", "x.cfg: [iptexplain:lint] ignore = nothing: there is no such lint"),
        (
            "[iptexplain:lint]\nlevel = error\n",
            "x.cfg: [iptexplain:lint] has no 'level': there are select, ignore, fail-on",
        ),
        (
            "[iptexplain:lint]\nfail-on = bad\n",
            "x.cfg: [iptexplain:lint] fail-on = bad: there are error, warning, info, never",
        ),
        ("[other]\n", "x.cfg: there is no section [iptexplain:lint] in it"),
        ("nonsense\n", "x.cfg: this is no file of settings"),
        (
            "[iptexplain:lint]\nignore = unreachable-rule\nignore =\n",
            "[line 3]: option 'ignore' in section 'iptexplain:lint' already",
        ),
        (None, "x.cfg: No such file or directory"),
    ],
)
def test_settings_that_are_refused(
    written: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if written is not None:
        Path("x.cfg").write_text(written)
    status, printed, error = run("-", "--config", "x.cfg", text=DEAD.format(""))
    assert (status, printed) == (2, "") and said in error


def test_settings_that_nobody_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What else stands in such a file is its own affair; a section of ours with a mistake is not passed over."""
    monkeypatch.chdir(tmp_path)
    status, _, error = run("-", "--config", ".iptexplain.cfg", text=DEAD.format(""))
    assert status == 2 and ".iptexplain.cfg: No such file or directory" in error
    Path("setup.cfg").write_text("[DEFAULT]\nname = x\n[iptexplain:lint]\nfail-on = error\n")
    assert run("-", text=DEAD.format(""))[0] == 0
    Path("setup.cfg").write_text("[iptexplain:lint]\nfail-on = error\nfail-on = error\n")
    status, _, error = run("-", text=DEAD.format(""))
    assert status == 2 and "setup.cfg: this is no file of settings" in error


@pytest.mark.parametrize("name", lints())
def test_explained(name: str) -> None:
    status, printed, _ = run("--explain", name)
    assert status == 0
    for example in (lints()[name].fires, lints()[name].quiet):
        assert all(f"    {line}" in printed for line in example.text.splitlines())


def test_json() -> None:
    answer = json.loads(run("-", "-o", "json", text=DEAD.format(""))[1])
    assert answer["schema"] == 1 and answer["not_looked_for"] == []
    first = answer["findings"][0]
    assert {k: first[k] for k in ("name", "level", "family", "table", "chain", "rule", "line")} == {
        "name": "unreachable-rule", "level": "warning", "family": 4, "table": "filter", "chain": "INPUT", "rule": 2, "line": 4,
    }  # fmt: skip
    assert first["because"] == [{"table": "filter", "chain": "INPUT", "rule": 1, "line": 3}]
    assert "iptables -D INPUT -s 10.1.0.0/16 -p tcp -j DROP" in first["fix"]


@pytest.mark.parametrize(
    ("rules", "command"),
    [
        ("-A INPUT -p udp -j ACCEPT\n-A INPUT -p tcp -j DROP\n-A INPUT -p udp -j ACCEPT\n", "-D INPUT 3"),
        ("-A INPUT -p udp -j ACCEPT\n-A INPUT -p tcp -j DROP\n-A INPUT -p 17 -j ACCEPT\n", "-D INPUT 3"),
        ("-A INPUT -p udp -j ACCEPT\n-A INPUT -p udp -j DROP\n-A INPUT -p tcp -j DROP\n", "-D INPUT -p udp -j DROP"),
        ("-A OWN -p udp -j ACCEPT\n-A INPUT -p udp -j DROP\n-A INPUT -p udp -j ACCEPT\n", "-D INPUT -p udp -j ACCEPT"),
    ],
)
def test_of_equal_rules_the_one_that_is_meant_is_deleted(rules: str, command: str) -> None:
    """iptables -D with a rule's words deletes the first that has them: the one that counts."""
    text = f"*filter\n:INPUT DROP [0:0]\n:OWN - [0:0]\n{rules}COMMIT\n"
    (finding,) = json.loads(run("-", "-o", "json", "--select", "unreachable-rule", text=text)[1])["findings"]
    assert f"    iptables {command}" in finding["fix"].split("\n")
    assert ("An equal rule stands above it" in finding["fix"]) == command.endswith("3")


SHARED = "*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:BOTH - [0:0]\n-A INPUT -j BOTH\n-A OUTPUT -j BOTH\n-A BOTH {} -j DROP\nCOMMIT\n"


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("-i eth0 -o eth1", "a packet in filter INPUT never has what -o eth1 asks for; a packet in filter OUTPUT never has what -i eth0 asks for."),
        ("-s 10.0.0.1 -m iprange --src-range 10.0.0.2-10.0.0.9",
         "its conditions -s 10.0.0.1/32 and -m iprange --src-range 10.0.0.2-10.0.0.9 contradict each other."),
        ("-s 10.0.0.1 -o eth1 -m iprange --src-range 10.0.0.2-10.0.0.9",
         "a packet in filter INPUT never has what -o eth1 asks for; in OUTPUT its conditions -s 10.0.0.1/32 and -m iprange "
         "--src-range 10.0.0.2-10.0.0.9 contradict each other."),
    ],
)  # fmt: skip
def test_a_rule_is_impossible_at_each_hook_for_its_own_reason(rule: str, said: str) -> None:
    found = json.loads(run("-", "-o", "json", "--select", "impossible-rule", text=SHARED.format(rule))[1])["findings"]
    assert [f["message"] for f in found] == [f"No packet can meet this rule: {said}"]


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ("-A A -j C\n-A B -j C\n-A C -j DROP\n", {"A": ["C"], "B": ["C"]}),
        ("-A A -j B\n-A B -j C\n-A B -s 10.0.0.1 -j DROP\n-A C -s 10.0.0.2 -j B\n", {"A": ["B", "C"]}),
        ("-A A -s 10.0.0.1 -j B\n-A B -j C\n-A C -j B\n-A C -j A\n", {"A": ["B", "C"]}),
        ("-A A -j DROP\n-A B -j A\n-A B -j C\n-A C -j B\n", {"B": ["A", "C"]}),
        ("-A A -j A\n", {"A": []}),
        ("-A INPUT -j C\n-A A -j C\n-A C -j DROP\n", {"A": []}),
    ],
)
def test_chains_that_nothing_asks(rules: str, found: dict[str, list[str]]) -> None:
    """Each is told once, be it that those which jump there are not asked either."""
    text = f"*filter\n:INPUT DROP [0:0]\n:A - [0:0]\n:B - [0:0]\n:C - [0:0]\n{rules}COMMIT\n"
    told = look(hosts(read_snapshot(text, "rules")), ["unused-chain"]).told
    assert {t.finding.place.chain: t.finding.values["with_it"] for t in told if t.finding.place} == found


def test_what_is_too_large_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lints that need no sets, or other tables alone, are looked for all the same."""
    monkeypatch.setattr(tables, "SECONDS", -1.0)
    rules = "".join(
        f"-A FORWARD -s 10.0.{n >> 8}.{n & 255} -p tcp -m tcp --dport {n} -j ACCEPT\n" for n in range(1, 1500)
    )
    text = f"*filter\n:FORWARD DROP [0:0]\n:LOST - [0:0]\n{rules}-A LOST -j DROP\nCOMMIT\n"
    answer = json.loads(run("-", "-o", "json", text=text)[1])
    assert answer["not_looked_for"] == ["impossible-rule", "redundant-rule", "unreachable-rule"]
    assert [f["name"] for f in answer["findings"]] == ["unused-chain"]
    assert "were not looked for" in run("-", text=text)[1]
    (invocation,) = json.loads(run("-", "-o", "sarif", text=text)[1])["runs"][0]["invocations"]
    notes = invocation["toolExecutionNotifications"]
    assert [note["associatedRule"]["id"] for note in notes] == answer["not_looked_for"]
    assert {note["level"] for note in notes} == {"warning"} and "redundant-rule was not looked for" in notes[1][
        "message"
    ]["text"]


def test_commands_can_be_pasted_safely() -> None:
    """Words of a dump are quoted for a shell."""
    text = DEAD.format('-m comment --comment "$(reboot); `id`" ')
    fix = json.loads(run("-", "-o", "json", text=text)[1])["findings"][0]["fix"]
    assert "--comment '$(reboot); `id`' -j" in fix


def test_sarif_names_rules_and_lines() -> None:
    log = json.loads(run("-", "-o", "sarif", text=DEAD.format(""))[1])
    assert log["version"] == "2.1.0"
    driver, results = log["runs"][0]["tool"]["driver"], log["runs"][0]["results"]
    assert [rule["id"] for rule in driver["rules"]] == list(lints())
    assert {driver["rules"][r["ruleIndex"]]["id"] == r["ruleId"] for r in results} == {True}
    place = results[0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "stdin"}, "region": {"startLine": 4}}
    assert results[0]["relatedLocations"][0]["physicalLocation"]["region"] == {"startLine": 3}
    assert {r["level"] for r in results} <= {"error", "warning", "note"}


@pytest.mark.parametrize(("words", "told"), [((), []), (("--assume", "limit=within"), ["within"])])
def test_sarif_tells_what_was_taken_for_granted(words: tuple[str, ...], told: list[str]) -> None:
    (invocation,) = json.loads(run("-", "-o", "sarif", *words, text=DEAD.format("-m limit --limit 1/sec "))[1])["runs"][
        0
    ]["invocations"]
    notes = invocation["toolExecutionNotifications"]
    assert invocation["executionSuccessful"] and [note["level"] for note in notes] == ["note"] * len(told)
    assert all(word in note["message"]["text"] for word, note in zip(told, notes, strict=True))


def test_of_both_families_each_finding_says_which() -> None:
    six = (
        DEAD.format("")
        .replace("10.0.0.0/8", "fd00::/8")
        .replace("10.1.0.0/16", "fd00:1::/32")
        .replace("icmp", "ipv6-icmp")
    )
    six = six.replace("*filter", "# Generated by ip6tables-save v1.8.9 on Sat Mar  1 10:00:00 2025\n*filter")
    four = DEAD.format("").replace(
        "*filter", "# Generated by iptables-save v1.8.9 on Sat Mar  1 10:00:00 2025\n*filter"
    )
    text = run("-", "--select", "unreachable-rule", text=four + six)[1]
    assert (
        "unreachable-rule, IPv4, filter INPUT rule 2 (line 5)" in text
        and "ip6tables -D INPUT -s fd00:1::/32 -p tcp -j DROP" in text
    )


def test_no_control_characters_of_a_dump_are_printed() -> None:
    text = "*filter\n:INPUT DROP [0:0]\n:X\x1b[31m\u202eY - [0:0]\n-A X\x1b[31m\u202eY -j DROP\nCOMMIT\n"
    for output in ("text", "markdown", "json", "sarif"):
        printed = run("-", "-o", output, text=text)[1]
        assert "unused-chain" in printed and "\x1b" not in printed and "\u202e" not in printed
