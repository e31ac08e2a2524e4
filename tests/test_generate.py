"""Generated rules, held against the Docker hosts that they are made from."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from iptexplain.commands import program
from iptexplain.explain.situation import Situation
from iptexplain.explain.words import remark
from iptexplain.generate.plan import STYLES, FamilyPlan, Plan, plan
from iptexplain.generate.prove import is_proved, prove
from iptexplain.host.snapshot import read_snapshot
from iptexplain.outputs.iptables_restore import restore_text
from iptexplain.walk.flows import Flows
from iptexplain.walk.outcome import Trace
from tests.docker_engines import VERSIONS, Engine
from tests.docker_random import Dice, dump, setup
from tests.docker_setup import Net, Port, Setup

pytestmark = pytest.mark.exhaustive

FIXTURES = Path(__file__).parent.parent / "fixtures"
SNAPSHOTS = sorted(FIXTURES.glob("docker/*/*/snapshot.json"))
DUMPS = sorted(
    path
    for case in ("95-compose-like", "35-usernet-noicc-pub", "60-routed", "43-internal-ipv6")
    for version in ("1.9", "1.13", "17.06", "27.5.1", "28.5.2", "29.7.2")
    for path in FIXTURES.glob(f"docker-dumps/{version}/{case}*.txt")
)
TWO = str(FIXTURES / "docker/20.10/two-networks/snapshot.json")


def label(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def situations(path: Path) -> list[Situation]:
    snapshot = read_snapshot(path.read_text(), path.name)
    return [Situation(snapshot, family) for family in snapshot.families]


def planned(situation: Situation, style: str = "docker", keeps_proxy: bool = False) -> tuple[FamilyPlan, str]:
    """One family's plan, and the file for iptables-restore."""
    one = plan(situation, style, keeps_proxy, frozenset())
    return one, restore_text(Plan((("source", "0" * 64),), "0", style, keeps_proxy, (one,)), one, comments=False)


def generate(*words: str) -> Result:
    return CliRunner().invoke(program, ["generate", "replace", *words])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("path", [*SNAPSHOTS, *DUMPS], ids=label)
def test_rules_are_proved_and_in_chains_of_their_own(path: Path, style: str) -> None:
    for situation in situations(path):
        one, text = planned(situation, style)
        assert is_proved(prove(situation, one, text))
        kept = {c.name for t in situation.ruleset.tables.values() for c in t.chains.values()}
        own = {c.name for t in one.tables for c in t.chains} - kept
        assert all(len(name) <= 28 and not name.startswith("DOCKER") for name in own)
        rules = [line for line in text.splitlines() if not line.startswith("#")]
        assert not re.search(r"\bDOCKER\b", "\n".join(rules))
        assert all(above.startswith("# ") for above, rule in pairwise(text.splitlines()) if rule[:2] == "-A")


@pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda p: p.parent.name)
@pytest.mark.parametrize("style", ["docker", "flat"])
def test_recorded_packets_go_where_they_went(path: Path, style: str) -> None:
    """What a kernel did with a Docker host's packets, and what docker-proxy did with those that it got."""
    probes = json.loads((path.parent / "probes.json").read_text())
    for situation in situations(path):
        mine = [n for n, p in enumerate(probes) if (":" in p["packet"]["src"]) is (situation.family == 6)]
        for keeps_proxy in (True, False):
            one, _ = planned(situation, style, keeps_proxy)
            flows = Flows(one.ruleset, situation.topology)
            for n in mine:
                packet = dict(probes[n]["packet"])
                first = probes[packet.get("after", n)]
                if "after" in packet:
                    packet["after"] = mine.index(packet["after"])
                way = flows.trace(packet)
                if keeps_proxy or not (by_proxy(probes[n]) or by_proxy(first)):
                    compare(probes[n], way)


def compare(probe: dict[str, Any], way: Trace) -> None:
    outcome = probe["outcome"]
    assert way.outcome.kind == outcome["kind"], probe["name"]
    if outcome["kind"] in ("forwarded", "sent", "delivered-local"):
        ends = {k: str(v) for k, v in outcome["tuple"].items() if k in way.outcome.fields}
        assert {k: str(way.outcome.fields[k]) for k in ends} == ends, probe["name"]


def by_proxy(probe: dict[str, Any]) -> bool:
    """Whether the packet was for docker-proxy on the host."""
    return probe["outcome"]["kind"] == "delivered-local" and probe["packet"].get("dport") not in (None, 22)


def test_proxy_is_replaced_by_rules() -> None:
    """A container uses a port of another network by the host's address: it gets there, and comes with the bridge's address."""
    [situation] = situations(Path(TWO))
    one, _ = planned(situation)
    packet = {
        "iif": "br-6940c4dee215",
        "src": "172.19.0.2",
        "dst": "192.0.2.10",
        "proto": "tcp",
        "sport": 40000,
        "dport": 8080,
    }
    flows = Flows(one.ruleset, situation.topology)
    there = flows.trace({**packet, "flags": "SYN"})
    assert (there.outcome.kind, there.outcome.interface) == ("forwarded", "br-f022fcdf43bb")
    assert (str(there.outcome.fields["dst"]), str(there.outcome.fields["src"])) == ("172.18.0.2", "172.18.0.1")
    back = flows.trace(
        {
            "iif": "br-f022fcdf43bb", "src": "172.18.0.2", "dst": "172.18.0.1", "proto": "tcp", "sport": 80, "dport": 40000,
            "flags": "SYN,ACK", "after": 0, "dir": "reply",
        }
    )  # fmt: skip

    assert (back.outcome.kind, back.outcome.interface) == ("forwarded", "br-6940c4dee215")
    straight = flows.trace({**packet, "dst": "172.18.0.2", "dport": 80, "flags": "SYN"})
    assert straight.outcome.kind == "dropped"


def test_what_is_not_meant_to_differ_is_found() -> None:
    [situation] = situations(Path(TWO))
    one, text = planned(situation)
    assert is_proved(prove(situation, one, text))
    assert not is_proved(prove(situation, one._replace(changes=()), text))
    without = one._replace(ruleset=situation.ruleset._replace(tables={}))
    assert not is_proved(prove(situation, without, "*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n"))


def test_strict_closes_and_egress_opens() -> None:
    [situation] = situations(Path(TWO))
    out = {
        "iif": "docker0",
        "src": "172.17.0.2",
        "dst": "198.51.100.9",
        "proto": "tcp",
        "sport": 40000,
        "dport": 443,
        "flags": "SYN",
    }
    for egress, kind in ((frozenset[str](), "dropped"), (frozenset({"docker0"}), "forwarded")):
        one = plan(situation, "strict", False, egress)
        assert Flows(one.ruleset, situation.topology).trace(out).outcome.kind == kind


def test_flat_groups_ports() -> None:
    [situation] = situations(FIXTURES / "docker/20.10/publish-forms/snapshot.json")
    _, text = planned(situation, "flat")
    assert "-p tcp -m multiport --dports 9000:9002 -j DNAT --to-destination 172.17.0.2\n" in text
    assert len(re.findall("^-A", text, re.M)) < len(re.findall("^-A", planned(situation)[1], re.M))


def test_other_rules_stay_where_they_stood() -> None:
    path = FIXTURES / "docker/20.10/docker-user-rules/snapshot.json"
    [situation] = situations(path)
    _, text = planned(situation)
    kept = [
        line.replace("DOCKER-USER", "IPTX-USER")
        for line in situation.dump.lines
        if line.startswith("-A DOCKER-USER") and "RETURN" not in line
    ]
    assert kept
    assert [line for line in text.splitlines() if line.startswith("-A IPTX-USER")] == kept


def test_no_rule_of_the_administrator_is_lost(tmp_path: Path) -> None:
    """One in a chain that nothing jumps to stays there; one for which a style has no place is named."""
    rules = Path(TWO).with_name("rules.v4").read_text()
    own = "-A DOCKER-USER -s 203.0.113.9/32 -j DROP"
    dead = rules.replace("-A FORWARD -j DOCKER-USER\n", "").replace("-A DOCKER-USER", f"{own}\n-A DOCKER-USER", 1)
    (tmp_path / "dead").write_text(dead)
    for style in STYLES:
        result = generate(str(tmp_path / "dead"), "--style", style, "--no-prove")
        assert "-A IPTX-USER -s 203.0.113.9/32 -j DROP\n" in result.stdout
    stray = '-A DOCKER -i eth0 -j LOG --log-prefix "seen "'
    (tmp_path / "stray").write_text(rules.replace("-A DOCKER -d", f"{stray}\n-A DOCKER -d", 1))
    kept = generate(str(tmp_path / "stray"), "--no-prove")
    assert '-A IPTX-PORTS -i eth0 -j LOG --log-prefix "seen "\n' in kept.stdout
    refused = generate(str(tmp_path / "stray"), "--style", "strict", "--no-prove")
    assert refused.exit_code == 2
    assert re.search(r"/stray:\d+: this rule is not Docker's", refused.stderr)
    assert stray in refused.stderr


def test_comments_fit_the_kernel(tmp_path: Path) -> None:
    result = generate(TWO, "--comments", "-o", str(tmp_path / "rules"), "--no-prove")
    assert result.exit_code == 0
    remarks = re.findall(r'--comment "(.*?)"', (tmp_path / "rules").read_text())
    assert remarks
    assert all(0 < len(remark.encode()) <= 255 for remark in remarks)


def test_same_input_gives_same_bytes_and_a_proof(tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        result = generate(TWO, "-o", str(tmp_path / name), "--proof", str(tmp_path / f"{name}.json"))
        assert result.exit_code == 0, result.output
        texts.append(((tmp_path / name).read_bytes(), (tmp_path / f"{name}.json").read_bytes()))
    assert texts[0] == texts[1]
    proof = json.loads(texts[0][1])
    assert proof["schema"] == 1
    assert proof["equal_but_for_deliberate"] is True
    assert {region["deliberate"] for region in proof["regions"]} == {"docker-proxy"}
    assert all(region["witness"] for region in proof["regions"])
    assert "IPv4: proved" in result.stderr


@pytest.mark.parametrize(
    ("dump", "says"),
    [
        ("docker-dumps/17.05/91-swarm-service.ip4.txt", ":19: port 8080/tcp of swarm's routing mesh"),
        ("docker-dumps/29.7.2/92-swarm-encrypted-overlay.ip4.txt", "an encrypted overlay network (VNI 4097)"),
        ("docker-dumps/container-ns", "these are the rules inside of a container"),
    ],
)
def test_what_cannot_be_expressed_is_refused(dump: str, says: str) -> None:
    path = FIXTURES / dump
    result = generate(str(sorted(path.iterdir())[0] if path.is_dir() else path))
    assert result.exit_code == 2
    assert says in result.stderr
    assert not result.stdout


def asking_a_set(family: int, **net: Any) -> tuple[str, str]:
    """A dump as Docker 28.0.0 leaves it, which asks an IP set with its networks' subnets; and that set."""
    nets = {
        4: (Net("docker0", "172.17.0.0/16"), Net("br-web", "192.0.2.0/24", ("192.0.2.2",), **net)),
        6: (Net("docker0", "fd00:17::/64"), Net("br-web", "2001:db8:1::/64", ("2001:db8:1::2",), **net)),
    }[family]
    inner = Net("br-in", {4: "198.51.100.0/24", 6: "2001:db8:2::/64"}[family], internal=True)
    ports = (Port(nets[1], None, 8080, nets[1].containers[0], 80, "tcp"),)
    engine = Engine("28.0.0", Setup((*nets, inner), ports, family=family))
    return dump(Dice(28), engine, crowded=False)[0], engine.ipset()


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("style", STYLES)
def test_a_set_that_docker_fills_is_not_needed(style: str, family: int, tmp_path: Path) -> None:
    text, sets = asking_a_set(family)
    key = {4: "iptables", 6: "ip6tables"}[family]
    (tmp_path / "bare").write_text(text)
    (tmp_path / "snapshot").write_text(json.dumps({key: text, "ipsets": sets}))
    bare, known = (generate(str(tmp_path / name), "--style", style) for name in ("bare", "snapshot"))
    taken = "taken for granted are the subnets of the networks that are not internal: "
    for result, says in ((bare, True), (known, False)):
        assert result.exit_code == 0, result.output
        assert ("proved" in result.stderr, taken in result.stderr, taken in result.stdout) == (True, says, says)
        assert "match-set" not in result.stdout
    rules = [[line for line in result.stdout.splitlines() if line[:1] != "#"] for result in (bare, known)]
    assert rules[0] == rules[1]


def test_where_nobody_tells_what_is_in_the_set_it_is_refused(tmp_path: Path) -> None:
    text, sets = asking_a_set(4, masquerade=False)
    (tmp_path / "bare").write_text(text)
    result = generate(str(tmp_path / "bare"))
    assert result.exit_code == 2
    assert re.search(
        r"/bare:\d+: Docker 28.0.0 asks an IP set, docker-ext-bridges-v4, and what is in it is not", result.stderr
    )
    assert "no rule says which subnet br-web has" in result.stderr
    for name, more in (("sets", {"ipsets": sets}), ("addresses", {"addresses": on_bridge("br-web", "192.0.2.1", 24)})):
        (tmp_path / name).write_text(json.dumps({"iptables": text, **more}))
        result = generate(str(tmp_path / name), "--no-prove")
        assert result.exit_code == 0, result.output
        assert "-d 192.0.2.0/24 -j IPTX-PORTS\n" in result.stdout
    strange = sets.replace("add docker-ext-bridges-v4 192.0.2.0/24", "add docker-ext-bridges-v4 192.0.2.0/24 nomatch")
    (tmp_path / "strange").write_text(json.dumps({"iptables": text, "ipsets": strange}))
    assert "holds something else" in generate(str(tmp_path / "strange")).stderr
    own = text.replace(
        "-A DOCKER-USER ", "-A DOCKER-USER -m set --match-set docker-ext-bridges-v4 src -j DROP\n-A DOCKER-USER ", 1
    )
    (tmp_path / "own").write_text(json.dumps({"iptables": own, "ipsets": sets}))
    result = generate(str(tmp_path / "own"))
    assert (result.exit_code, "this rule asks an IP set that Docker 28.0.0 fills" in result.stderr) == (2, True)


def on_bridge(name: str, address: str, length: int) -> list[dict[str, Any]]:
    """What ip -j address prints of a bridge."""
    return [{"ifname": name, "addr_info": [{"family": "inet", "local": address, "prefixlen": length}]}]


def test_no_docker_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n")
    result = generate(str(tmp_path / "plain"))
    assert result.exit_code == 2
    assert "there are no rules of Docker in it" in result.stderr
    wrong = generate(TWO, "--egress", "docker0")
    assert wrong.exit_code == 2
    assert "--style strict" in wrong.stderr


def test_silence_about_the_proof_is_not_possible(tmp_path: Path) -> None:
    assert "Not proved" in generate(TWO, "--no-prove").stderr
    assert generate(TWO, "--no-prove", "--proof", str(tmp_path / "p")).exit_code == 2


# -- the script

NASTY = (
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    '\\"; touch pwned; \\"',
    "IPTX_RULES",
    "$PATH\\\\",
    "a b\tc",
    "\x7f\x1b[31m",
)


def test_nothing_of_a_dump_reaches_the_shell(tmp_path: Path) -> None:
    """Chains, interfaces and remarks with all that means something to a shell; the script's own checks are run."""
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    for n in range(12):
        chain = "".join(dice.choice("$`'();&|<>*?~#\\%") for _ in range(12)) + "x"
        bridge = "".join(dice.choice("$`'();&|<>*?~#") for _ in range(8))
        remark = dice.choice(NASTY) + "".join(chr(dice.randrange(32, 127)) for _ in range(9)).replace('"', "").replace(
            "\\", ""
        )
        rules = Path(TWO).with_name("rules.v4").read_text().replace("br-f022fcdf43bb", bridge)
        rules = rules.replace(":DOCKER-USER", f":{chain} - [0:0]\n:DOCKER-USER", 1)
        rules = rules.replace("-A DOCKER-USER -j RETURN", f'-A DOCKER-USER -m comment --comment "{remark}" -j {chain}')
        (tmp_path / "dump").write_text(rules)
        result = generate(
            str(tmp_path / "dump"), "--format", "script", "--comments", "--no-prove", "-o", str(tmp_path / f"{n}.sh")
        )
        assert result.exit_code == 0, (seed, result.output)
        for check in (["bash", "-n"], ["sh", "-n"], ["shellcheck"]):
            if shutil.which(check[0]):
                done = subprocess.run([*check, f"{n}.sh"], cwd=tmp_path, capture_output=True, text=True)
                assert done.returncode == 0, (seed, done.stdout + done.stderr)
        # The shell gives back what the restore file has, and does nothing of it.
        text = (tmp_path / f"{n}.sh").read_text().partition("\ncase ${1:-} in")[0] + "\nrules 4\n"
        shown = subprocess.run(["sh"], input=text, cwd=tmp_path, capture_output=True, text=True)
        read = [line for line in shown.stdout.splitlines() if line.startswith("-A")]
        generate(str(tmp_path / "dump"), "--comments", "--no-prove", "-o", str(tmp_path / "restore"))
        assert read == [line for line in (tmp_path / "restore").read_text().splitlines() if line.startswith("-A")], seed
        assert read
        assert not (tmp_path / "pwned").exists(), seed


def test_script_without_a_word_says_how_to_use_it(tmp_path: Path) -> None:
    assert generate(TWO, "--format", "script", "--no-prove", "-o", str(tmp_path / "s.sh")).exit_code == 0
    done = subprocess.run(["sh", "s.sh"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Usage: sh s.sh check | apply")


@pytest.mark.parametrize("version", VERSIONS)
def test_hosts_that_nobody_recorded_are_proved(version: str) -> None:
    """Other names, subnets, orders and neighbours, and rules of other programs between Docker's. Where the host itself forwards
    nothing (mangle's policy), rules cannot carry what docker-proxy carried: that is told, and nothing else."""
    seed = random.randrange(2**32)
    dice = Dice(seed)
    engine = Engine(version, setup(dice, version, 4)._replace(mesh=()))
    text, _ = dump(dice, engine, crowded=True)
    situation = Situation(read_snapshot(json.dumps({"iptables": text, "ipsets": engine.ipset()}), "dump"), 4)
    for style in ("docker", "flat"):
        one, rendered = planned(situation, style)
        strangers = [flow for step in prove(situation, one, rendered) for flow in step.strangers]
        if strangers:
            table = situation.ruleset.chain("mangle", "FORWARD")
            assert table and table.policy == "DROP", (seed, style)
            assert {flow.kind for flow in strangers} == {"closed"}, (seed, style)
            assert is_proved(prove(situation, *planned(situation, style, keeps_proxy=True))), (seed, style)


def test_comments_of_many_networks_are_lines_that_can_be_loaded(tmp_path: Path) -> None:
    """A sentence of the header names them all; iptables-restore reads no line beyond 10,239 bytes."""
    dump = ["*filter", ":INPUT ACCEPT [0:0]", ":FORWARD ACCEPT [0:0]", ":OUTPUT ACCEPT [0:0]", ":DOCKER - [0:0]", ":DOCKER-USER - [0:0]",
            ":DOCKER-ISOLATION-STAGE-1 - [0:0]", ":DOCKER-ISOLATION-STAGE-2 - [0:0]", "-A FORWARD -j DOCKER-USER",
            "-A FORWARD -j DOCKER-ISOLATION-STAGE-1"]  # fmt: skip
    bridges = [f"br-{n:012x}" for n in range(400)]
    for name in bridges:
        dump += [f"-A FORWARD -o {name} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", f"-A FORWARD -o {name} -j DOCKER",
                 f"-A FORWARD -i {name} ! -o {name} -j ACCEPT", f"-A FORWARD -i {name} -o {name} -j ACCEPT"]  # fmt: skip
    for name in bridges:
        dump.append(f"-A DOCKER-ISOLATION-STAGE-1 -i {name} ! -o {name} -j DOCKER-ISOLATION-STAGE-2")
    dump += [f"-A DOCKER-ISOLATION-STAGE-2 -o {name} -j DROP" for name in bridges]
    dump += [
        "-A DOCKER-ISOLATION-STAGE-1 -j RETURN",
        "-A DOCKER-ISOLATION-STAGE-2 -j RETURN",
        "-A DOCKER-USER -j RETURN",
        "COMMIT",
        "",
    ]
    (tmp_path / "rules.v4").write_text("\n".join(dump))
    result = CliRunner().invoke(program, ["generate", "replace", str(tmp_path / "rules.v4"), "--no-prove"])
    comments = [line for line in result.stdout.splitlines() if line.startswith("#")]
    assert result.exit_code == 0 and max(map(len, comments)) <= 142
    assert set(bridges) <= set(" ".join(comments).replace(",", " ").replace(":", " ").split())


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ["# short"]),
        ("", ["#"]),
        (f"  {'word ' * 30}", [f"#   {' '.join(['word'] * 27)}", "#   word word word"]),
        ("x" * 2500, ["# " + "x" * 2000, "# " + "x" * 500]),
    ],
)
def test_remarks(text: str, lines: list[str]) -> None:
    assert remark(text).split("\n") == lines


def test_the_proof_says_what_it_is_of_when_the_rules_are_for_nft() -> None:
    source = str(FIXTURES / "docker/20.10/two-networks/snapshot.json")
    for syntax, said in (("nft", True), ("restore", False)):
        result = CliRunner().invoke(program, ["generate", "replace", source, "--format", syntax])
        assert result.exit_code == 0
        assert ("these rules as iptables spells them" in result.stderr) is said
