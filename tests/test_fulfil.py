"""Wishes that rules of the administrator's stand in the way of: the answer says so first, with the rule and a packet that proves it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iptexplain.commands import program
from iptexplain.explain.situation import Situation, situation_of
from iptexplain.generate.between import Service, allow, isolate, sides
from iptexplain.generate.restrict import Restriction, restrict
from iptexplain.generate.wish import Wish, prove, with_wish
from iptexplain.host.snapshot import read_snapshot
from iptexplain.rules.addresses import to_address, to_network
from iptexplain.rules.parse import parse
from iptexplain.walk.packet import Packet
from iptexplain.walk.trace import trace
from tests.test_dumps import FIXTURES

TWO = FIXTURES / "docker/20.10/two-networks/snapshot.json"
JUMP = "-A FORWARD -j DOCKER-USER"
END = "-A DOCKER-USER -j RETURN"
N1, N2 = "br-f022fcdf43bb", "br-6940c4dee215"
RESTRICT = ["restrict", "DUMP", "--port", "8080", "--from", "192.0.2.0/24"]
ALLOW = ["allow", "DUMP", "n1", "db:5432"]
ISOLATE = ["isolate", "DUMP", "n1", "n2"]


def changed(folder: Path, old: str, new: str, sysctls: dict[str, int] | None = None) -> Path:
    """The host with two networks, with other rules."""
    facts = json.loads(TWO.read_text())
    assert old in facts["iptables"]
    facts["iptables"] = facts["iptables"].replace(old, new, 1)
    facts["sysctls"] = {**facts.get("sysctls", {}), **(sysctls or {})}
    (folder / "dump.json").write_text(json.dumps(facts))
    return folder / "dump.json"


def run(words: list[str], dump: Path) -> Result:
    return CliRunner().invoke(program, ["generate", *(str(dump) if word == "DUMP" else word for word in words)])


def table(name: str, chains: str, rule: str) -> str:
    return "\n".join([f"*{name}", *(f":{chain} ACCEPT [0:0]" for chain in chains.split()), rule, "COMMIT", "*filter"])


@pytest.mark.parametrize(
    ("words", "old", "new", "why", "do"),
    [
        (RESTRICT, JUMP, f"-A FORWARD -i eth0 -j ACCEPT\n{JUMP}", "accepted by filter FORWARD rule 1 (DUMP line 10)", "asked first"),
        (RESTRICT, JUMP, f"-A FORWARD -i vpn0 -j ACCEPT\n{JUMP}", "192.0.2.10:8080/tcp in by vpn0", "I FORWARD 1 -j DOCKER-USER"),
        (RESTRICT, JUMP, "-A FORWARD -i eth1 -j DOCKER-USER", "accepted by filter DOCKER rule 1 (DUMP line 24)", "never get to DOCKER-USER"),
        ([*RESTRICT, "--drop-rest"], JUMP, f"-A FORWARD -d 172.18.0.2/32 -p udp -j ACCEPT\n{JUMP}",
         f"Nothing else is to get to the containers of {N1}", "asked first"),
        (RESTRICT, JUMP, f"-A FORWARD -m limit --limit 5/min -j ACCEPT\n{JUMP}", "PERHAPS NOT fulfilled", "do not get to DOCKER-USER"),
        (ISOLATE, JUMP, f"-A FORWARD -j ACCEPT\n{JUMP}", "Nothing is to get from n2 to n1", "asked first"),
        (ISOLATE, JUMP, f"-A FORWARD -d 172.19.0.2/32 -p icmp -j ACCEPT\n{JUMP}", "packets: icmp, from 172.18.0.0/16, to 172.19.0.2", ""),
        (ALLOW, END, f"-A DOCKER-USER -i {N1} -j DROP\n{END}", "dropped by filter DOCKER-USER rule 1 (DUMP line 34)", "--before"),
        (ALLOW, END, f"-A DOCKER-USER -p tcp -m tcp --dport 5432 -j REJECT\n{END}", "rejected by filter DOCKER-USER rule 1", "--before"),
        (ALLOW, END, f"-A DOCKER-USER -s 172.18.0.9/32 -j DROP\n{END}", "172.18.0.9:40000 → 172.19.0.2:5432/tcp", "--before"),
        (ALLOW, END, f"-A DOCKER-USER -i {N2} -j DROP\n{END}", "The answers of db are to get back to n1", "--before"),
        (ALLOW, END, f"-A DOCKER-USER -m conntrack --ctstate ESTABLISHED -j DROP\n{END}", "The answers of db are to", "--before"),
        (ALLOW, END, f"-A DOCKER-USER -m recent --rcheck --name x -j DROP\n{END}", "PERHAPS NOT fulfilled", "--before"),
        (ALLOW, JUMP, f"-A FORWARD -i {N1} -o {N2} -j DROP\n{JUMP}", "dropped by filter FORWARD rule 1", "never get to DOCKER-USER"),
        (ALLOW, "*filter", table("mangle", "PREROUTING INPUT FORWARD OUTPUT POSTROUTING", "-A FORWARD -s 172.18.0.2/32 -j DROP"),
         "dropped by mangle FORWARD rule 1", "the table mangle is asked by itself"),
        (ALLOW, "*filter", table("raw", "PREROUTING OUTPUT", f"-A PREROUTING -d 172.19.0.1/32 -i {N2} -j DROP"),
         "The answers of db are to get back to n1", "the table raw is asked by itself"),
    ],
)  # fmt: skip
def test_what_stands_in_the_way_is_said_first(
    words: list[str], old: str, new: str, why: str, do: str, tmp_path: Path
) -> None:
    result = run(words, changed(tmp_path, old, new))
    assert result.exit_code == 1
    assert "NOT fulfilled" in result.stderr.splitlines()[0] and "proved for all packets" not in result.stderr
    assert why in result.stderr and do in result.stderr
    assert "PERHAPS" in result.stderr or "; a trace of it says the same." in result.stderr


def test_allow_before_the_rule_that_stands_in_the_way(tmp_path: Path) -> None:
    dump = changed(tmp_path, END, f"-A DOCKER-USER -i {N1} -j DROP\n{END}")
    result = run([*ALLOW, "--before"], dump)
    assert result.exit_code == 0, result.stderr
    assert "iptables -I DOCKER-USER 1 " in result.stdout and "proved for all packets" in result.stderr


def test_policy_before_the_rules_that_stand_in_the_way(tmp_path: Path) -> None:
    dump = changed(tmp_path, END, f"-A DOCKER-USER -i {N1} -j DROP\n{END}")
    (tmp_path / "policy.yaml").write_text("allow: [{from: n1, to: 'db:5432'}]\nisolate: [[docker0, n2]]\n")
    words = ["policy", str(tmp_path / "policy.yaml"), "DUMP"]
    assert run(words, dump).exit_code == 1
    assert run([*words, "--before"], dump).exit_code == 0


def test_packets_within_a_bridge_that_rules_do_not_see(tmp_path: Path) -> None:
    dump = changed(tmp_path, JUMP, JUMP, {"net.bridge.bridge-nf-call-iptables": 0})
    result = run(["isolate", "DUMP", "web", "both"], dump)
    assert result.exit_code == 1
    assert "net.bridge.bridge-nf-call-iptables is 1" in result.stderr


def test_a_drop_of_the_other_backend(tmp_path: Path) -> None:
    """A packet must pass both backends' rules."""
    other = "\n# Generated by iptables-legacy-save v1.8.9 on x\n*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"
    facts = json.loads(TWO.read_text())
    facts["iptables"] = "# iptables-nft-save\n" + facts["iptables"] + other
    (tmp_path / "dump.json").write_text(json.dumps(facts))
    result = run(ALLOW, tmp_path / "dump.json")
    assert result.exit_code == 1
    assert "NOT fulfilled" in result.stderr.splitlines()[0] and "the policy of filter FORWARD" in result.stderr


def test_neighbours_with_link_local_addresses_are_kept_from_docker_proxy() -> None:
    dump = FIXTURES / "docker-dumps/29.7.2/23-usernet-ipv6-pub-any.ip6.txt"
    result = run(["restrict", "DUMP", "--port", "8080", "--from", "2001:db8:7::/64"], dump)
    assert result.exit_code == 0, result.stderr
    assert "ip6tables -I INPUT 1 -s fe80::/10 ! -i lo " in result.stdout


def test_link_local_clients_leave_the_others_open() -> None:
    """Who names some of them keeps them all, and is told so."""
    dump = FIXTURES / "docker-dumps/29.7.2/23-usernet-ipv6-pub-any.ip6.txt"
    result = run(["restrict", "DUMP", "--port", "8080", "--from", "fe80::7"], dump)
    assert result.exit_code == 1
    assert "not by docker-proxy either, but some packets do" in result.stderr


@pytest.mark.parametrize("words", [["isolate", "DUMP", "br-1", "br-2"], ["allow", "DUMP", "br-1", "br-2:80"]])
def test_networks_whose_addresses_nobody_knows(words: list[str], tmp_path: Path) -> None:
    """No packet can be asked about, which is no proof."""
    rules = "".join(
        f"-A FORWARD -o {b} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -o {b} -j DOCKER\n"
        f"-A FORWARD -i {b} ! -o {b} -j ACCEPT\n-A FORWARD -i {b} -o {b} -j ACCEPT\n"
        for b in ("br-1", "br-2")
    )
    chains = "".join(f":{name} - [0:0]\n" for name in ("DOCKER", "DOCKER-USER"))
    (tmp_path / "rules.v4").write_text(
        f"*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n{chains}{JUMP}\n{rules}{END}\nCOMMIT\n"
    )
    result = run(words, tmp_path / "rules.v4")
    assert result.exit_code == 1
    assert "IPv4: not proved. The rules do not tell which addresses are behind br-1 and br-2" in result.stderr


def test_missed_wishes_as_json(tmp_path: Path) -> None:
    dump, file = changed(tmp_path, JUMP, f"-A FORWARD -i eth0 -j ACCEPT\n{JUMP}"), tmp_path / "proof.json"
    assert run([*RESTRICT, "--proof", str(file)], dump).exit_code == 1
    proof = json.loads(file.read_text())
    assert proof["fulfilled"] is False
    [missed] = proof["missed"]
    assert (missed["wish"], missed["port"], missed["fate"]) == ("restrict", "8080/tcp", "accepted")
    assert missed["by"] == {"table": "filter", "chain": "FORWARD", "rule": 1, "line": 10} and missed["confirmed"]


# -- random rules before the jump and in DOCKER-USER: what is said to be fulfilled is so for packets that are traced one by one

CONDITIONS = ("-i eth0", f"-i {N1}", f"-i {N2}", "-s 192.0.2.128/25", "-s 172.18.0.0/30", "-d 172.19.0.2/32", "-p tcp -m tcp --dport 5432",
              "-p tcp -m tcp --sport 5432", "-p tcp -m tcp --dport 80", "-m conntrack --ctstate ESTABLISHED", f"-o {N1}", "-p udp")  # fmt: skip


def random_rules(rng: random.Random, chain: str) -> list[str]:
    chosen = [rng.sample(CONDITIONS, rng.randint(1, 2)) for _ in range(rng.randint(0, 2))]
    plain = [some for some in chosen if sum("-p " in c for c in some) < 2 and len({c[:2] for c in some}) == len(some)]
    return [f"-A {chain} {' '.join(some)} -j {rng.choice(('ACCEPT', 'DROP', 'RETURN'))}" for some in plain]


@pytest.mark.parametrize("number", range(25))
def test_what_is_said_to_be_fulfilled_is_so(number: int, tmp_path: Path) -> None:
    rng = random.Random(number)
    before, inside = random_rules(rng, "FORWARD"), random_rules(rng, "DOCKER-USER")
    dump = changed(tmp_path, JUMP, "\n".join([*before, JUMP]))
    facts = json.loads(dump.read_text())
    facts["iptables"] = facts["iptables"].replace(END, "\n".join([*inside, END]))
    here = situation_of(read_snapshot(json.dumps(facts), "dump"), 4)
    one, other = sides(here, "n1"), sides(here, "db")
    ports = [port for port in here.docker.ports if port.host_port == 8080]
    for name, wish in (
        ("restrict", restrict(here, [Restriction(ports, [to_network("192.0.2.0/24")], False)])),
        ("allow", allow(here, one, other, Service("tcp", 5432))),
        ("isolate", isolate(here, one, other)),
    ):
        missed = prove(here, wish).fulfilment.missed
        kept = all(KEPT[name](here, wish, rng) for _ in range(25))
        assert kept or missed, (name, before, inside)
        assert all(one.is_confirmed for one in missed), (name, before, inside)


def sent(here: Situation, wish: Wish, **fields: object) -> tuple[str, str]:
    """Where a first packet goes with the new rules, and where its answer."""
    made = parse(with_wish(here, wish), "RESULT")
    result = Situation(here.snapshot._replace(dumps=(made,)), 4)
    packet = {"sport": 40000, "proto": "tcp", "flags": frozenset({"SYN"}), **fields}
    for end in ("src", "dst"):
        packet[end] = to_address(str(packet[end]))
    way = trace(result.ruleset, here.topology, Packet(packet))
    back = result.answer_to(way)
    return way.outcome.kind, back.outcome.kind if back else ""


def _keeps_out(here: Situation, wish: Wish, rng: random.Random) -> bool:
    where, source = rng.choice([("eth0", "198.51.100.7"), ("eth0", "203.0.113.9"), ("vpn0", "10.9.8.7")])
    return sent(here, wish, iif=where, src=source, dst="192.0.2.10", dport=8080)[0] == "dropped"


def _lets_through(here: Situation, wish: Wish, rng: random.Random) -> bool:
    source = f"172.18.{rng.choice((0, 0, 7))}.{rng.choice((2, 3, 4, 9))}"
    return sent(here, wish, iif=N1, src=source, dst="172.19.0.2", dport=5432) == ("forwarded", "forwarded")


def _keeps_apart(here: Situation, wish: Wish, rng: random.Random) -> bool:
    ends = [(N1, f"172.18.0.{rng.choice((2, 3, 9))}"), (N2, "172.19.0.2")]
    (where, source), (_, target) = ends if rng.random() < 0.5 else reversed(ends)
    return sent(here, wish, iif=where, src=source, dst=target, dport=rng.choice((80, 5432, 9)))[0] == "dropped"


KEPT = {"restrict": _keeps_out, "allow": _lets_through, "isolate": _keeps_apart}
