"""IP sets in the language of nftables: packets fare as they do where ipset(8) holds them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

import pytest

from tests.kernel.generate.topologies import with_ipv6
from tests.kernel.lab.laboratory import DUMPS, Laboratory
from tests.kernel.lab.topology import with_macs
from tests.kernel.namespace import Namespace
from tests.kernel.nft_lab import NftLaboratory, translated
from tests.kernel.test_lab import HOST
from tests.kernel.test_nft import ends

SENDERS = {"gw": "192.0.2.1", "client": "192.0.2.50", "c1": "172.17.0.2", "d1": "172.18.0.2", "host": "192.0.2.10"}
SENDERS6 = {"gw": "2001:db8:c000:200::1", "client": "2001:db8:c000:200::50", "c1": "fd00:ac11::2", "d1": "fd00:ac12::2"}
PLACES = {"gw": "eth0", "client": "eth0", "c1": "docker0", "d1": "br1"}


class Sets(NamedTuple):
    """Sets (``create`` and ``add`` without these words), and the rules that ask them."""

    sets: str
    rules: tuple[str, ...]
    family: int = 4


CASES = {
    "addresses": Sets(
        "s hash:ip; s 192.0.2.50; s 172.17.0.2",
        ("FORWARD -m set --match-set s src -j DROP", "INPUT -m set ! --match-set s src -j DROP"),
    ),
    "masked": Sets("s hash:ip netmask 28; s 192.0.2.48", ("FORWARD -m set --match-set s src -j DROP",)),
    "networks": Sets(
        "s hash:net; s 192.0.0.0/8; s 192.0.2.0/24 nomatch; s 192.0.2.50; s 172.16.0.0/12; s 172.17.0.0/16 nomatch",
        (
            "FORWARD -m set --match-set s src -j DROP",
            "INPUT -m set ! --match-set s src -j DROP",
            "OUTPUT -m set --match-set s dst --return-nomatch -j DROP",
        ),
    ),
    "list": Sets(
        "a hash:ip; a 192.0.2.50; b hash:net,port; b 172.17.0.0/16,tcp:80; l list:set; l a; l b",
        (
            "FORWARD -m set --match-set l src,dst -j DROP",
            "INPUT -m set ! --match-set l src,dst -j DROP",
            "OUTPUT -m set --match-set l dst -j DROP",
        ),
    ),
    "ports": Sets(
        "s bitmap:port range 0-1024; s 80; s 53; s 0",
        ("FORWARD -m set --match-set s dst -j DROP", "INPUT -m set ! --match-set s dst -j DROP"),
    ),
    "address-port": Sets(
        "s hash:ip,port; s 172.17.0.2,tcp:80; s 172.18.0.2,udp:53; s 192.0.2.10,sctp:80",
        (
            "FORWARD -m set --match-set s dst,dst -j DROP",
            "INPUT -m set ! --match-set s dst,dst -j DROP",
            "OUTPUT -p tcp -m set ! --match-set s dst,dst -j DROP",
        ),
    ),
    "network-port": Sets(
        "s hash:net,port; s 172.16.0.0/12,80; s 172.17.0.0/16,tcp:80 nomatch; s 172.17.0.2,udp:53; s 172.16.0.0/12,udp:53",
        ("FORWARD -m set --match-set s dst,dst -j DROP", "INPUT -m set ! --match-set s src,dst -j DROP"),
    ),
    "interface": Sets(
        "s hash:net,iface; s 192.0.2.0/24,eth0; s 172.17.0.0/16,docker0; s 172.18.0.0/16,eth0",
        (
            "FORWARD -m set --match-set s src,src -j DROP",
            "INPUT -m set ! --match-set s src,src -j DROP",
            "OUTPUT -m set ! --match-set s dst,dst -j DROP",
        ),
    ),
    "three-parts": Sets(
        "n hash:ip,port,net; n 192.0.2.50,tcp:80,172.17.0.0/16; i hash:ip,port,ip; i 172.17.0.2,udp:53,192.0.2.1",
        (
            "FORWARD -m set --match-set n src,dst,dst -j DROP",
            "FORWARD -m set ! --match-set i src,dst,dst -p udp -j DROP",
        ),
    ),
    "bitmap": Sets(
        "s bitmap:ip range 192.0.2.0/24; s 192.0.2.48-192.0.2.53; "
        "m bitmap:ip,mac range 192.0.2.0/24; m 192.0.2.1,02:00:00:00:00:01",
        ("FORWARD -m set --match-set s src -j DROP", "INPUT -m set --match-set m src,src -j DROP"),
    ),
    "filled": Sets(
        "s hash:ip timeout 600; t hash:ip,port; p hash:ip; p 192.0.2.50",
        (
            "INPUT -p tcp --dport 80 -j SET --add-set s src --exist",
            "INPUT -p udp -j SET --add-set t src,dst",
            "INPUT -p sctp -j SET --del-set p src",
            "INPUT -p tcp --dport 22 -m set --match-set s src -j DROP",
            "INPUT -p udp -m set --match-set t src,dst -j DROP",
            "INPUT -p icmp -m set --match-set p src -j DROP",
        ),
    ),
    "too-few-sides": Sets("s hash:ip,port; s 172.17.0.2,tcp:80", ("FORWARD -m set ! --match-set s dst -j DROP",)),
    "addresses6": Sets(
        "s hash:net family inet6; s 2001:db8:c000::/35; s 2001:db8:c000:200::50 nomatch; "
        "p hash:ip,port family inet6; p fd00:ac11::2,tcp:80; b bitmap:port range 0-99; b 53",
        (
            "FORWARD -m set --match-set s src -j DROP",
            "FORWARD -p tcp -m set ! --match-set p dst,dst -j DROP",
            "INPUT -m set --match-set b dst -j DROP",
        ),
        6,
    ),
}

UNUSUAL = {
    "two-networks": Sets(
        "s hash:net,port,net; s 192.0.2.0/24,tcp:80,172.17.0.0/16; s 192.0.2.0/24,udp:80,172.0.0.0/8; "
        "n hash:net,net; n 10.0.0.0/8,192.0.2.0/24",
        ("FORWARD -m set --match-set s src,dst,dst -j DROP", "FORWARD -m set ! --match-set n src,dst -j DROP"),
    ),
    "mark": Sets(
        "s hash:ip,mark; s 192.0.2.50,0x1",
        ("FORWARD -m set ! --match-set s src,src -j DROP", "INPUT -j SET --add-set s src,src"),
    ),
    "mac": Sets(
        "s hash:mac; s 02:00:00:00:00:01; i hash:ip,mac; i 192.0.2.50,02:00:00:00:00:01",
        (
            "FORWARD -m set --match-set s src -j DROP",
            "FORWARD -m set --match-set i src,dst -j DROP",
            "INPUT -j SET --del-set s src",
        ),
    ),
    "all-options": Sets(
        "s hash:net,port timeout 600 counters comment skbinfo; s 10.0.0.0/8,80 timeout 5 packets 3 bytes 9; "
        's 11.0.0.0/8,sctp:80 timeout 0 comment "a b"; s 12.0.0.0/8,udp:80',
        ("FORWARD -m set --match-set s src,dst -j DROP", "FORWARD -m set ! --match-set s src,dst -j DROP"),
    ),
    "six": Sets(
        "s hash:net,iface family inet6; s 2001:db8::/32,eth0; m hash:mac; m 02:00:00:00:00:01; l list:set; l m; l s",
        ("FORWARD -m set --match-set l src,src -j DROP", "INPUT -m set --match-set m src -j DROP"),
        6,
    ),
}
"""What not every kernel has a type for, or what no packet shows: nft has to take it."""


def ipset(text: str) -> str:
    seen: set[str] = set()
    lines = []
    for entry in text.split("; "):
        name = entry.split()[0]
        lines.append(f"{'add' if name in seen else 'create'} {entry}")
        seen.add(name)
    return "".join(f"{line}\n" for line in lines)


def packets(family: int) -> list[dict[str, Any]]:
    """TCP, UDP, SCTP and echo requests from everybody to everybody, twice, so that what was added before is met."""
    senders, number = SENDERS if family == 4 else SENDERS6, 0
    asked: list[dict[str, Any]] = []
    for source, src in senders.items():
        for dst in senders.values():
            for what in PROTOCOLS[family]:
                number += src != dst
                ports = {"sport": 40000 + number, **what} if "dport" in what else what
                asked += [{"from": source, "src": src, "dst": dst, **ports}] * (src != dst)
    return [
        packet | ({"sport": packet["sport"] + turn} if "sport" in packet else {})
        for turn in (0, 5000)
        for packet in asked
    ]


PROTOCOLS: dict[int, list[dict[str, Any]]] = {
    4: [
        {"proto": "tcp", "dport": 80},
        {"proto": "tcp", "dport": 22},
        {"proto": "udp", "dport": 53},
        {"proto": "sctp", "dport": 80},
        {"proto": "icmp"},
    ],
    6: [{"proto": "tcp", "dport": 80}, {"proto": "udp", "dport": 53}, {"proto": "udp", "dport": 54}],
}


def case_of(sets: Sets) -> dict[str, Any]:
    host = deepcopy(HOST)
    saved = f"# Generated by ip{'6' * (sets.family == 6)}tables-save v1.8.9 (nf_tables) on today"
    lines = [
        saved,
        "*filter",
        ":INPUT ACCEPT [0:0]",
        ":FORWARD ACCEPT [0:0]",
        ":OUTPUT ACCEPT [0:0]",
        *(f"-A {r}" for r in sets.rules),
        "COMMIT",
        "",
    ]
    return {
        "name": "sets", "host": with_macs(with_ipv6(host) if sets.family == 6 else host), DUMPS[sets.family]: "\n".join(lines),
        "ipset": ipset(sets.sets), "packets": packets(sets.family),
    }  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_packets_fare_as_with_ipset(name: str) -> None:
    case = case_of(CASES[name])
    by_iptables, by_nft = ends(Laboratory(case), case), ends(NftLaboratory(case, translated(case)), case)
    asked = zip(case["packets"], by_iptables, by_nft, strict=True)
    assert [(packet, one, other) for packet, one, other in asked if one != other] == []
    assert "lost" in [one[0] for one in by_iptables]


@pytest.mark.parametrize("name", UNUSUAL)
def test_nft_takes_other_types(name: str) -> None:
    with Namespace() as namespace:
        done = namespace.run(["nft", "-f", "-"], input=translated(case_of(UNUSUAL[name])))
        assert (done.returncode, done.stderr) == (0, "")
