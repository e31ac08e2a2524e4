"""Membership in IP sets, as ip_set_test (net/netfilter/ipset/) answers it."""

from __future__ import annotations

import pytest

from iptexplain.errors import OptionError
from iptexplain.host.ipsets import IpSets
from iptexplain.walk.packet import read_fields

SETS = """\
create blocked hash:ip family inet hashsize 1024 maxelem 65536
add blocked 192.0.2.7
add blocked 198.51.100.0/30
create nets hash:net family inet hashsize 1024 maxelem 65536
add nets 10.0.0.0/8 timeout 300
add nets 10.1.0.0/16 nomatch
add nets 10.1.2.0/24
create services hash:ip,port family inet hashsize 1024 maxelem 65536
add services 10.0.0.1,tcp:80-90
add services 10.0.0.1,udp:53
create places hash:net,iface family inet hashsize 1024 maxelem 65536
add places 10.0.0.0/8,eth0
add places 10.9.0.0/16,eth1
create ports bitmap:port range 0-1024
add ports 22
create six hash:ip family inet6 hashsize 1024 maxelem 65536
add six 2001:db8::1
create both list:set size 8
add both blocked
add both nets
create marks hash:ip,mark family inet markmask 0xffffffff
add marks 10.0.0.1,0x10
create wide hash:ip family inet hashsize 1024 maxelem 65536 netmask 24
add wide 10.0.0.0
create cards hash:mac hashsize 1024 maxelem 65536
add cards 02:00:00:00:00:01
create doors hash:net,iface family inet hashsize 1024 maxelem 65536
add doors 10.0.0.0/8,physdev:eth0
"""
PACKET = {
    "src": "10.0.0.1",
    "dst": "192.0.2.7",
    "proto": "tcp",
    "sport": "85",
    "dport": "22",
    "iif": "eth0",
    "oif": "",
    "mark": "16",
}


@pytest.mark.parametrize(
    ("name", "sides", "changes", "member"),
    [
        ("blocked", "dst", {}, True),
        ("blocked", "src", {}, False),
        ("places", "src,src", {"src": "10.9.0.1"}, False),
        ("places", "src,src", {"src": "10.9.0.1", "iif": "eth1"}, True),
        ("blocked", "src", {"src": "198.51.100.3"}, True),
        ("nets", "src", {}, True),
        ("nets", "src", {"src": "10.1.9.9"}, False),
        ("nets", "src", {"src": "10.1.2.9"}, True),
        ("services", "src,src", {}, True),
        ("services", "src,dst", {}, False),
        ("services", "src,src", {"proto": "udp"}, False),
        ("services", "src", {}, False),
        ("places", "src,src", {}, True),
        ("places", "src,dst", {}, False),
        ("ports", "dst", {}, True),
        ("ports", "src", {}, False),
        ("ports", "dst", {"proto": "sctp"}, False),
        ("ports", "dst", {"src": "2001:db8::1", "dst": "2001:db8::2"}, True),
        ("wide", "src", {"src": "10.0.0.200"}, True),
        ("wide", "src", {"src": "10.0.1.1"}, False),
        ("cards", "src", {"src": "2001:db8::1", "dst": "2001:db8::2", "mac_src": "02:00:00:00:00:01"}, True),
        ("doors", "src,src", {}, None),
        ("six", "src", {}, False),
        ("both", "dst", {}, True),
        ("both", "src", {}, True),
        ("both", "src", {"src": "10.1.9.9"}, False),
        ("marks", "src,src", {}, True),
        ("marks", "src,src", {"mark": "17"}, False),
        ("absent", "src", {}, None),
    ],
)
def test_membership(name: str, sides: str, changes: dict[str, str], member: bool | None) -> None:
    """None: the snapshot does not have the set. An exception in a network is one; too few sides never match."""
    assert IpSets(SETS).contains(name, sides.split(","), read_fields({**PACKET, **changes})) is member


@pytest.mark.parametrize("line", ["add missing 1.2.3.4", "create x hash:ip family inet\nadd x nonsense", "add"])
def test_text_that_is_none(line: str) -> None:
    with pytest.raises(OptionError, match="ipsets: line"):
        IpSets(line)
