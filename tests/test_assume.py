"""What --assume settles, and what it refuses."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from iptexplain.commands import program

RULES = """*filter
:INPUT DROP [0:0]
-A INPUT -p tcp -m tcp --dport 22 -m limit --limit 3/min -j ACCEPT
-A INPUT -p tcp -m tcp --dport 23 -m hashlimit --hashlimit-above 3/min --hashlimit-name h -j DROP
-A INPUT -p tcp -m tcp --dport 23 -j ACCEPT
-A INPUT -p tcp -m tcp --dport 24 -m time --timestart 08:00:00 --timestop 17:00:00 -j ACCEPT
-A INPUT -p tcp -m tcp --dport 25 -j NFQUEUE --queue-num 0
-A INPUT -p tcp -m tcp --dport 26 -m quota ! --quota 1000 -j DROP
-A INPUT -p tcp -m tcp --dport 26 -j ACCEPT
-A INPUT -p tcp -m tcp --dport 27 -m geoip --source-country DE -j ACCEPT
-A INPUT -p tcp -m tcp --dport 28 -j QUEUE
COMMIT
"""


def trace(port: int, *assumed: str) -> str:
    """The first line of the answer, and the last paragraph."""
    options = [word for a in assumed for word in ("--assume", a)]
    result = CliRunner().invoke(
        program, ["trace", "-", "--from", "internet", "--to", f"host:{port}", *options], input=RULES
    )
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize(
    ("port", "yes", "no"),
    [
        (22, "limit=within", "limit=beyond"),
        (22, "limit=yes", "limit=no"),
        (23, "hashlimit=within", "hashlimit=beyond"),
        (23, "hashlimit=no", "hashlimit=yes"),
        (24, "time=yes", "time=no"),
        (25, "NFQUEUE=accept", "NFQUEUE=drop"),
        (26, "quota=within", "quota=beyond"),
        (27, "geoip=yes", "geoip=no"),
        (28, "QUEUE=accept", "QUEUE=drop"),
    ],
)
def test_each_way(port: int, yes: str, no: str) -> None:
    assert trace(port).startswith("Unknown")
    assert trace(port, yes).startswith("Arrives")
    assert trace(port, no).startswith("Dropped")
    assert f"{no}: you said so." in trace(port, no)


def test_what_was_not_needed_is_not_named() -> None:
    assert "you said so" not in trace(22, "limit=yes", "time=no").replace("limit=yes: you said so", "")


def test_sysctls_count_more_than_the_snapshot() -> None:
    assert trace(22, "limit=yes", "rp_filter=1").count("you said so") == 2
    rules = "*filter\n-A FORWARD -j ACCEPT\nCOMMIT\n"
    asked = ["trace", "-", "-i", "eth0", "--from", "192.0.2.1", "--to", "198.51.100.1:1"]
    forwarded = CliRunner().invoke(program, asked, input=rules).stdout
    stopped = CliRunner().invoke(program, [*asked, "--assume", "net.ipv4.ip_forward=0"], input=rules).stdout
    assert (forwarded.split(":")[0], stopped.split(":")[0]) == ("Arrives", "Dropped")


@pytest.mark.parametrize(
    "assumed", ["rp_filter=2", "net.ipv4.conf.eth0.100.rp_filter=0", "net.ipv4.conf.docker0.route_localnet=1"]
)
def test_taken(assumed: str) -> None:
    asked = ["trace", "-", "--from", "internet", "--to", "host", "--assume", assumed]
    assert CliRunner().invoke(program, asked, input=RULES).exit_code == 0


@pytest.mark.parametrize(
    ("assumed", "said"),
    [
        ("limit", "write NAME=VALUE"),
        ("limit=often", "of limit one can assume within, beyond, yes, no"),
        ("time=within", "of time one can assume yes, no"),
        ("NFQUEUE=yes", "of NFQUEUE one can assume accept, drop"),
        ("limits=yes", "did you mean limit or hashlimit?"),
        ("recent=yes", "no rule here asks for 'recent'"),
        ("ip_forward=on", "a sysctl is a number, and of ip_forward one can assume 0, 1"),
        ("bridge-nf-call-iptables=5", "of bridge-nf-call-iptables one can assume 0, 1"),
        ("net.ipv6.conf.all.forwarding=2", "of net.ipv6.conf.all.forwarding one can assume 0, 1"),
        ("route_localnet=-1", "of route_localnet one can assume 0, 1"),
        ("net.ipv4.conf.eth0.100.rp_filter=3", "of net.ipv4.conf.eth0.100.rp_filter one can assume 0, 1, 2"),
        ("accept_local=", "of accept_local one can assume 0, 1"),
        ("net.ipv4.conf.rp_filter=1", "no sysctl is called so"),
        ("net.ipv6.conf.eth0.forwarding=1", "no sysctl is called so"),
        ("net.ipv4.tcp_syncookies=1", "no sysctl is called so"),
    ],
)
def test_refused(assumed: str, said: str) -> None:
    result = CliRunner().invoke(
        program, ["trace", "-", "--from", "internet", "--to", "host", "--assume", assumed], input=RULES
    )
    assert result.exit_code == 2 and said in result.output
