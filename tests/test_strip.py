"""A dump without Docker's rules, and Docker's rules alone: both together are the dump.

fixtures/strip/CASE/dump.txt is given to both; expected/ has what is printed, and the notes. tests/kernel/test_strip.py has the real
iptables-restore put them together.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iptexplain.commands import program
from iptexplain.recognise.docker import recognise_docker
from iptexplain.rules.parse import parse
from iptexplain.rules.save import save
from tests.conftest import Golden
from tests.test_dumps import DOCKER, ENGINES, FIXTURES, name, read

CASES = sorted(p.parent for p in (FIXTURES / "strip").glob("*/dump.txt"))
RECORDED = [*DOCKER, *ENGINES, *(FIXTURES / "programs").glob("*/*/rules.v[46]")]
WITH_OTHERS = [FIXTURES / f"strip/{case}/dump.txt" for case in ("user-rules", "among-others", "counters")]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(program, ["strip", *arguments])


def parts(dump: Path) -> tuple[str, str]:
    """What is printed without Docker's rules, and of them alone ("" where there are none)."""
    stripped, kept = run(str(dump)), run("--keep", "docker", str(dump))
    assert stripped.exit_code == 0, stripped.output
    return (text(stripped), text(kept)) if kept.exit_code == 0 else (text(stripped), "")


def text(result: Result) -> str:
    return result.stdout_bytes.decode("utf-8", "surrogateescape")


def together(stripped: str, kept: str) -> str:
    """One text in which the rules of ``kept`` follow those of ``stripped``, table by table, as --noflush adds them."""
    added: dict[str, list[str]] = {}
    table = ""
    for line in kept.splitlines():
        table = line if line.startswith("*") else table
        if line.startswith((":", "-", "[")):
            added.setdefault(table, []).append(line)
    lines: list[str] = []
    own: set[str] = set()
    for line in stripped.splitlines():
        if line.startswith("*"):
            table, own = line, set()
        own |= {line} if line.startswith(":") else set()
        if line == "COMMIT":
            lines += [x for x in added.pop(table, []) if x not in own]
        lines.append(line)
    assert not added
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_cases(case: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(case)
    stripped, kept = run("dump.txt"), run("--keep", "docker", "dump.txt")
    golden(case / "expected/stripped.txt", text(stripped))
    golden(case / "expected/docker.txt", text(kept))
    notes = f"{stripped.stderr}exit status {stripped.exit_code}\n\n{kept.stderr}exit status {kept.exit_code}\n"
    golden(case / "expected/notes.txt", notes)


@pytest.mark.parametrize("dump", [*RECORDED, *WITH_OTHERS], ids=name)
def test_nothing_of_dockers_is_left_and_both_together_are_the_dump(dump: Path) -> None:
    stripped, kept = parts(dump)
    original = parse(read(dump))
    for ruleset in parse(stripped).rulesets:
        docker = recognise_docker(ruleset, {})
        users = bool(docker.user_rules)
        assert {f.role for f in docker.roles.found} <= ({"jump-user", "user-end"} if users else set())
    if not any(recognise_docker(r, {}).roles.found for r in original.rulesets):
        assert (stripped, kept) == (read(dump), "")
    assert save(parse(together(stripped, kept))) == save(original)


@pytest.mark.parametrize("dump", WITH_OTHERS, ids=name)
def test_lines_of_others_stay_as_they_are(dump: Path) -> None:
    """In their order, and byte for byte: whatever their line ends and bytes."""
    data = dump.read_bytes().replace(b"--dport 2222", b'--dport 2222 -m comment --comment "caf\xe9"')
    for shaped in (data, data.replace(b"\n", b"\r\n"), data.rstrip(b"\n")):
        result = CliRunner().invoke(program, ["strip"], input=shaped)
        assert result.exit_code == 0
        lines = iter(shaped.splitlines(keepends=True))
        assert all(line in lines for line in result.stdout_bytes.splitlines(keepends=True))


def test_rules_of_docker_user_are_never_lost() -> None:
    stripped = run(str(FIXTURES / "strip/user-rules/dump.txt"))
    own = [line for line in read(FIXTURES / "strip/user-rules/dump.txt").splitlines() if "-A DOCKER-USER" in line]
    assert len(own) == 6
    assert [line for line in stripped.stdout.splitlines() if "DOCKER-USER" in line] == [
        ":DOCKER-USER - [0:0]",
        "-A FORWARD -j DOCKER-USER",
        *own,
    ]
    assert "DOCKER-USER has rules that Docker did not write, so it stayed whole" in stripped.stderr


@pytest.mark.parametrize(
    "line",
    ["-I FORWARD 1 -j DROP", "-D FORWARD -j DOCKER-USER", "-F INPUT", "-A INPUT -s 192.0.2.1,192.0.2.2 -j DROP"],
)
def test_lines_that_are_no_rules_of_their_own_are_refused(line: str) -> None:
    dump = read(FIXTURES / "strip/user-rules/dump.txt").replace("COMMIT", f"{line}\nCOMMIT", 1)
    number = dump.splitlines().index(line) + 1
    for arguments in ([], ["--keep", "docker"]):
        result = CliRunner().invoke(program, ["strip", *arguments], input=dump)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"-:{number}: " in result.stderr and "save --normal" in result.stderr
    anew = CliRunner().invoke(program, ["save", "--normal"], input=dump)
    assert CliRunner().invoke(program, ["strip"], input=anew.stdout).exit_code == 0


def test_a_table_that_comes_twice_is_refused() -> None:
    dump = read(FIXTURES / "strip/among-others/dump.txt")
    result = CliRunner().invoke(program, ["strip"], input=f"{dump}*filter\n:FORWARD DROP [0:0]\nCOMMIT\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "-:1: " in result.stderr and result.stderr.endswith(": *filter\n")
