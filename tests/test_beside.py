"""Generated rules with something beside them that loads them: a systemd unit, tasks for Ansible."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.test_generate import FIXTURES, NASTY, TWO, generate

BOTH = str(FIXTURES / "docker/20.10/ipv6/snapshot.json")
SUFFIX = {"systemd": ".service", "ansible": ".yml"}


def written(folder: Path, source: str, syntax: str, *options: str) -> dict[str, str]:
    """The files that are made, by what follows their name."""
    folder.mkdir()
    result = generate(source, "--format", syntax, "--no-prove", *options, "-o", str(folder / "iptx-rules"))
    assert result.exit_code == 0, result.output
    return {file.suffix: file.read_text() for file in folder.iterdir()}


def verified(unit: Path) -> None:
    """systemd has nothing to say, where it is installed with what the unit runs."""
    if all(map(shutil.which, ("systemd-analyze", "iptables-restore", "ip6tables-restore"))):
        done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
        told = [line for line in (done.stdout + done.stderr).splitlines() if unit.name in line]
        assert (done.returncode, told) == (0, [])


def settings(unit: str, name: str) -> list[str]:
    pairs = [line.partition("=") for line in unit.splitlines() if not line.startswith("#")]
    return [value for key, _, value in pairs if key == name]


def steps(text: str) -> list[dict[str, Any]]:
    [block] = yaml.safe_load(text)
    assert block["become"] is True
    return [step["ansible.builtin.copy"] for step in block["block"] if "ansible.builtin.copy" in step]


@pytest.mark.parametrize("syntax", SUFFIX)
@pytest.mark.parametrize("family", ["4", "both"])
def test_the_rules_are_files_for_iptables_restore(syntax: str, family: str, tmp_path: Path) -> None:
    made = written(tmp_path / "made", BOTH, syntax, "--family", family)
    assert generate(BOTH, "--family", family, "--no-prove", "-o", str(tmp_path / "rules")).exit_code == 0
    restore = {".v4": "rules"} if family == "4" else {".v4": "rules.v4", ".v6": "rules.v6"}
    assert made.keys() == {SUFFIX[syntax], *restore}
    assert all(made[suffix] == (tmp_path / name).read_text() for suffix, name in restore.items())


def test_unit_tests_all_and_then_loads_all(tmp_path: Path) -> None:
    unit = written(tmp_path / "made", BOTH, "systemd")[".service"]
    verified(tmp_path / "made/iptx-rules.service")
    tests = [f"ip{six}tables-restore --test /etc/iptx-rules/%N.v{n}" for six, n in (("", 4), ("6", 6))]
    loads = [f"ip{six}tables-restore --wait 10 /etc/iptx-rules/%N.v{n}" for six, n in (("", 4), ("6", 6))]
    assert settings(unit, "ExecStartPre") == tests
    assert settings(unit, "ExecStart") == loads
    assert settings(unit, "ExecReload") == [*tests, *loads]
    assert settings(unit, "RemainAfterExit") == ["yes"]
    [before] = settings(unit, "Before")
    assert {"docker.service", "network-pre.target"} <= set(before.split())
    assert settings(unit, "RequiredBy") == ["docker.service"]


def test_tasks_test_all_and_then_load_all(tmp_path: Path) -> None:
    found = steps(written(tmp_path / "made", BOTH, "ansible")[".yml"])
    assert [step["validate"] for step in found] == [
        f"/usr/sbin/ip{six}tables-restore {option} %s" for option in ("--test", "--wait 10") for six in ("", "6")
    ]
    assert all(step["mode"] == "0600" and step["src"][:2] == "{{" for step in found)
    assert len({step["dest"] for step in found}) == 4


@pytest.mark.parametrize("syntax", SUFFIX)
def test_nothing_of_a_dump_is_more_than_a_comment(syntax: str, tmp_path: Path) -> None:
    """Whatever files and bridges are called, and whatever chains and remarks hold, what systemd and Ansible do is the same."""
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    plain = written(tmp_path / "plain", TWO, syntax)[SUFFIX[syntax]]
    for n in range(8):
        bridge = "".join(dice.choice("$`'();&|<>*?~#%{}:\\") for _ in range(8))
        remark = dice.choice([*NASTY, "{{ lookup('pipe', 'touch pwned') }}", "%n %h", "- a: b"])
        rules = Path(TWO).with_name("rules.v4").read_text().replace("br-f022fcdf43bb", bridge)
        rules = rules.replace("-A DOCKER-USER", f'-A DOCKER-USER -m comment --comment "{remark}"')
        source = tmp_path / f"{n}\n- x: {dice.choice('{}[]&*!|>%@')}\nExecStart=reboot\\"
        source.write_text(rules.replace(":FORWARD DROP", f":FORWARD {dice.choice(['ACCEPT', 'DROP'])}"))
        made = written(tmp_path / f"made{n}", str(source), syntax)
        told = made[SUFFIX[syntax]]
        assert says(told) == says(plain), seed
        assert f"# Made from {tmp_path}/{n}\\n- x:" in told
        if syntax == "systemd":
            verified(tmp_path / f"made{n}/iptx-rules.service")
        else:
            assert yaml.safe_load(told) == yaml.safe_load(plain), seed


def says(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("syntax", SUFFIX)
@pytest.mark.parametrize("options", [[], ["-o", "-"]])
def test_several_files_are_not_printed_as_one(syntax: str, options: list[str]) -> None:
    result = generate(TWO, "--format", syntax, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"--format {syntax} makes several files: name them with --output NAME" in result.stderr
