"""Who outside gets to a published port, as sets of addresses, against the trace of single packets."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from iptexplain.explain.callers import callers, outsiders
from iptexplain.explain.situation import ARRIVED, Situation, situations
from iptexplain.host.snapshot import read_snapshot
from iptexplain.recognise.docker_port import DOCKER, Port
from iptexplain.rules.addresses import Address, to_address, to_network

pytestmark = pytest.mark.exhaustive

FIXTURES = Path(__file__).parent.parent / "fixtures"
HOSTS = [
    *sorted((FIXTURES / "docker/20.10").glob("*/snapshot.json")),
    *sorted((FIXTURES / "docker-dumps").glob("2*/[1-3]*.ip[46].txt")),
    *sorted((FIXTURES / "programs").glob("*/docker/rules.v4")),
    FIXTURES / "lint/docker/rules.v4",
    *sorted((FIXTURES / "programs").glob("*/alone/rules.v4")),
    FIXTURES / "questions/i-by-hand/rules.v4",
]
RULES = """*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
{rules}-A DOCKER-USER -j RETURN
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80
COMMIT
"""


def senders(rng: random.Random, situation: Situation) -> Iterator[Address]:
    """Addresses outside: any, and those at the edges of what rules name."""
    _, outside = outsiders(situation)
    for _ in range(6):
        yield Address(situation.family, rng.randint(*rng.choice(outside)))
    for table in situation.ruleset.tables.values():
        for rule in table.rules():
            named = rule.parameters.get("src")
            if named and named.value.prefix is not None:
                for number in (named.value.number, named.value.number - 1):
                    if any(low <= number <= high for low, high in outside):
                        yield Address(situation.family, number)


def arrives(situation: Situation, port: Port, sender: Address) -> set[bool]:
    """More than one answer, where no dump decides."""
    host = situation.end("host")
    bound = host.address if port.is_everywhere else to_address(port.host_ip)
    source = situation.end("internet")._replace(address=sender)
    way = situation.probe(source, host._replace(address=bound, port=port.host_port), port.proto)
    answer = situation.answer_to(way)
    back = answer is None or answer.outcome.kind in (*ARRIVED, "unknown")
    ended = way.outcome.branches or (way.outcome,)
    rewritten = port.by == DOCKER or any(s.place == port.dnat.place for s in way.steps)
    return {o.kind in ARRIVED and back and rewritten for o in ended}


@pytest.mark.parametrize("file", [f for f in HOSTS if f.read_text().strip()], ids=lambda f: f"{f.parent.name}-{f.name}")
def test_whoever_is_said_to_get_in_does(file: Path) -> None:
    for situation in situations(read_snapshot(file.read_text(), str(file))):
        outside, rng = outsiders(situation)[0], random.Random(7)
        ports = [p for p in situation.docker.ports + situation.own_ports if p.is_for(outside)]
        hold(situation, ports, rng)


def hold(situation: Situation, ports: list[Port], rng: random.Random) -> int:
    """What is said of the ports is so for single packets; how many were asked."""
    asked = 0
    for port, said in zip(ports, callers(situation, ports), strict=True):
        for sender in senders(rng, situation) if said else ():
            assert said is not None
            gets_in = said.everybody or any(to_network(n, situation.family).covers(sender) for n in said.networks)
            for number in {port.host_port, port.host_last}:
                seen = arrives(situation, port._replace(host_port=number), sender)
                assert seen == {gets_in} or (said.unsure and not gets_in), (port, number, sender, said)
                asked += 1
    return asked


NETS = ("203.0.113.0/24", "198.18.0.0/15", "10.0.0.0/8", "198.51.100.7/32", "0.0.0.0/1")
SOURCES = ("", *(f"{no}-s {net} " for net in NETS for no in ("", "! ")))
BY_HAND = """*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
{}COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
{}-A POSTROUTING -s 172.18.0.0/16 ! -o br-web -j MASQUERADE
COMMIT
"""


@pytest.mark.parametrize("seed", range(8))
def test_whoever_is_said_to_get_to_a_port_by_hand_does(seed: int) -> None:
    rng, asked = random.Random(seed), 0
    print("seed", seed)
    for _ in range(15):
        nat = [
            f"-A PREROUTING {rng.choice(SOURCES)}{rng.choice(('', '-d 198.18.0.1/32 '))}{rng.choice(('', '-i eth0 '))}-p tcp "
            f"{rng.choice(('', '-m iprange --src-range 10.0.0.1-10.3.0.9 '))}-m tcp --dport {rng.choice(('80', '8080', '8080:8082'))} "
            f"-j DNAT --to-destination {rng.choice(('172.18.0.2:80', '172.18.0.2', '172.18.0.3:81'))}\n"
            for _ in range(rng.randint(1, 3))
        ]
        forward = [
            f"-A FORWARD {rng.choice(SOURCES)}-p tcp -m tcp --dport {rng.choice(('80', '8081'))} -j {rng.choice(('DROP', 'ACCEPT'))}\n"
            for _ in range(rng.randint(0, 3))
        ]
        for situation in situations(read_snapshot(BY_HAND.format("".join(forward), "".join(nat)))):
            asked += hold(situation, situation.own_ports, rng)
    assert asked


@pytest.mark.parametrize(
    ("rules", "reachable", "but", "words"),
    [
        ("", ["anywhere"], None, "What is said of outside holds for every address there."),
        ("-A DOCKER-USER ! -s 192.0.2.0/24 -i eth0 -j DROP\n", ["192.0.2.0/24"], None,
         "Of the addresses outside, 192.0.2.0/24 gets to 8080/tcp; the others are stopped by filter DOCKER-USER rule 1"),
        ("-A DOCKER-USER -s 203.0.113.5/32 -j DROP\n", ["anywhere"], ["203.0.113.5"],
         "Of the addresses outside, all but 203.0.113.5 get to 8080/tcp"),
        ("-A DOCKER-USER -i eth0 -j DROP\n", [], None, "What is said of outside holds for every address there."),
        ("-A DOCKER-USER -i eth0 -m limit --limit 1/sec -j DROP\n", [], None, "unknown"),
    ],
)  # fmt: skip
def test_who_gets_in_is_said(
    tmp_path: Path, rules: str, reachable: list[str], but: list[str] | None, words: str
) -> None:
    file = tmp_path / "rules.v4"
    file.write_text(RULES.format(rules=rules))
    answer = json.loads(CliRunner().invoke(program, ["ports", str(file), "-o", "json"]).stdout)
    assert [r for r in answer["ports"][0]["reachable_from"] if r != "host"] == reachable
    assert answer["ports"][0].get("except") == but
    assert answer["ports"][0]["for_all"] is ("limit" not in rules)
    assert words in " ".join(CliRunner().invoke(program, ["ports", str(file)]).stdout.split())


def test_what_hangs_on_a_limit_is_neither_open_nor_shut(tmp_path: Path) -> None:
    file = tmp_path / "rules.v4"
    file.write_text(RULES.format(rules="-A DOCKER-USER -i eth0 -m limit --limit 1/sec -j DROP\n"))
    shown = CliRunner().invoke(program, ["explain", str(file)]).stdout
    assert "Whether these are open to the outside, no dump shows: 8080/tcp." in shown
    assert "Published, but not reached" not in shown


def test_of_two_backends_one_packet_is_asked_and_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "rules.v4"
    nft = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A FORWARD -s 203.0.113.0/24 -j DROP\nCOMMIT\n"
    of = "# Generated by {} on Tue Nov 24 06:41:09 2026\n".format
    legacy = RULES.format(rules="").replace("*", of("iptables-save v1.8.9") + "*")
    file.write_text(of("iptables-nft-save v1.8.9 (nf_tables)") + nft + legacy)
    answer = json.loads(CliRunner().invoke(program, ["ports", str(file), "-o", "json"]).stdout)
    assert answer["ports"][0]["for_all"] is None
    for command in ("ports", "explain"):
        shown = " ".join(CliRunner().invoke(program, [command, str(file)]).stdout.split())
        assert "it was not worked out for all addresses there, because two iptables have rules" in shown
