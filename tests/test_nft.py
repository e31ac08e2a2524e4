"""A dump in the language of nftables. Each extension's own form is in fixtures/*/*.t; tests/kernel/test_nft.py asks nft and the kernel."""

from __future__ import annotations

import json
import random
import re
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from iptexplain.commands import program
from iptexplain.host.ipsets import IpSets
from iptexplain.outputs.nft_elements import apart
from iptexplain.rules.addresses import Address
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


# -- IP sets

SETS = """\
create blocked hash:net family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x1
add blocked 10.0.0.0/8
add blocked 10.1.0.0/16 nomatch
add blocked 192.0.2.7
create web.1 hash:ip,port family inet hashsize 1024 maxelem 500 timeout 300 bucketsize 12 initval 0x1
add web.1 192.0.2.7,tcp:80 timeout 20
add web.1 192.0.2.8,udp:53
create all list:set size 8
add all blocked
add all web.1
create pings hash:ip,port family inet hashsize 1024 maxelem 65536
add pings 192.0.2.7,icmp:8/0
create counted hash:ip family inet hashsize 1024 maxelem 65536 counters
create both hash:net,net family inet hashsize 1024 maxelem 65536
add both 10.0.0.0/8,10.0.0.0/8
add both 10.1.0.0/16,10.1.0.0/16 nomatch
create doors hash:net,iface family inet hashsize 1024 maxelem 65536
add doors 10.0.0.0/8,physdev:eth0
create cards hash:mac hashsize 1024 maxelem 65536
create six hash:ip family inet6 hashsize 1024 maxelem 65536
create leaving hash:ip family inet hashsize 1024 maxelem 65536 timeout 0
add leaving 192.0.2.9
"""


def asking(*rules: str, sets: str = SETS) -> Result:
    return run(input=json.dumps({"iptables": dump(*rules), "ipsets": sets}))


def test_sets_become_sets_of_the_table(golden: Golden) -> None:
    result = asking(
        "-A INPUT -m set --match-set blocked src -j DROP",
        "-A INPUT -m set --match-set blocked src --return-nomatch -j ACCEPT",
        "-A INPUT -p tcp -m set ! --match-set web.1 src,dst -j DROP",
        "-A INPUT -m set --match-set all src,dst -j DROP",
        "-A INPUT -p tcp -m tcp --dport 22 -j SET --add-set web.1 src,dst --exist --timeout 60",
        "-A INPUT -p udp -j SET --add-set web.1 src,dst",
        "-A INPUT -p udp -j SET --del-set counted src",
    )
    assert result.exit_code == 0, result.output
    golden(OUTPUTS / "sets.nft", result.stdout)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("-m set --match-set leaving src", "the set leaving: its entries leave it, and when is not said"),
        ("-m set --match-set absent src", "the set absent: what is in it is not known here"),
        ("-m set --match-set pings src,dst", "the set pings: it has entries for icmp, which has no ports"),
        ("-m set --match-set counted src --packets-gt 5", "-m set --packets-gt"),
        ("-m set --match-set counted src ! --update-counters", "-m set ! --update-counters"),
        ("-m set --match-set both src,dst", "the set both: 10.0.0.0/8 and 10.1.0.0/16 in it overlap"),
        ("-m set --match-set doors src,src", "the set doors: it has entries that name a bridge's port"),
        ("-m set ! --match-set cards src", "-m set ! --match-set cards: its MAC addresses"),
        ("-m set --match-set six src", "-m set --match-set six src, which no packet meets"),
        ("-m set --match-set web.1 src", "-m set --match-set web.1 src, which no packet meets"),
        ("-j SET --add-set blocked src", "-j SET --add-set blocked src: the set is a hash:net"),
        ("-j SET --add-set web.1 src,src", "-j SET --add-set web.1 src,src for packets without ports"),
        ("-j SET --add-set six src", "-j SET --add-set six src, which changes nothing"),
        ("-j SET --add-set counted src --del-set counted dst", "-j SET with --add-set and --del-set"),
        ("-m set ! --match-set web.1 src,src -j SET --add-set counted src", "-j SET beside alternatives"),
    ],
)
def test_what_nft_cannot_say_of_sets(rule: str, why: str) -> None:
    result = asking(f"-A INPUT {rule}")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"-:3: filter INPUT: nft has no form of {why}" in result.stderr


def test_ranges_hold_what_the_set_holds() -> None:
    """Networks within networks, with exceptions: each address is in one range at most, and in one where ipset has it."""
    seed = random.randrange(2**32)
    dice = random.Random(seed)
    for _ in range(150):
        nets = {
            str(ip_network((f"10.0.0.{dice.randrange(256)}", dice.randint(24, 32)), strict=False)) for _ in range(7)
        }
        entries = [
            f"add s {net},{dice.choice(('tcp', 'udp'))}:80 {dice.choice(('', 'nomatch'))}" for net in sorted(nets)
        ]
        sets = IpSets("\n".join(["create s hash:net,port family inet", *entries]))
        rows = [parts for parts, _ in apart(sets.sets["s"], False)]
        for number in range(0x0A000000, 0x0A000100):
            for proto in ("tcp", "udp"):
                found = [1 for (low, high), port in rows if low.number <= number <= high.number and port[0] == proto]
                packet = {"src": Address(4, number), "proto": proto, "sport": 80}
                assert len(found) == sets.contains("s", ("src", "src"), packet), (seed, entries, number)


def test_a_set_that_rules_fill_is_of_one_table() -> None:
    asks = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -m set --match-set counted src -j DROP\nCOMMIT\n"
    filled = dump("-A INPUT -j SET --add-set counted src")
    result = run(input=json.dumps({"iptables": asks + filled, "ipsets": SETS}))
    assert (result.exit_code, result.stdout) == (2, "")
    for place in ("-:3: raw PREROUTING", "-:7: filter INPUT"):
        assert (
            f"{place}: nft has no form of the set counted, which rules fill and which several tables ask"
            in result.stderr
        )


def test_generated_rules_ask_sets(tmp_path: Path) -> None:
    """Those of rules that are kept; where nobody tells what is in them, the rule is named."""
    rules = (FIXTURES / "docker/20.10/docker-user-rules/rules.v4").read_text()
    kept = rules.replace("-A DOCKER-USER -j RETURN", "-A DOCKER-USER -m set --match-set blocked src -j DROP")
    (tmp_path / "known").write_text(json.dumps({"iptables": kept, "ipsets": SETS}))
    (tmp_path / "bare").write_text(kept)
    words = ["generate", "replace", "--no-prove", "--format", "nft"]
    known, bare = (CliRunner().invoke(program, [*words, str(tmp_path / name)]) for name in ("known", "bare"))
    assert known.exit_code == 0, known.output
    assert "ip saddr @_blocked drop" in known.stdout and "10.2.0.0-10.255.255.255" in known.stdout
    assert (bare.exit_code, bare.stdout) == (2, "")
    assert "nft has no form of the set blocked: what is in it is not known here" in bare.stderr


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
