"""Rules of both backends at once: the kernel's answer to a packet, with either made first, is the one that the trace gives."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from tests.kernel.namespace import Namespace

SETUP = """
set -e
ip link set lo up
mkdir -p /run/netns
for name in client server; do ip netns add $name; ip -n $name link set lo up; done
ip link add eth0 type veth peer name uplink netns client
ip link add br0 type veth peer name uplink netns server
ip addr add 192.0.2.10/24 dev eth0; ip addr add 172.18.0.1/24 dev br0
ip link set eth0 up; ip link set br0 up
ip -n client addr add 192.0.2.50/24 dev uplink; ip -n client link set uplink up; ip -n client route add default via 192.0.2.10
ip -n server addr add 172.18.0.2/24 dev uplink; ip -n server link set uplink up; ip -n server route add default via 172.18.0.1
echo 1 > /proc/sys/net/ipv4/ip_forward
"""
FACTS = {
    "addresses": [
        {"ifname": name, "addr_info": [{"family": "inet", "local": address, "prefixlen": 24}]}
        for name, address in (("eth0", "192.0.2.10"), ("br0", "172.18.0.1"))
    ],
    "routes": [{"dst": "192.0.2.0/24", "dev": "eth0"}, {"dst": "172.18.0.0/24", "dev": "br0"}],
    "sysctls": {"net.ipv4.ip_forward": 1},
}

SERVER = """
import select, socket, sys
doors = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in sys.argv[1:]]
for door, port in zip(doors, sys.argv[1:]): door.bind(("0.0.0.0", int(port)))
print("ready", flush=True)
while True:
    for door in select.select(doors, [], [])[0]:
        _, sender = door.recvfrom(9)
        door.sendto(f"{door.getsockname()[1]} {sender[0]}".encode(), sender)
"""
CLIENT = """
import socket
asks = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asks.settimeout(1)
asks.connect(("192.0.2.10", 80))
try:
    asks.send(b"?")
    print(asks.recv(99).decode())
except ConnectionRefusedError:
    print("rejected")
except TimeoutError:
    print("dropped")
"""

TO_80 = "-p udp -m udp --dport 80"
REDIRECT = f"nat PREROUTING {TO_80} -j REDIRECT --to-ports {{}}"
TO_SERVER = f"nat PREROUTING {TO_80} -j DNAT --to-destination 172.18.0.2:82"

CASES: dict[str, tuple[str, str]] = {
    "accepted by both": (f"filter INPUT {TO_80} -j ACCEPT", f"filter INPUT {TO_80} -j ACCEPT"),
    "dropped by one": (f"filter INPUT {TO_80} -j ACCEPT", f"filter INPUT {TO_80} -j DROP"),
    "dropped by the policy of one": (f"filter INPUT {TO_80} -j ACCEPT", "filter INPUT DROP"),
    "dropped by one, rejected by the other": (f"filter INPUT {TO_80} -j DROP", f"filter INPUT {TO_80} -j REJECT"),
    "nat in one, the filter of the other drops the new port": (REDIRECT.format(81), "filter INPUT -p udp -m udp --dport 81 -j DROP"),
    "nat in one, the filter of the other drops the old port": (REDIRECT.format(81), f"filter INPUT {TO_80} -j DROP"),
    "nat in both": (REDIRECT.format(81), REDIRECT.format(82)),
    "nat in one, accepted in the other's": (REDIRECT.format(81), f"nat PREROUTING {TO_80} -j ACCEPT"),
    "nat in both, one at the other end": (TO_SERVER, "nat POSTROUTING -o br0 -j MASQUERADE"),
    "two sources": (f"{TO_SERVER}|nat POSTROUTING -o br0 -j MASQUERADE", "nat POSTROUTING -o br0 -j SNAT --to-source 192.0.2.10"),
    "forwarded, dropped by the policy of one": (TO_SERVER, "filter FORWARD DROP"),
    "forwarded, accepted by each": (TO_SERVER, "filter FORWARD DROP|filter FORWARD -i eth0 -o br0 -j ACCEPT|filter FORWARD -i br0 -j ACCEPT"),
    "a mark that the other looks for": (
        f"mangle PREROUTING {TO_80} -j MARK --set-mark 1", "mangle PREROUTING -m mark --mark 1 -j DROP"
    ),
    "a mark that the other's later table looks for": (
        f"mangle PREROUTING {TO_80} -j MARK --set-mark 1", "filter INPUT -m mark --mark 1 -j DROP"
    ),
    "untracked by one, nat in the other": (f"raw PREROUTING {TO_80} -j CT --notrack", REDIRECT.format(81)),
}  # fmt: skip
"""What is written with nf_tables and with legacy, and the other way round: ``TABLE CHAIN RULE``, or a policy."""


def rules(text: str) -> str:
    """The lines for iptables-restore."""
    words = [line.split(" ", 2) for line in text.split("|")]
    said = []
    for table, lines in itertools.groupby(words, key=lambda w: w[0]):
        found = [(chain, rest) for _, chain, rest in lines]
        policies = [f":{chain} {rest} [0:0]" for chain, rest in found if not rest.startswith("-")]
        said += [f"*{table}", *policies, *(f"-A {c} {r}" for c, r in found if r.startswith("-")), "COMMIT"]
    return "\n".join(said) + "\n"


@contextmanager
def host() -> Iterator[Namespace]:
    """A host between a client and a server; on both answers come from whichever port was asked."""
    with Namespace() as namespace:
        made = namespace.run(["sh", "-c", SETUP])
        assert made.returncode == 0, made.stderr
        for enter in ("", "ip netns exec server "):
            serve = f"{enter}{sys.executable} -c '{SERVER}' 80 81 82 > /run/said & until grep -q ready /run/said; do sleep 0.05; done; rm /run/said"
            namespace.run(["sh", "-c", f"({serve}) > /dev/null 2>&1"])
        yield namespace


def asked_of_kernel(written: dict[str, str], order: tuple[str, ...]) -> tuple[str, str]:
    """What the client is told, and both dumps."""
    with host() as namespace:
        for backend in order:
            loaded = namespace.run([f"iptables-{backend}-restore"], input=written[backend])
            assert loaded.returncode == 0, loaded.stderr
        told = namespace.run(["ip", "netns", "exec", "client", sys.executable, "-c", CLIENT])
        saved = [namespace.run([f"iptables-{backend}-save"]).stdout for backend in ("nft", "legacy")]
    return told.stdout.strip() or told.stderr, "".join(saved)


def asked_of_trace(dump: str, *options: str) -> str:
    """The same from the trace, or ``unknown``."""
    words = ["trace", "-", "-p", "udp", "--from", "192.0.2.50:40000", "--to", "192.0.2.10:80", "-o", "json", *options]
    answer = CliRunner().invoke(program, words, input=json.dumps({**FACTS, "iptables": dump}))
    assert answer.exit_code == 0, answer.output
    outcome = json.loads(answer.stdout)["outcome"]
    arrives = outcome["kind"] in ("delivered-local", "forwarded")
    return f"{outcome['tuple']['dport']} {outcome['tuple']['src']}" if arrives else str(outcome["kind"])


@pytest.mark.parametrize("turned", [False, True], ids=["", "turned"])
@pytest.mark.parametrize("case", CASES)
def test_the_trace_asks_both_as_the_kernel_does(case: str, turned: bool) -> None:
    backends = ("legacy", "nft") if turned else ("nft", "legacy")
    written = {backend: rules(text) for backend, text in zip(backends, CASES[case], strict=True)}
    told = {}
    for order in (("nft", "legacy"), ("legacy", "nft")):
        told[order[1]], dump = asked_of_kernel(written, order)
    settled = {first: asked_of_trace(dump, "--assume", f"order={first}") for first in told}
    assert settled == told, "the backend whose tables were made last is asked first"
    assert asked_of_trace(dump) == (told["nft"] if told["nft"] == told["legacy"] else "unknown")


def test_some_answers_depend_on_the_order() -> None:
    """The cases would say nothing about the order if it never mattered."""
    written = {"nft": rules(REDIRECT.format(81)), "legacy": rules(REDIRECT.format(82))}
    assert [asked_of_kernel(written, order)[0][:2] for order in (("nft", "legacy"), ("legacy", "nft"))] == ["82", "81"]
