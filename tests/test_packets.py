"""``trace --packets``: whole packets, one a line, each answered as the command line answers it; what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from iptexplain.commands import program
from tests.conftest import ROOT

RULES = str(ROOT / "fixtures/docker/20.10/two-networks/rules.v4")


def run(*arguments: str, given: str | None = None) -> Result:
    return CliRunner().invoke(program, ["trace", RULES, *arguments], input=given)


def answers(*packets: dict[str, Any]) -> list[dict[str, Any]]:
    result = run("--packets", "-", given="".join(json.dumps(packet) + "\n" for packet in packets))
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "fields"),
    [
        (["-p", "tcp", "--dport", "80"], {"proto": "tcp", "dport": 80}),
        (["-p", "udp", "--sport", "53"], {"proto": "udp", "sport": 53}),
        (["-p", "tcp"], {"proto": "tcp"}),
        (["-p", "udplite"], {"proto": "udplite"}),
        (["-p", "dccp", "--dport", "80"], {"proto": "dccp", "dport": 80}),
        (["-p", "icmp"], {"proto": "icmp"}),
        (["-p", "icmp", "--icmp-type", "8"], {"proto": "icmp", "icmp_type": 8}),
        (["-p", "icmp", "--icmp-type", "3"], {"proto": "icmp", "icmp_type": 3}),
        (["-p", "gre"], {"proto": "gre"}),
        (["-p", "tcp", "--dport", "80", "--set", "fragment=yes"], {"proto": "tcp", "dport": 80, "fragment": "yes"}),
    ],
)
@pytest.mark.parametrize("ends", [("eth0", "198.51.100.7", "172.17.0.2"), ("docker0", "172.17.0.2", "198.51.100.7")])
def test_what_a_packet_leaves_out_is_what_the_command_line_takes(
    words: list[str], fields: dict[str, Any], ends: tuple[str, str, str]
) -> None:
    interface, source, target = ends
    told = json.loads(run("-i", interface, "-s", source, "-d", target, *words, "-o", "json").stdout)
    [answer] = answers({"iif": interface, "src": source, "dst": target, **fields})
    # The command line has more to say of where the ends are, but both say which port stands in for one that nobody named.
    said = [[text for text in one.pop("assumptions") if text.startswith("No port")] for one in (told, answer)]
    assert (said[1], answer) == (said[0], told)


def test_protocols_with_ports_have_them() -> None:
    """All for which conntrack tells connections apart by ports."""
    for proto in ("udplite", "dccp", "sctp"):
        result = run("--from", "internet", "--to", "172.17.0.2:80", "-p", proto, "-o", "json")
        told = json.loads(result.stdout)
        assert (told["packet"]["sport"], told["packet"]["dport"]) == (40000, 80)
        assert (told["answer"] or told["outcome"])["tuple"].get("dport") in (80, 40000)


def test_later_packets_are_taken_as_they_are() -> None:
    """A packet of a known connection that names no ports belongs to the flow of the one that it follows."""
    ask = {"iif": "docker0", "src": "172.17.0.2", "dst": "198.51.100.7", "proto": "udp", "dport": 53}
    [_, reply] = answers(ask, {"iif": "eth0", "src": "198.51.100.7", "dst": "192.0.2.10", "proto": "udp", "after": 0})
    assert reply["ctstate"] == "ESTABLISHED"
    assert "sport" not in reply["packet"]


PACKET = '{"src": "198.51.100.7", "dst": "192.0.2.10", "proto": "tcp", "dport": 22, "iif": "eth0"}'


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--from", "internet"], "--from"),
        (["--to", "host:22"], "--to"),
        (["-p", "udp"], "-p"),
        (["--set", "tos=8"], "--set"),
        (["-6"], "-6"),
        (["--ctstate", "NEW", "-i", "eth0"], "-i and --ctstate"),
        (["-o", "text"], "-o text"),
        (["-o", "markdown"], "-o markdown"),
    ],
)
def test_what_would_be_passed_over_is_refused(options: list[str], named: str) -> None:
    result = run("--packets", "-", *options, given=PACKET)
    assert result.exit_code == 2
    assert f"leave out {named}" in result.stderr and not result.stdout


def test_what_may_be_said_beside_packets() -> None:
    given = run("--packets", "-", "-o", "json", "--assume", "rp_filter=0", given=PACKET)
    assert (given.exit_code, given.stderr, len(given.stdout.splitlines())) == (0, "", 1)


@pytest.mark.parametrize("given", ["", "\n \n"])
def test_no_packet_is_no_answer(given: str) -> None:
    result = run("--packets", "-", given=given)
    assert result.exit_code == 2 and "there is no packet in it" in result.stderr


def test_rules_and_packets_are_not_both_standard_input() -> None:
    result = CliRunner().invoke(program, ["trace", "--packets", "-"], input=PACKET)
    assert result.exit_code == 2 and "cannot both be standard input" in result.stderr


def test_a_packet_without_interface_is_the_hosts_own() -> None:
    own = {"src": "192.0.2.10", "dst": "198.51.100.7", "proto": "tcp", "dport": 22}
    own_way, foreign = answers(own, {**own, "iif": "eth0"})
    assert (own_way["outcome"]["kind"], foreign["outcome"]["kind"]) == ("sent", "dropped")
    assert "one without iif is sent by the host itself" in " ".join(run("--help").stdout.split())


@pytest.mark.parametrize(
    "given", [b'{"src": "\xff"}\n', b'{"src": "8.8.8.8\\u001b[31m", "dst": "8.8.8.8", "proto": "tcp"}\n']
)
def test_bytes_that_no_terminal_should_get_are_escaped(given: bytes) -> None:
    result = CliRunner().invoke(program, ["trace", RULES, "--packets", "-"], input=given, color=True)
    assert result.exit_code == 2 and result.stderr.strip().isprintable()


@pytest.mark.parametrize("line", ['5', '{"src": "1.2.3.4"}', '{"src": 5, "dst": "1.2.3.4", "proto": "tcp"}', "{",
                                  '{"src": "1.2.3.4", "dst": "5.6.7.8", "proto": "tcp", "after": 7}'])  # fmt: skip
def test_packets_that_are_none(line: str, tmp_path: Path) -> None:
    """Each is refused with the file's name and line, not with a traceback."""
    packets = tmp_path / "packets"
    packets.write_text(line + "\n")
    result = run("--packets", str(packets), "-o", "json")
    assert result.exit_code == 2
    assert f"{packets}:1: " in result.output
