"""Many wishes in one file: all of them are heard, nothing else changes, and what is wrong is told with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iptexplain.commands import program
from iptexplain.generate.policy import read_policy
from iptexplain.generate.together import meant, together
from iptexplain.generate.wish import prove, with_wish
from iptexplain.rules.parse import parse
from iptexplain.walk.flows import Flows
from tests.test_dumps import FIXTURES
from tests.test_wish import ENGINES, TWO, of_engine


def run(text: str, folder: Path, dump: str = TWO) -> Result:
    (folder / "policy.yaml").write_text(text)
    return CliRunner().invoke(program, ["generate", "policy", str(folder / "policy.yaml"), str(FIXTURES / dump)])


@pytest.mark.parametrize("engine", ENGINES)
def test_every_wish_is_heard_in_every_engine(engine: str) -> None:
    """Answers get back to who was let in, although answers are the first thing that restrict lets past; ports stay closed to others."""
    here = of_engine(engine)
    text = (
        "restrict: [{network: bridge1, from: 192.0.2.128/25}]\n"
        "allow: [{from: bridge1, to: 'bridge2:80'}, {from: bridge2, to: bridge1}]\nisolate: [[docker0, bridge1]]\n"
    )
    policy, written = read_policy(text, "policy.yaml")
    [(_, wishes)] = meant(policy, [here], written)
    proof = prove(here, together(here, wishes, written))
    assert not written.errors
    assert proof.holds and {f.kind for f in proof.flows} == {"opened", "closed"}
    [ruleset] = parse(with_wish(here, together(here, wishes, written)), "RESULT").rulesets
    flows = Flows(ruleset, here.topology)
    one, other = ("bridge1", "192.0.2.2"), ("bridge2", "198.51.100.2")
    for source, target, port, after in ((one, other, 80, 0), (other, one, 22, 2), (one, other, 81, None)):
        ports = {"proto": "tcp", "sport": 40000, "dport": port, "flags": "SYN"}
        there = flows.trace({"iif": source[0], "src": source[1], "dst": target[1], **ports})
        assert there.outcome.kind == ("dropped" if after is None else "forwarded")
        if after is not None:
            ports = {"proto": "tcp", "sport": port, "dport": 40000, "flags": "SYN,ACK", "dir": "reply", "after": after}
            client = str(there.outcome.fields["src"])
            back = flows.trace({"iif": target[0], "src": target[1], "dst": client, **ports})
            assert (back.outcome.kind, back.outcome.interface) == ("forwarded", source[0])


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("", 1, "there is no wish in it"),
        ("- a", 1, "write a mapping with restrict, allow and isolate, not a list"),
        ("deny: 3", 1, "unknown key 'deny': 'iptexplain generate policy --help'"),
        ("\nalow: []", 2, "unknown key 'alow': did you mean 'allow'?"),
        ("allow: n1", 1, "write a list of wishes ('- ...'), not a text"),
        ("allow: []", 1, "write a list of wishes"),
        ("allow:\n- n1", 2, "write a mapping with from, to, not a text"),
        ("allow:\n- {from: n1}", 2, "'to' is missing"),
        ("allow:\n- {from: n1,\n   to: []}", 3, "to: the list is empty"),
        ("allow:\n- {from: n1,\n   to: {a: b}}", 3, "to: write a text, not a mapping"),
        ("allow:\n- {from: n1,\n   to: 'db:5/icmp'}", 3, "after the port stands one of tcp, udp, sctp"),
        (f"allow:\n- {{from: n1, to: 'db:{'9' * 5000}'}}", 2, "is too long for a number"),
        (f"restrict:\n- {{port: 8080, from: {'9' * 5000}}}", 2, "is not an IPv4 address"),
        (f"restrict:\n- {{port: 8080, from: 192.0.2.0/{'9' * 5000}}}", 2, "is longer than 32"),
        ("allow:\n- {from: n1, to: nope}", 2, "'nope' is no Docker network and no container here"),
        ("allow:\n- {from: n1, to: n1}", 2, "n1 and n1 are the same: name two"),
        ("isolate:\n- [n1]", 2, "write a list of two names or more"),
        ("isolate:\n- [n1, n1]", 2, "are the same: name two"),
        ("restrict:\n- {from: 192.0.2.1}", 2, "say which ports"),
        ("restrict:\n- {port: 8080}", 2, "'from' is missing"),
        ("restrict:\n- {port: 9999, from: 192.0.2.1}", 2, "there are 8080/tcp and 8081/tcp"),
        ("restrict:\n- port: 8080\n  from: [192.0.2.1,\n    all]", 4, "from: 'all' is not an"),
        ("restrict:\n- {port: 8080, from: 192.0.2.1,\n   drop-rest: perhaps}", 3, "neither true nor false"),
        ("restrict:\n- {port: 8080, from: 192.0.2.1}\n- {container: web, from: 192.0.2.2}", 3, "line 2 says already"),
        ("allow: [{from: n1, to: n2}]\nisolate:\n- [web, db]", 1, "line 3 keeps web and db apart"),
        ("allow: [{from: n2, to: web}]\nrestrict:\n- {port: 8080, from: 192.0.2.1, drop-rest: true}", 1, "(drop-rest)"),
        ("allow: [", 1, "not YAML"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, why: str, tmp_path: Path) -> None:
    result = run(text, tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"policy.yaml:{line}: " in result.stderr and why in result.stderr
    assert "1 error: POLICY was not read." in result.stderr


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    result = run(
        "allow: [{from: n1, to: nope}]\nisolate: [[n1]]\nrestrict: [{port: 9999, from: 192.0.2.1}]\n", tmp_path
    )
    assert "3 errors: POLICY was not read." in result.stderr


def test_a_family_without_docker_user_is_named(tmp_path: Path) -> None:
    result = run("restrict: [{port: 8080, from: 192.0.2.1}]", tmp_path, "docker/20.10/ipv6/snapshot.json")
    assert result.exit_code == 1
    assert "note: IPv6: no packet gets to a chain DOCKER-USER here" in result.stderr
