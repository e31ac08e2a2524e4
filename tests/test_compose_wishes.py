"""Wishes beside the services of a compose file: what they mean for a host's rules, and for the rules of the file itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iptexplain.commands import program
from iptexplain.explain.situation import Situation
from iptexplain.generate.compose.facts import inspected
from iptexplain.generate.compose.project import read_project
from iptexplain.generate.plan import Plan, plan
from iptexplain.generate.prove import is_proved, prove
from iptexplain.generate.source import read_source
from iptexplain.outputs.iptables_restore import restore_text
from tests.test_compose import COMPOSE, FIXED, NET
from tests.test_dumps import FIXTURES
from tests.test_wish import TWO

RECORDED = (
    "services:\n"
    "  web: {{container_name: web, ports: ['8080:80'], x-iptexplain: {{{web}}}}}\n"
    "  db: {{container_name: db, x-iptexplain: {{{db}}}}}\n"
    "  other: {{container_name: plain, ports: ['8081:80'], x-iptexplain: {{{other}}}}}\n"
)
"""Services of the recorded host two-networks, each with its wishes, from line 2 on."""


def policy(folder: Path, text: str, dump: str = TWO, *options: str) -> Result:
    (folder / "compose.yaml").write_text(text)
    words = ["generate", "policy", str(folder / "compose.yaml"), str(FIXTURES / dump), *options]
    return CliRunner().invoke(program, words)


def wished(web: str = "", db: str = "", other: str = "") -> str:
    text = RECORDED.format(web=web, db=db, other=other)
    return text.replace(", x-iptexplain: {}", "")


@pytest.mark.parametrize(
    ("service", "plain"),
    [
        ({"web": "restrict: {from: 192.0.2.0/24}"}, "restrict: [{container: web, from: 192.0.2.0/24}]"),
        ({"web": "restrict: [{from: [192.0.2.0/24, 192.0.2.7], port: 8080/tcp, drop-rest: true}]"},
         "restrict: [{container: web, port: 8080/tcp, from: [192.0.2.0/24, 192.0.2.7], drop-rest: true}]"),
        ({"web": "allow: db"}, "allow: [{from: web, to: db}]"),
        ({"web": "allow: ['db:5432', 'n2:53/udp']"}, "allow: [{from: web, to: ['db:5432', 'n2:53/udp']}]"),
        ({"db": "allow-from: web"}, "allow: [{from: web, to: db}]"),
        ({"db": "allow-from: [web, n1]"}, "allow: [{from: [web, n1], to: db}]"),
        ({"db": "allow-from: {from: [web, n1], port: [5432, 53/udp]}"}, "allow: [{from: [web, n1], to: ['db:5432', 'db:53/udp']}]"),
        ({"web": "isolate: both"}, "isolate: [[web, both]]"),
        ({"web": "isolate: [db, other]"}, "isolate: [[web, db], [web, plain]]"),
        ({"web": "restrict: {from: 192.0.2.1}", "other": "restrict: {from: 192.0.2.2}"},
         "restrict: [{container: web, from: 192.0.2.1}, {container: plain, from: 192.0.2.2}]"),
    ],
)  # fmt: skip
def test_a_wish_is_that_of_a_policy(service: dict[str, str], plain: str, tmp_path: Path) -> None:
    result = policy(tmp_path, wished(**service))
    (tmp_path / "policy.yaml").write_text(plain)
    words = ["generate", "policy", str(tmp_path / "policy.yaml"), str(FIXTURES / TWO)]
    expected = CliRunner().invoke(program, words)
    assert (result.exit_code, expected.exit_code) == (0, 0), result.output + expected.output
    assert result.stdout == expected.stdout
    assert result.stderr == expected.stderr


@pytest.mark.parametrize(
    "found_by",
    [
        "container_name: web",
        "networks: {n1: {ipv4_address: 172.18.0.2}}",
        "ports: ['8080:80']",
        "ports: [{target: 80, published: 8080, host_ip: 0.0.0.0}]",
    ],
)
@pytest.mark.parametrize("dump", [TWO, TWO.replace("snapshot.json", "rules.v4")])
def test_containers_are_found(found_by: str, dump: str, tmp_path: Path) -> None:
    """By name where the dump has names, by addresses that it shows, by published ports."""
    wish = "x-iptexplain: {restrict: {from: 192.0.2.0/24}}"
    text = f"services: {{w: {{{found_by}, {wish}}}}}\nnetworks: {{n1: {{name: n1}}}}\n"
    result = policy(tmp_path, text, dump)
    if "container_name" in found_by and dump.endswith("v4"):
        assert (result.exit_code, "there is no container web with an address" in result.stderr) == (2, True)
        named = str(tmp_path / "docker.json")
        Path(named).write_text(json.dumps(json.loads((FIXTURES / TWO).read_text())["docker"]))
        result = policy(tmp_path, text, dump, "--docker", named)
    assert result.exit_code == 0, result.output
    assert "--ctorigdstport 8080 --ctdir ORIGINAL -j DROP" in result.stdout


def test_a_container_found_by_its_port_is_meant_on_all_of_its_networks(tmp_path: Path) -> None:
    by_port = "services: {w: {ports: ['8080:80'], x-iptexplain: {isolate: both}}}\n"
    by_name = "services: {w: {container_name: web, x-iptexplain: {isolate: both}}}\n"
    results = [policy(tmp_path, text) for text in (by_port, by_name)]
    assert results[0].stdout == results[1].stdout and results[0].exit_code == 0


def test_variables_and_merges_count_in_wishes(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("OFFICE=192.0.2.0/24\n")
    text = "x-a: &a {restrict: {from: $OFFICE}}\n" + wished(web="<<: *a")
    result = policy(tmp_path, text, TWO, "--env-file", str(tmp_path / "env"))
    assert result.exit_code == 0 and "-s 192.0.2.0/24" in result.stdout
    result = policy(tmp_path, text)
    assert result.exit_code == 2 and "compose.yaml:1: " in result.stderr and "OFFICE is not set" in result.stderr


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ("restict: {from: 192.0.2.1}", "unknown key 'restict': did you mean 'restrict'?"),
        ("deny: all", "unknown key 'deny': 'iptexplain generate policy --help'"),
        ("restrict: {port: 8080}", "'from' is missing"),
        ("restrict: {form: 192.0.2.1}", "did you mean 'from'?"),
        ("restrict: {from: 192.0.2.1, container: db}", "unknown key 'container'"),
        ("restrict: {from: everybody}", "'everybody' is not an"),
        (f"restrict: {{from: {'9' * 5000}}}", "is not an IPv4 address"),
        (f"restrict: {{from: 192.0.2.0/{'9' * 5000}}}", "is longer than 32"),
        ("restrict: {from: 192.0.2.1, port: 9}", "no published port is meant by that"),
        ("restrict: {from: 192.0.2.1, port: [8080, 9]}", "no published port is meant by 9 of these"),
        ("restrict: {from: 192.0.2.1, drop-rest: perhaps}", "neither true nor false"),
        ("restrict: 192.0.2.1", "write a mapping with from, port, drop-rest, not a text"),
        ("restrict: []", "restrict: the list is empty"),
        ("allow: {to: db}", "allow: write a text, not a mapping"),
        ("allow: 'db:99999'", "99999"),
        ("allow: 'db:53/icmp'", "after the port stands one of tcp, udp, sctp"),
        ("allow: dB", "'dB' is no Docker network and no container here"),
        ("allow: web", "are the same: name two"),
        ("allow-from: {from: db, port: 0/icmp}", "after the port stands one of"),
        ("allow-from: {from: db, port: x}", "'x'"),
        ("allow-from: {port: 80}", "'from' is missing"),
        ("isolate: [[db]]", "isolate: write a text, not a list"),
        ("isolate: ''", "isolate: write a text, not nothing"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(wish: str, says: str, tmp_path: Path) -> None:
    result = policy(tmp_path, wished(web=wish))
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert "compose.yaml:2: " in result.stderr and says in result.stderr
    assert "POLICY was not read." in result.stderr


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (wished(), 1, "there is no wish in it: no active service has 'x-iptexplain'"),
        (wished(web="allow: other", other="isolate: web"), 2, "line 4 keeps plain and web apart"),
        (wished(web="allow: db").replace("name: db", "name: dbx"), 2, "service db: there is no container dbx with an address"),
        ("services: {n1: {container_name: web, networks: [n1], x-iptexplain: {isolate: n1}}}\nnetworks: {n1: }\n", 1,
         "'n1' is a service and a network here: write web or"),
        ("services: {web: {x-iptexplain: text}}", 1, "write a mapping with restrict, allow, allow-from, isolate, not a text"),
        ("services: {web: {container_name: web, profiles: [x], x-iptexplain: {isolate: db}}}", 1, "there are no services in it that are active"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_whole(text: str, line: int, says: str, tmp_path: Path) -> None:
    result = policy(tmp_path, text)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert f"compose.yaml:{line}: " in result.stderr and says in result.stderr


# -- in the rules of the file itself


def replaced(folder: Path, service: str, *options: str) -> Result:
    web = f"  web: {{ports: ['8080:80'], {FIXED}, {service}}}\n"
    (folder / "compose.yaml").write_text(f"name: app\n{NET}{web}  db: {{}}\n")
    return CliRunner().invoke(program, ["generate", "replace", str(folder / "compose.yaml"), *options])


@pytest.mark.parametrize("style", ["docker", "flat", "strict"])
@pytest.mark.parametrize("proxy", [(), ("--keep-proxy",)])
def test_wishes_are_worked_in_and_proved(style: str, proxy: tuple[str, ...], tmp_path: Path) -> None:
    result = replaced(tmp_path, "x-iptexplain: {restrict: {from: 192.0.2.0/24}}", "--style", style, *proxy)
    assert result.exit_code == 0, result.output
    assert "# nobody else may, by the published port 8080/tcp\n" in result.stdout
    assert "what may pass between containers, is as the compose file asks for there." in result.stdout
    assert "where the compose file asks for something else under x-iptexplain" in result.stderr
    assert "- closed: 198.18.0.50:40000 → 198.18.0.1:8080/tcp in by eth0; was accepted, now dropped" in result.stderr


def test_what_was_not_wished_for_is_no_purpose(tmp_path: Path) -> None:
    """A rule that closes where it is to open is found by the proof."""
    replaced(tmp_path, "x-iptexplain: {restrict: {from: 192.0.2.0/24}}", "--no-prove")
    source = read_source((tmp_path / "compose.yaml").read_text(), "compose.yaml", "app", {})
    situation = Situation(source.snapshot, 4)
    wish = source.wishes[4]
    for one, proved in ((wish, True), (wish._replace(lines=tuple(x._replace(opens=True) for x in wish.lines)), False)):
        made = plan(situation, "docker", True, frozenset(), one)
        text = restore_text(Plan((("x", "0" * 64),), "0", "docker", True, (made,)), made, comments=False)
        assert is_proved(prove(situation, made, text)) is proved


def test_a_wish_about_an_address_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    result = replaced(tmp_path, "x-iptexplain: {isolate: db}", "--no-prove")
    assert (result.exit_code, result.stdout) == (3, "")
    assert (
        "compose.yaml:4: service db: there is no container app-db-1 with an address in what is given" in result.stderr
    )


def test_the_rules_are_those_for_an_engine_that_has_none_of_them() -> None:
    text = (COMPOSE / "shop/compose.yaml").read_text()
    source = read_source(text, "compose.yaml", "shop", {})
    project = read_project(text, "compose.yaml", "shop", {})
    assert source.snapshot.facts["docker"] == inspected(project)
    assert [line.command() for line in source.wishes[6].lines] == [
        "-I DOCKER-USER 1 -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
        "-I DOCKER-USER 2 -s 2001:db8::/32 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 8080 --ctdir ORIGINAL -j RETURN",
        "-I DOCKER-USER 3 -p tcp -m conntrack --ctstate DNAT --ctorigdstport 8080 --ctdir ORIGINAL -j DROP",
        "-I INPUT 1 -s fe80::/10 ! -i lo -p tcp -m tcp --dport 8080 -m addrtype --dst-type LOCAL -m conntrack --ctstate NEW -j DROP",
    ]
