"""Expectations about flows: what ``iptexplain test`` prints, writes and refuses, and that what a kernel did is what holds.

Each folder of fixtures/flows is one case: ``arguments`` (what follows ``iptexplain test``), and expected.txt (what is printed)
with report.xml, or errors.txt (what is said on standard error).
"""

from __future__ import annotations

import json
import random
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from iptexplain.commands import program
from iptexplain.explain.expectations import read_expectations
from iptexplain.explain.judge import judge_all
from iptexplain.explain.nodes import Node, from_json_lines, from_yaml
from iptexplain.explain.question import Asker
from iptexplain.host.snapshot import read_snapshot
from tests.conftest import ROOT, Golden

FLOWS = ROOT / "fixtures/flows"
RULES = str(ROOT / "fixtures/docker/20.10/two-networks/rules.v4")
CASES = sorted(p.parent for p in FLOWS.glob("*/arguments"))
REFUSED = [c for c in CASES if c.name.startswith("errors-")]
TAKEN = [c for c in CASES if c not in REFUSED]
PROBES = sorted((ROOT / "fixtures").glob("docker/*/*/probes.json"))


def run(*arguments: str, given: str | bytes | None = None) -> Result:
    return CliRunner().invoke(program, ["test", *arguments], input=given)


def run_case(case: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> Result:
    monkeypatch.chdir(case)
    return run(*more, *shlex.split((case / "arguments").read_text()))


def status_of(flows: str, *arguments: str) -> int:
    return run("-", RULES, *arguments, given=flows).exit_code


@pytest.mark.parametrize("case", TAKEN, ids=lambda c: c.name)
def test_case(case: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    result = run_case(case, monkeypatch, "--junit", str(report))
    golden(case / "expected.txt", f"{result.stdout}\nexit status {result.exit_code}\n")
    golden(case / "report.xml", report.read_text(encoding="utf-8"))
    assert result.stderr == ""


@pytest.mark.parametrize("case", REFUSED, ids=lambda c: c.name)
def test_refusal(case: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Everything is said in one go, nothing is printed or written, and no error is said twice."""
    report = tmp_path / "report.xml"
    result = run_case(case, monkeypatch, "--junit", str(report))
    golden(case / "errors.txt", result.stderr)
    assert (result.exit_code, result.stdout, report.exists()) == (2, "", False)
    told = [line for line in result.stderr.splitlines() if not line.startswith("    ")]
    assert len(told) == len(set(told))


@pytest.mark.parametrize("case", TAKEN, ids=lambda c: c.name)
def test_forms_agree(case: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The report, the JSON and the exit status tell the same; nothing in the report hurts a terminal or an XML reader."""
    report = tmp_path / "report.xml"
    result = run_case(case, monkeypatch, "-o", "json", "--junit", str(report))
    arguments = (case / "arguments").read_text()
    answer = json.loads(result.stdout) if "-o" not in arguments or "json" in arguments else None
    suite = ElementTree.fromstring(report.read_bytes())[0]
    failed = [c.find("failure") is not None for c in suite]
    assert result.exit_code == int(any(failed))
    assert (suite.get("tests"), suite.get("failures")) == (str(len(failed)), str(sum(failed)))
    if answer:
        assert [not e["holds"] for e in answer["expectations"]] == failed
        assert (answer["total"], answer["hold"]) == (len(failed), failed.count(False))
    words = [t for e in suite.iter() for t in (*e.attrib.values(), e.text or "")]
    assert all(c.isprintable() or c == "\n" for word in words for c in word)


@pytest.mark.parametrize("path", PROBES, ids=lambda p: p.parent.name)
def test_what_the_kernel_did_holds(path: Path) -> None:
    """First packets of real connections, expected to end as they did, by the rule that did it; the contrary never holds."""
    expects = {
        "forwarded": "accept",
        "sent": "accept",
        "delivered-local": "accept",
        "dropped": "drop",
        "rejected": "reject",
    }
    flows: list[dict[str, Any]] = []
    for probe in json.loads(path.read_text()):
        fields = {k: v for k, v in probe["packet"].items() if v is not None}
        if "after" in fields:
            continue
        ends = {"from": fields.pop("src"), "to": fields.pop("dst")}
        flow = {**ends, **fields, "name": probe["name"], "expect": expects[probe["outcome"]["kind"]]}
        by = probe["outcome"].get("by")
        if by:
            flow["by"] = f"{by['table']}/{by['chain']}/{by['rule']}" if "table" in by else "kernel"
        flows.append(flow)
    asker = Asker(read_snapshot((path.parent / "snapshot.json").read_text(), "snapshot.json"))

    def problems(changes: dict[str, str]) -> list[str | None]:
        text = "\n".join(json.dumps({**flow, **changes}) for flow in flows)
        expectations, written = read_expectations(text, "probes.jsonl")
        results = judge_all(asker, expectations, written)
        assert (written.errors, len(results)) == ([], len(flows))
        return [r.problem for r in results]

    assert set(problems({})) <= {None}
    for word in set(expects.values()):
        held = [flow["expect"] for flow, problem in zip(flows, problems({"expect": word}), strict=True) if not problem]
        assert set(held) <= {word}
    assert None not in problems({"by": "no-such-chain"})


@pytest.mark.parametrize(
    ("flow", "by", "holds"),
    [
        ("to: 'host:8080', expect: accept", "DOCKER", True),
        ("to: 'host:8080', expect: accept", "filter/DOCKER", True),
        ("to: 'host:8080', expect: accept", "filter/DOCKER/1", True),
        ("to: 'host:8080', expect: accept", "DOCKER/1", True),
        ("to: 'host:8080', expect: accept", "line 24", True),
        ("to: 'host:8080', expect: accept", "FORWARD", False),
        ("to: 'host:8080', expect: accept", "nat/DOCKER", False),
        ("to: 'host:8080', expect: accept", "filter/DOCKER/2", False),
        ("to: 'host:8080', expect: accept", "filter/DOCKER/policy", False),
        ("to: 'host:8080', expect: accept", "line 2", False),
        ("to: 'host:8080', expect: accept", "docker", False),
        ("to: 'host:8080', expect: accept", "kernel", False),
        ("to: 172.18.0.2, expect: drop", "filter/FORWARD/policy", True),
        ("to: 172.18.0.2, expect: drop", "FORWARD/policy", True),
        ("to: 172.18.0.2, expect: drop", "FORWARD/1", False),
        ("to: 172.18.0.2, ttl: 1, expect: drop", "kernel", True),
        ("to: 172.18.0.2, ttl: 1, expect: drop", "kernel/ttl", True),
        ("to: 172.18.0.2, ttl: 1, expect: drop", "kernel/no-route", False),
        ("to: 172.18.0.2, ttl: 1, expect: drop", "FORWARD", False),
    ],
)  # fmt: skip
def test_what_by_calls_a_decision(flow: str, by: str, holds: bool) -> None:
    assert status_of(f"- {{from: internet, {flow}, by: {by}}}") == int(not holds)


@pytest.mark.parametrize("by", ["a b", "line x", "fitler/FORWARD", "filter/FORWARD/x", "filter/", "/FORWARD", "FORWARD/-1"])  # fmt: skip
def test_by_that_names_nothing(by: str) -> None:
    assert status_of(f"- {{from: internet, to: host, expect: drop, by: '{by}'}}") == 2


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('{"from": "internet", "to": "host", "expect": "accept"}\n', "-"),
        ('\ufeff{"from": "internet", "to": "host", "expect": "accept"}\r\n', "-"),
        ("\ufeff- from: internet\r\n  to: host\r\n  expect: accept\r\n", "-"),
        ('{"flows": [{"from": "internet", "to": "host", "expect": "accept"}]}', "-"),
        ('{\n  "flows": [\n    {"from": "internet", "to": "host", "expect": "accept"}\n  ]\n}\n', "-"),
        ('[{"from": "internet", "to": "host", "expect": "accept"}]', "flows.json"),
        ("{flows: [{from: internet, to: host, expect: accept}]}", "flows.yaml"),
        ('\n{"from": "internet", "to": "host", "expect": "accept"}', "flows.ndjson"),
        ("- &one {from: internet, to: host, expect: accept}\n- *one", "-"),
        (
            "- {from: &ends [internet, 192.0.2.1], to: host, expect: accept}\n- {from: *ends, to: host, expect: accept}",
            "-",
        ),
    ],
)
def test_forms_of_flows(text: str, name: str, tmp_path: Path) -> None:
    file = str(tmp_path / name) if name != "-" else "-"
    if name != "-":
        Path(file).write_text(text)
    result = run(file, RULES, given=text if name == "-" else None)
    assert (result.exit_code, result.stderr) == (0, "")


def test_values_are_texts_as_written() -> None:
    """YAML would make a number of base 60 of the first, a truth of the second, octal of the third, a time of the last."""
    written = from_yaml("- 12:34:56\n- off\n- 010\n- 0x1f\n- 1_000\n- 2026-11-24\n", "f")
    [root] = written.nodes
    assert isinstance(root.value, list)
    assert [n.value for n in root.value] == ["12:34:56", "off", "010", "0x1f", "1_000", "2026-11-24"]
    [line] = from_json_lines('[1e5, 0.10, true, 99999999999999999999, "\u2028"]', "f").nodes
    assert isinstance(line.value, list)
    assert [n.value for n in line.value] == ["1e5", "0.10", "true", "99999999999999999999", "\u2028"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb:\n  c: 1\n  c: 2\n", 4),
        ("&a [*a]", 1),
        ("[" * 3000, 1),
        ('x: 1\ny: "\\UFFFFFFFF"\n', 2),
        ("x: 1\ny: \udc80\n", 2),
        ("x: 1\r\ny: \x1b[31m\r\n", 2),
        ("--- 1\n--- 2\n", 2),
        ("a: 1\n\tb: 2\n", 2),
        ("? [a]\n: b\n", 1),
        ("a: *nobody\n", 1),
        ("a: 'open\n\n", 3),
        ("%YAML 9.9\n---\na\n", 1),
    ],
)
def test_yaml_that_is_refused(text: str, line: int) -> None:
    [error] = from_yaml(text, "f").errors
    assert error.location is not None
    assert (error.location.file, error.location.line) == ("f", line)


@pytest.mark.parametrize("line", ["{", '{"a": 1, "a": 2}', "[" * 100000, '"\t"', "'a'", '{"a": 1} 2', "{a: 1}"])
def test_json_that_is_refused(line: str) -> None:
    [error] = from_json_lines(f'{{"fine": 1}}\n{line}\n{{"fine": 2}}\n', "f").errors
    assert error.location is not None
    assert error.location.line == 2


def test_aliases_do_not_grow() -> None:
    """Ten to the power of ten values, if each alias were read anew."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    written = from_yaml("\n".join(lines), "f")
    assert not written.errors
    [root] = written.nodes
    assert isinstance(root.value, dict) and isinstance(root.value["a9"], Node)


def test_random_damage_is_told_and_never_a_traceback() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    texts = [f.read_text() for f in sorted(FLOWS.glob("*/flows.*"))]
    for _ in range(1500):
        text = list(chance.choice(texts))
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(text) + 1)
            text[at : at + chance.randint(0, 3)] = chance.choice("{}[]:,-&*!|>'\"#%@`?\\\n\t \x00\udc80é\u2028~<=0aU")
        damaged = "".join(text)
        for name in ("f.yaml", "f.jsonl"):
            expectations, written = read_expectations(damaged, name)
            assert expectations or written.errors
            lines = max(len(written.lines), 1)
            assert all(e.location and 1 <= e.location.line <= lines for e in written.errors)


ONE = "- {from: internet, to: host, expect: accept}\n"


@pytest.mark.parametrize(
    ("arguments", "given", "status"),
    [
        (["-", RULES], ONE, 0),
        (["-", RULES], ONE.replace("accept", "drop"), 1),
        (["-", "-"], ONE, 2),
        (["-"], ONE, 2),
        ([], ONE, 2),
        (["-", RULES, "--junit", "-"], ONE, 2),
        (["-", RULES, "--junit", "/nowhere/report.xml"], ONE, 2),
        (["nowhere.yaml", RULES], None, 2),
        (["-", "nowhere.v4"], ONE, 2),
        (["-", RULES], b"\0", 2),
        ([str(FLOWS / "holds/flows.yaml")], "*filter\n-A INPUT -j\nCOMMIT\n", 3),
        ([str(FLOWS / "failures/flows.yaml")], "*filter\nCOMMIT\n", 1),
    ],
)
def test_exit_status(arguments: list[str], given: str | bytes | None, status: int) -> None:
    result = run(*arguments, given=given)
    assert result.exit_code == status, result.output
    assert bool(result.stderr) == (status > 1)


def test_yaml_is_loaded_only_to_read_it() -> None:
    """Who asks something else, or in JSON, does not wait for PyYAML."""
    flows = {"holds/flows.yaml": True, "json-lines/flows.jsonl": False}
    script = "import sys; from iptexplain.commands import program; program(standalone_mode=False); print('yaml' in sys.modules)"
    for name, loaded in flows.items():
        done = subprocess.run(
            [sys.executable, "-c", script, "test", str(FLOWS / name), RULES.replace("rules.v4", "snapshot.json")],
            capture_output=True, text=True, check=True, cwd=ROOT,
        )  # fmt: skip
        assert done.stdout.splitlines()[-1] == str(loaded)
