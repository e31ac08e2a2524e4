"""The trace, held against what a real kernel did with the probes of real Docker hosts (fixtures/docker/*/*/probes.json)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from iptexplain.explain.situation import Situation, situations, verdict
from iptexplain.explain.way import trace_facts, trace_json, why
from iptexplain.host.snapshot import read_snapshot
from iptexplain.rules.addresses import to_address
from iptexplain.rules.model import Place
from iptexplain.walk.flows import Flows
from iptexplain.walk.packet import Packet
from iptexplain.walk.trace import trace

FIXTURES = Path(__file__).parent.parent / "fixtures"
CASES = sorted(p.parent for p in FIXTURES.glob("docker/*/*/probes.json"))


def asked(case: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(probe, answer) of a case, in order; both families."""
    text = (case / "snapshot.json").read_text()
    probes = json.loads((case / "probes.json").read_text())
    flows: dict[int, tuple[Situation, Flows]] = {}
    numbers: list[tuple[int, int]] = []
    answers = []
    for probe in probes:
        packet = dict(probe["packet"])
        family = 6 if ":" in packet["src"] else 4
        if family not in flows:
            situation = Situation(read_snapshot(text, "snapshot.json"), family)  # type: ignore[arg-type]
            flows[family] = (situation, Flows(situation.ruleset, situation.topology))
        situation, walker = flows[family]
        if "after" in packet:
            packet["after"] = numbers[packet["after"]][1]
        numbers.append((family, len(walker.sent)))
        answers.append((probe, trace_json(situation, walker.trace(packet))))
    return answers


@pytest.mark.parametrize("case", CASES, ids=lambda p: p.name)
def test_kernel_took_the_same_way(case: Path) -> None:
    for probe, answer in asked(case):
        steps = [(s["table"], s["chain"], s["rule"], s["action"]) for s in answer["steps"]]
        wanted = [(s["table"], s["chain"], s["rule"], s["action"]) for s in probe["steps"]]
        assert steps == wanted, probe["name"]
        outcome = probe["outcome"]
        assert answer["outcome"]["kind"] == outcome["kind"], probe["name"]
        assert answer["ctstate"] == probe.get("ctstate", answer["ctstate"]), probe["name"]
        if outcome["kind"] in ("forwarded", "sent", "delivered-local"):
            assert answer["outcome"]["iface"] == outcome["iface"], probe["name"]
            ends = {k: v for k, v in outcome["tuple"].items() if k in answer["outcome"]["tuple"]}
            assert answer["outcome"]["tuple"] | ends == answer["outcome"]["tuple"], probe["name"]


def small(rules: str) -> Situation:
    return Situation(read_snapshot(f"*filter\n{rules}COMMIT\n", "small"), 4)


def test_unknown_forks_and_is_never_guessed() -> None:
    """A limit decides between ACCEPT and the policy: the answer is unknown, with both ends and the rule that would tell."""
    situation = small(":INPUT DROP [0:0]\n-A INPUT -p tcp -m limit --limit 3/min -j ACCEPT\n")
    answer = situation.probe(situation.end("internet"), situation.end("host:22"))
    assert answer.outcome.kind == "unknown"
    assert {b.kind for b in answer.outcome.branches} == {"dropped", "delivered-local"}
    assert [u.place.line for u in answer.unknowns] == [3]


def test_unknown_that_does_not_matter_is_definite() -> None:
    situation = small(":INPUT DROP [0:0]\n-A INPUT -p tcp -m limit --limit 3/min -j LOG\n")
    answer = situation.probe(situation.end("internet"), situation.end("host:22"))
    assert (answer.outcome.kind, len(answer.unknowns)) == ("dropped", 1)


def test_a_definite_no_needs_no_decision() -> None:
    situation = small("-A INPUT -p udp -m limit --limit 3/min -j DROP\n")
    assert situation.probe(situation.end("internet"), situation.end("host:22")).unknowns == ()


def test_branches_are_bounded() -> None:
    """Twenty undecidable rules are a million ways: the walk stops, and says unknown."""
    rules = "".join(f"-A INPUT -m limit --limit {n}/min -j MARK --set-mark {n}\n" for n in range(1, 21))
    situation = small(f"{rules}-A INPUT -m statistic --mode random --probability 0.5 -j DROP\n")
    assert situation.probe(situation.end("internet"), situation.end("host:22")).outcome.kind == "unknown"


def ladder(chains: int, entry: str = "-A INPUT -j L0") -> str:
    """Each chain jumps twice to the next one."""
    declared = "".join(f":L{n} - [0:0]\n" for n in range(chains + 1))
    return f"{declared}{entry}\n" + "".join(f"-A L{n} -j L{n + 1}\n" * 2 for n in range(chains))


def test_chains_that_are_asked_again_and_again_are_followed_so_far() -> None:
    """A thousand million rules: the walk stops, says at which jump, and that it is unknown; a few thousand are followed to their end."""
    situation = small(f"{ladder(30)}-A L30 -p tcp -j DROP\n-A L30 -j ACCEPT\n")
    for proto, kind in (("tcp", "dropped"), ("udp", "delivered-local")):
        answer = situation.probe(situation.end("internet"), situation.end("host:22"), proto)
        assert (answer.outcome.kind, len(answer.steps)) == (kind, 32)
    situation = small(f"{ladder(30)}-A L30 -p icmp -j DROP\n")
    answer = situation.probe(situation.end("internet"), situation.end("host:22"))
    assert (answer.outcome.kind, answer.outcome.branches) == ("unknown", ())
    assert isinstance(answer.outcome.by, Place) and answer.outcome.by.chain.startswith("L")
    told = why(trace_facts(situation, answer))
    assert f"filter {answer.outcome.by.chain} rule {answer.outcome.by.rule}" in told and "asked before" in told
    situation = small(f"{ladder(10)}-A L10 -p icmp -j DROP\n")
    answer = situation.probe(situation.end("internet"), situation.end("host:22"))
    assert (answer.outcome.kind, len(answer.steps)) == ("delivered-local", 2**11)


def test_chains_deep_in_each_other() -> None:
    chains = "".join(f":D{n} - [0:0]\n" for n in range(3001))
    jumps = "".join(f"-A D{n} -j D{n + 1}\n" for n in range(3000))
    situation = small(f"{chains}-A INPUT -j D0\n{jumps}-A D3000 -j DROP\n")
    answer = situation.probe(situation.end("internet"), situation.end("host:22"))
    assert (answer.outcome.kind, len(answer.steps)) == ("dropped", 3002)


def test_a_way_that_is_too_long_beside_others() -> None:
    """What nobody can decide is whether the packet gets there: both ends are told."""
    situation = small(
        f"{ladder(30, '-A INPUT -m limit --limit 1/sec -j L0')}\n-A INPUT -j DROP\n-A L30 -p icmp -j DROP\n"
    )
    answer = situation.probe(situation.end("internet"), situation.end("host:22"))
    assert (answer.outcome.kind, {b.kind for b in answer.outcome.branches}) == ("unknown", {"dropped", "unknown"})
    assert "may come to more rules than are followed" in why(trace_facts(situation, answer))


@pytest.mark.parametrize(
    ("rules", "steps"),
    [
        (":a - [0:0]\n:b - [0:0]\n-A INPUT -g a\n-A INPUT -j DROP\n-A a -j b\n-A b -j RETURN\n",
         ["goto:a", "jump:b", "RETURN", "ACCEPT"]),
        (":a - [0:0]\n-A INPUT -j a\n-A INPUT -j DROP\n-A a -j RETURN\n-A a -j ACCEPT\n", ["jump:a", "RETURN", "DROP"]),
        ("-A INPUT -j RETURN\n-A INPUT -j DROP\n", ["RETURN", "ACCEPT"]),
    ],
)  # fmt: skip
def test_jumps_gotos_and_returns(rules: str, steps: list[str]) -> None:
    """A goto does not come back; RETURN in a base chain is its policy."""
    situation = small(rules)
    answer = situation.probe(situation.end("internet"), situation.end("host:22"))
    assert [s.action for s in answer.steps] == steps


def test_routing_without_forwarding_route_or_ttl() -> None:
    text = (FIXTURES / "docker/20.10/two-networks/snapshot.json").read_text()
    situation = Situation(read_snapshot(text, "s"), 4)
    packet = {"iif": "eth0", "src": to_address("192.0.2.50"), "dst": to_address("172.17.0.2"), "proto": "tcp",
              "sport": 1, "dport": 80}  # fmt: skip
    assert trace(situation.ruleset, situation.topology, Packet({**packet, "ttl": 1})).outcome.by == "ttl"
    situation.topology.sysctls["net.ipv4.ip_forward"] = 0
    assert trace(situation.ruleset, situation.topology, Packet(packet)).outcome.by == "no-forwarding"
    situation.topology.sysctls["net.ipv4.ip_forward"] = 1
    situation.topology.routes.clear()
    assert trace(situation.ruleset, situation.topology, Packet(packet)).outcome.by == "no-route"


def test_bridged_packets_pass_no_rule_without_bridge_nf_call() -> None:
    text = (FIXTURES / "docker/20.10/two-networks/snapshot.json").read_text()
    ways = []
    for call in (1, 0):
        situation = Situation(read_snapshot(text, "s"), 4)
        situation.topology.sysctls["net.bridge.bridge-nf-call-iptables"] = call
        ways.append(situation.probe(situation.end("both"), situation.end("web:80")))
    assert [bool(w.steps) for w in ways] == [True, False]
    assert all(w.outcome.kind == "forwarded" and w.outcome.bridged for w in ways)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--from", "172.17.0.2", "--to", "172.18.0.2:80"], 0),
        (["--from", "172.17.0.2", "--to", "172.18.0.2:80", "--exit-code"], 1),
        (["--from", "internet", "--to", "host:8080", "--exit-code"], 0),
        (["--from", "nobody", "--to", "host"], 2),
        (["--to", "host"], 2),
        (["--from", "host", "--to", "internet", "--set", "nonsense=1"], 2),
        (["--from", "host", "--to", "2001:db8::1"], 2),
    ],
)
def test_exit_status(arguments: list[str], status: int) -> None:
    rules = str(FIXTURES / "docker/20.10/two-networks/rules.v4")
    assert CliRunner().invoke(program, ["trace", rules, *arguments]).exit_code == status


LIMITED = "*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp --dport 22 -m limit --limit 3/min -j ACCEPT\nCOMMIT\n"


@pytest.mark.parametrize(
    ("options", "unknown", "dropped"),
    [([], 0, 0), (["--exit-code"], 1, 1), (["--strict"], 4, 0), (["--strict", "--exit-code"], 4, 1)],
)
def test_exit_status_of_an_unknown_answer(options: list[str], unknown: int, dropped: int, tmp_path: Path) -> None:
    rules, packets = tmp_path / "rules", tmp_path / "packets"
    rules.write_text(LIMITED)
    for port, status in ((22, unknown), (23, dropped)):
        packet = {"iif": "lo", "src": "127.0.0.1", "dst": "127.0.0.1", "proto": "tcp", "dport": port}
        for asked in (["--from", "internet", "--to", f"host:{port}"], ["--packets", str(packets)]):
            packets.write_text(json.dumps(packet))
            assert CliRunner().invoke(program, ["trace", str(rules), *asked, *options]).exit_code == status, asked


@pytest.mark.parametrize(
    ("fields", "sysctls", "reason"),
    [
        ({"src": "127.0.0.1", "dst": "192.0.2.10"}, {}, "martian"),
        ({"src": "192.0.2.50", "dst": "127.0.0.1"}, {}, "martian"),
        ({"src": "192.0.2.50", "dst": "127.0.0.1"}, {"net.ipv4.conf.eth0.route_localnet": 1}, None),
        ({"src": "172.17.0.1", "dst": "192.0.2.10"}, {}, "martian"),
        ({"src": "172.17.0.9", "dst": "192.0.2.10"}, {}, None),
        ({"src": "172.17.0.9", "dst": "192.0.2.10"}, {"net.ipv4.conf.all.rp_filter": 1}, "rp_filter"),
        ({"src": "172.17.0.9", "dst": "192.0.2.10"}, {"net.ipv4.conf.all.rp_filter": 2}, None),
    ],
)
def test_what_routing_refuses(fields: dict[str, str], sysctls: dict[str, int], reason: str | None) -> None:
    text = (FIXTURES / "docker/20.10/two-networks/snapshot.json").read_text()
    situation = Situation(read_snapshot(text, "s"), 4)
    situation.topology.sysctls.update(sysctls)
    ends = {k: to_address(v) for k, v in fields.items()}
    packet = Packet({"iif": "eth0", "proto": "tcp", "sport": 1, "dport": 22, **ends})
    outcome = trace(situation.ruleset, situation.topology, packet).outcome
    assert outcome.by == reason


def test_ports_of_a_connection_without_ports_are_unknown() -> None:
    situation = small("-A INPUT -p gre -m conntrack --ctorigdstport 80 -j DROP\n")
    answer = situation.probe(situation.end("internet"), situation.end("host"), "gre")
    assert answer.outcome.kind == "unknown"


@pytest.mark.parametrize(("known", "kind"), [(True, "dropped"), (False, "forwarded")])
def test_a_missing_neighbour_is_one_only_where_a_snapshot_lists_them(known: bool, kind: str) -> None:
    """A dump names some containers; that another one is not named does not mean that it is not there."""
    dump = (
        "*nat\n-A PREROUTING -p tcp -j DNAT --to-destination 172.17.0.9\n"
        "-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE\nCOMMIT\n"
        "*filter\n-A FORWARD -d 172.17.0.2/32 -i docker0 -o docker0 -j ACCEPT\nCOMMIT\n"
    )
    situation = Situation(read_snapshot(dump, "small"), 4)
    situation.topology.known_addresses = known
    answer = situation.probe(situation.end("172.17.0.2"), situation.end("internet:80"))
    assert answer.outcome.kind == kind


def test_a_packet_without_ports_has_none_in_the_end_either() -> None:
    """A packet of the host's own that rules changed and that has no way any more ends as it was."""
    situation = Situation(read_snapshot("*mangle\n-A OUTPUT -j MARK --set-mark 1\nCOMMIT\n", "small"), 4)
    ends = {"src": to_address("127.0.0.1"), "dst": to_address("192.0.2.50")}
    outcome = trace(situation.ruleset, situation.topology, Packet({"iif": "", "proto": "gre", **ends})).outcome
    assert (outcome.by, outcome.fields["mark"]) == ("martian", 0)
    assert not {"sport", "dport"} & set(outcome.fields)


MAYBE_MASQUERADED = """*filter
:INPUT ACCEPT [0:0]
:FORWARD {policy} [0:0]
:OUTPUT ACCEPT [0:0]
{rules}COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -o eth1 -m set --match-set far src -j SNAT --to-source 192.0.2.9
COMMIT
"""


@pytest.mark.parametrize(
    ("policy", "rules", "expected"),
    [
        ("ACCEPT", "", "accepted"),
        ("DROP", "", "dropped"),
        ("ACCEPT", "-A FORWARD -m set --match-set far src -j DROP\n", "unknown"),
    ],
)
def test_what_arrives_with_one_source_or_another_arrives(policy: str, rules: str, expected: str) -> None:
    facts = {
        "schema": 1, "iptables": MAYBE_MASQUERADED.format(policy=policy, rules=rules),
        "addresses": [
            {"ifname": name, "addr_info": [{"family": "inet", "local": address, "prefixlen": 24}]}
            for name, address in (("eth0", "198.51.100.1"), ("eth1", "192.0.2.1"))
        ],
        "routes": [{"dst": "198.51.100.0/24", "dev": "eth0"}, {"dst": "192.0.2.0/24", "dev": "eth1"}],
    }  # fmt: skip
    situation = situations(read_snapshot(json.dumps(facts)))[0]
    way = situation.probe(situation.end("198.51.100.7"), situation.end("192.0.2.50"))
    assert verdict(way) == expected
