"""``annotate`` finds the rule of every line that xtables-monitor prints of packets sent here and now."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from tests.kernel.namespace import Namespace

HOSTS = """
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv6.conf.default.accept_dad=0
ip link set lo up
for n in 1 2; do
    ip netns add n$n
    ip link add eth$n type veth peer name eth0 netns n$n
    ip addr add 192.0.2.$((n * 64 + 1))/26 dev eth$n
    ip -n n$n addr add 192.0.2.$((n * 64 + 2))/26 dev eth0
    ip addr add 2001:db8:$n::1/64 dev eth$n nodad
    ip -n n$n addr add 2001:db8:$n::2/64 dev eth0 nodad
    ip link set eth$n up
    ip -n n$n link set lo up
    ip -n n$n link set eth0 up
    ip -n n$n route add default via 192.0.2.$((n * 64 + 1))
    ip -n n$n -6 route add default via 2001:db8:$n::1
done
"""
"""This namespace routes between two others: 192.0.2.66 behind eth1 and 192.0.2.130 behind eth2."""

RECORD = """
xtables-monitor --trace > {log} &
sleep 1
ip netns exec n1 {python} {send}
{python} {send}
sleep 2
kill $!
"""

SEND = """
import socket, time
for family, kind, host, port in {packets}:
    with socket.socket(getattr(socket, family), getattr(socket, kind)) as s:
        s.settimeout(0.3)
        try:
            s.connect((host, port))
            s.send(b"x")
            s.recv(1)
        except OSError:
            pass
    time.sleep(0.3)
"""
"""(With a pause, because xtables-monitor gives up when it lags behind.)"""

WAYS = [
    "-s 192.0.2.0/24", "! -s 198.51.100.0/24 -d 192.0.2.0/24", "-p tcp", "! -p icmp", "-p tcp -m tcp --dport 7001",
    "-p tcp -m tcp ! --sport 1:1023", "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN", "-p udp -m udp --dport 1000:9000",
    "-p tcp -m multiport --dports 80,7001,7002", "-m conntrack --ctstate NEW,ESTABLISHED", "-m state --state NEW",
    "-m conntrack --ctstate NEW --ctdir ORIGINAL", r'-m comment --comment "it has \"quotes\""', "-m length --length 20:1500",
    "-m ttl --ttl-gt 1", "-m tos ! --tos 0x10/0x3f", "-m dscp --dscp 0x00", "-m mark ! --mark 0x5/0xff",
    "-m addrtype --dst-type UNICAST", "-m limit --limit 1000/sec", "-m iprange --src-range 192.0.2.1-192.0.2.200",
    '-m u32 --u32 "0x6&0xff=0x1:0xff"', "-m statistic --mode nth --every 1 --packet 0", "-m pkttype ! --pkt-type broadcast",
    "-m cpu ! --cpu 9999", "-m connbytes --connbytes 0:1000 --connbytes-mode packets --connbytes-dir both",
    "-m hashlimit --hashlimit-upto 1000/sec --hashlimit-mode srcip --hashlimit-name h", "-m string ! --string none --algo bm",
]  # fmt: skip
"""Conditions that the packets meet: a rule whose target goes on with each of them."""

TARGETS = [
    "", "-j MARK --set-xmark 0x10/0xf0", "-j CONNMARK --save-mark", "-j TOS --set-tos 0x04/0x04", "-j DSCP --set-dscp 0x00",
    "-j NFLOG --nflog-group 7", '-j LOG --log-prefix "a b: "', "-j deeper", "-g deepest",
]  # fmt: skip


def rules() -> str:
    lines = [f"-A all {way} {TARGETS[i % len(TARGETS)]}".strip() for i, way in enumerate(WAYS)]
    return "\n".join(
        [
            "*raw", "-A PREROUTING -p tcp -j TRACE", "-A PREROUTING -p udp -j TRACE", "-A OUTPUT -p tcp -j TRACE", "COMMIT",
            "*mangle", ":all - [0:0]", ":deeper - [0:0]", ":deepest - [0:0]", "-A PREROUTING -j all", "-A OUTPUT -j all",
            *[line.replace("-g deepest", "-j deepest") for line in lines], "-A all -p udp -g deepest", "-A all -j RETURN",
            "-A deeper -p tcp -j RETURN", "-A deepest -p tcp", "COMMIT",
            "*nat", "-A PREROUTING -p tcp -m tcp --dport 7003 -j DNAT --to-destination 192.0.2.130:7004",
            "-A POSTROUTING -o eth2 -j MASQUERADE", "COMMIT",
            "*filter", ":FORWARD DROP [0:0]", "-A FORWARD -p tcp -m tcp --dport 7001 -j REJECT --reject-with tcp-reset",
            "-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT", "-A FORWARD -p tcp -m tcp --dport 7004 -j ACCEPT",
            "-A INPUT -p tcp -m tcp --dport 7002 -j DROP", "COMMIT", "",
        ]
    )  # fmt: skip


RULES6 = """*raw
-A PREROUTING -p tcp -j TRACE
COMMIT
*mangle
:a - [0:0]
-A PREROUTING -s 2001:db8::/32 -j a
-A a -m conntrack --ctstate NEW -j MARK --set-xmark 0x1/0x1
-A a -i eth1
COMMIT
*nat
-A PREROUTING -d 2001:db8:1::1/128 -p tcp -j DNAT --to-destination [2001:db8:2::2]:7004
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -o eth2 -m mark --mark 0x1/0x1 -j ACCEPT
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
COMMIT
"""
"""(xtables-monitor 1.8.9 ends at an IPv6 rule with ports.)"""

PACKETS = [
    ("AF_INET", "SOCK_STREAM", host, port) for host in ("192.0.2.130", "192.0.2.65") for port in (7001, 7002, 7003)
]
PACKETS += [("AF_INET", "SOCK_DGRAM", "192.0.2.130", 7005)]
PACKETS6 = [("AF_INET6", "SOCK_STREAM", host, 7001) for host in ("2001:db8:1::1", "2001:db8:2::2")]


def record(folder: Path, program_name: str, rules: str, packets: list[tuple[str, str, str, int]]) -> tuple[str, str]:
    """What xtables-monitor printed while ``packets`` were sent, and the dump."""
    log = folder / "log"
    send = folder / "send.py"
    send.write_text(SEND.format(packets=packets))
    with Namespace() as namespace:
        for script, text in ((HOSTS, None), (f"{program_name}-nft-restore", rules)):
            done = namespace.run(["sh", "-ec", script], input=text)
            assert done.returncode == 0, done.stderr
        dump = namespace.run([f"{program_name}-nft-save"]).stdout
        done = namespace.run(["sh", "-ec", RECORD.format(log=log, python=sys.executable, send=send)])
        assert done.returncode == 0, done.stderr
    return log.read_text(), dump


@pytest.mark.parametrize(
    ("program_name", "rules", "packets"),
    [("iptables", rules(), PACKETS), ("ip6tables", RULES6, PACKETS6)],
    ids=["ipv4", "ipv6"],
)
def test_every_line_has_its_rule(
    program_name: str, rules: str, packets: list[tuple[str, str, str, int]], tmp_path: Path
) -> None:
    log, dump = record(tmp_path, program_name, rules, packets)
    (tmp_path / "dump").write_text(dump)
    result = CliRunner().invoke(
        program, ["annotate", str(tmp_path / "log"), "--rules", str(tmp_path / "dump"), "-o", "json"]
    )
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    assert found["misfits"] == [], log
    steps = {s["log"]: s for p in found["packets"] for s in p["steps"]}
    assert sorted(steps) == [n for n, line in enumerate(log.splitlines(), 1) if "TRACE:" in line]
    rule_lines = [line for line in dump.splitlines() if line.startswith("-A ")]
    met = {s["text"] for s in steps.values() if isinstance(s["rule"], int)}
    assert sorted(set(rule_lines) - met) == [], log
