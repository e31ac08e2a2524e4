"""What the commands print, as goldens beside the dumps: read the difference when one changes (pytest --update writes them)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from tests.conftest import Golden

DOCKER = Path(__file__).parent.parent / "fixtures" / "docker" / "20.10"
CASES = sorted(p.parent for p in DOCKER.glob("*/rules.v4"))

EVERYWHERE = {
    "explain.txt": ["rules.v4"],
    "explain-snapshot.txt": ["snapshot.json"],
    "networks.json": ["networks", "snapshot.json", "-o", "json"],
    "ports.json": ["ports", "snapshot.json", "-o", "json"],
}
TRACES = {
    "trace-isolation.txt": ["--from", "172.17.0.2", "--to", "172.18.0.2:80"],
    "trace-isolation.md": ["--from", "172.17.0.2", "--to", "172.18.0.2:80", "-o", "markdown"],
    "trace-isolation.json": ["--from", "172.17.0.2", "--to", "172.18.0.2:80", "-o", "json"],
    "trace-published.txt": ["--from", "internet", "--to", "host:8080"],
    "trace-unpublished.txt": ["--from", "internet", "--to", "172.18.0.2:81"],
    "trace-same-network.txt": ["--from", "172.18.0.3", "--to", "172.18.0.2:80"],
    "trace-outgoing.txt": ["--from", "172.18.0.2", "--to", "internet:443"],
    "trace-proxy.txt": ["--from", "172.17.0.2", "--to", "host:8080"],
    "trace-ping.txt": ["--from", "172.18.0.3", "--to", "172.18.0.2", "-p", "icmp"],
}
ONE_HOST = {
    "explain.md": ["rules.v4", "-o", "markdown"],
    "explain.json": ["rules.v4", "-o", "json"],
    "explain-verbose.txt": ["rules.v4", "-v"],
    "networks.txt": ["networks", "rules.v4"],
    "ports.txt": ["ports", "rules.v4"],
    "chain.txt": ["rules.v4", "--chain", "DOCKER-ISOLATION-STAGE-2"],
    "chain.json": ["rules.v4", "--chain", "nat/DOCKER", "-o", "json"],
    **{name: ["trace", "rules.v4", *arguments] for name, arguments in TRACES.items()},
}
RULES = {
    "dnat": "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80",
    "masquerade": "iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
    "established": "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -m comment --comment 'answers' -j ACCEPT",
    "unknown": "-A INPUT -p tcp -m nonsense --level 5 -j TARPIT",
}


def printed(arguments: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(program, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("name", EVERYWHERE)
@pytest.mark.parametrize("case", CASES, ids=lambda p: p.name)
def test_every_host(case: Path, name: str, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    golden(case / "expected" / name, printed(EVERYWHERE[name], case, monkeypatch))


@pytest.mark.parametrize("name", ONE_HOST)
def test_two_networks(name: str, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    case = DOCKER / "two-networks"
    golden(case / "expected" / name, printed(ONE_HOST[name], case, monkeypatch))


@pytest.mark.parametrize("name", RULES)
def test_rules(name: str, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    golden(f"fixtures/outputs/rule-{name}.txt", printed(["rule", RULES[name]], DOCKER, monkeypatch))


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.name)
def test_every_line_that_is_named_exists(case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expert finds the line of the dump for every statement: the lines of networks and ports are rules of the dump."""
    lines = (case / "rules.v4").read_text().splitlines()
    for command, key in (("networks", "networks"), ("ports", "ports")):
        answer = json.loads(printed([command, "rules.v4", "-o", "json"], case, monkeypatch))
        for entry in answer[key]:
            assert entry["lines"]
            assert all(lines[n - 1].startswith("-A ") for n in entry["lines"])


def test_same_input_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    case = DOCKER / "publish-forms"
    assert len({printed(["explain", "snapshot.json"], case, monkeypatch) for _ in range(3)}) == 1


def test_nothing_of_a_dump_reaches_the_terminal_unescaped() -> None:
    """Control characters and direction marks in names and comments come out as escapes."""
    dump = (
        '*filter\n:INPUT ACCEPT [0:0]\n:\x1b[31mRED - [0:0]\n-A INPUT -m comment --comment "\x1b]0;x\x07`*|" -j \x1b[31mRED\n'
        "-A \x1b[31mRED -i \u202eevil -j DROP\nCOMMIT\n"
    )
    for arguments in ([], ["-v"], ["-o", "markdown"], ["-o", "json"], ["--chain", "INPUT"]):
        result = CliRunner().invoke(program, ["explain", *arguments], input=dump)
        assert result.exit_code == 0, result.output
        assert "\x1b" not in result.output and "\u202e" not in result.output and "\x07" not in result.output
    trace = CliRunner().invoke(program, ["trace", "-", "--from", "internet", "--to", "host:1"], input=dump)
    assert trace.exit_code == 0 and "\x1b" not in trace.output
    broken = CliRunner().invoke(program, ["explain"], input=dump.replace("COMMIT", "-A \x1b[31m -j DROP"))
    assert broken.exit_code == 3 and "\x1b" not in broken.output


def test_a_network_whose_subnet_no_rule_tells_is_not_guessed_about() -> None:
    dump = "*filter\n:DOCKER - [0:0]\n-A FORWARD -o docker0 -j DOCKER\nCOMMIT\n"
    shown = CliRunner().invoke(program, ["networks"], input=dump).output
    assert "cannot be told without its subnet" in shown
    assert "No rule hides" not in shown and "not known" in shown
