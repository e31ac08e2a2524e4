"""A dump in the language of nftables. Each extension's own form is in fixtures/*/*.t; tests/kernel/test_nft.py asks nft and the kernel."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iptexplain.commands import program
from tests.conftest import Golden
from tests.test_dumps import DOCKER, FIXTURES

OUTPUTS = FIXTURES / "outputs/nft"
CASES = {
    "docker-20.10": FIXTURES / "docker/20.10/docker-user-rules/rules.v4",
    "docker-29": FIXTURES / "docker-dumps/29.7.2/23-usernet-ipv6-pub-any.ip4.txt",
    "docker-29-ipv6": FIXTURES / "docker-dumps/29.7.2/23-usernet-ipv6-pub-any.ip6.txt",
    "two-backends": FIXTURES / "strip/both/dump.txt",
    "names": OUTPUTS / "names.v4",
}


def run(*arguments: str | Path, input: str | None = None) -> Result:
    return CliRunner().invoke(program, ["save", "--format", "nft", *map(str, arguments)], input=input)


@pytest.mark.parametrize("case", CASES)
def test_whole_dumps(case: str, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CASES[case].parent)
    result = run(CASES[case].name)
    assert result.exit_code == 0, result.output
    golden(OUTPUTS / f"{case}.nft", result.stdout)


@pytest.mark.parametrize("dump", DOCKER, ids=lambda p: p.parent.name)
def test_every_rule_is_there(dump: Path) -> None:
    """Rule for rule; the recordings have none that would need two."""
    rules = len(re.findall(r"^-A ", dump.read_text(), re.MULTILINE))
    written = re.findall(r"^\t\t(?!type |#)", run(dump).stdout, re.MULTILINE)
    assert len(written) == rules > 0


def dump(*rules: str) -> str:
    return "\n".join(["*filter", ":INPUT ACCEPT [0:0]", *rules, "COMMIT", ""])


def test_rules_without_a_form_are_all_named_and_nothing_is_written() -> None:
    result = run(
        input=dump("-A INPUT -m recent --set --name x", "-A INPUT -j ACCEPT", "-A INPUT -m u32 --u32 0=1 -j DROP")
    )
    assert (result.exit_code, result.stdout) == (2, "")
    assert "-:3: filter INPUT: nft has no form of -m recent --set\n" in result.stderr
    assert "-:5: filter INPUT: nft has no form of -m u32 --u32\n" in result.stderr
    assert result.stderr.endswith("nft has no form of 2 rules: nothing was written.\n")


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("-A INPUT -m brandnew --thing 1 -j DROP", "-m brandnew alone"),
        ("-A INPUT -j LOG --log-prefix \"a $b\"", "the text 'a $b'"),
        ("-A INPUT -i \"a\\\"b\" -j DROP", "an interface that is called 'a\"b'"),
        ("-A INPUT -p tcp -m multiport --ports 80 -m limit --limit 1/sec -j DROP", "a limit beside alternatives"),
        ("-A INPUT -j QUEUE", "-j QUEUE"),
    ],
)  # fmt: skip
def test_what_nft_cannot_say(rule: str, why: str) -> None:
    result = run(input=dump(rule))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"nft has no form of {why}" in result.stderr


def test_generated_rules_stand_below_their_reasons() -> None:
    source = str(FIXTURES / "docker/20.10/two-networks/snapshot.json")
    words = ["generate", "replace", source, "--no-prove", "--format"]
    nft, restore = (CliRunner().invoke(program, [*words, syntax]) for syntax in ("nft", "restore"))
    assert (nft.exit_code, restore.exit_code) == (0, 0)
    lines = restore.stdout.splitlines()
    reasons = [above for above, rule in pairwise(lines) if rule.startswith("-A ")]
    assert len(reasons) > 20
    assert set(reasons) <= set(nft.stdout.replace("\t", "").splitlines())


def test_generated_rules_that_nft_cannot_say_are_refused(tmp_path: Path) -> None:
    source = (FIXTURES / "docker/20.10/docker-user-rules/rules.v4").read_text()
    kept = source.replace("-A DOCKER-USER -j RETURN", "-A DOCKER-USER -m recent --rcheck --name x -j DROP")
    (tmp_path / "rules.v4").write_text(kept)
    words = ["generate", "replace", str(tmp_path / "rules.v4"), "--no-prove", "--format", "nft"]
    result = CliRunner().invoke(program, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "nft has no form of -m recent --rcheck" in result.stderr and "--name x" in result.stderr


def test_with_other_options() -> None:
    assert run("--normal", input=dump()).exit_code == 2
