"""Ports that no rule of Docker's publishes: what counts as one, how it is said, and what only looks like one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from iptexplain.commands import program

HEAD = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD {forward} [0:0]\n:OUTPUT ACCEPT [0:0]\n{filter}COMMIT\n*nat\n"
CHAINS = (
    ":PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n:PORTS - [0:0]\n"
)
BRIDGE = "-A POSTROUTING -s 172.18.0.0/16 ! -o br-web -j MASQUERADE\n"
TO_WEB = "-j DNAT --to-destination 172.18.0.2:80"


def dump(*nat: str, accepts: str = "", forward: str = "ACCEPT") -> str:
    return (
        HEAD.format(filter=accepts, forward=forward) + CHAINS + "".join(f"-A {r}\n" for r in nat) + BRIDGE + "COMMIT\n"
    )


def asked(text: str, *options: str) -> str:
    result = CliRunner().invoke(program, ["ports", "-", *options], input=text)
    assert result.exit_code == 0, result.output
    return result.stdout


def ports(text: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(asked(text, "-o", "json"))["ports"]
    return found


def short(port: dict[str, Any]) -> str:
    """``HOST:PORTS/PROTO > CONTAINER:PORTS``, as the table has it."""
    outer = port.get("host_ports", port["host_port"])
    return f"{port['host_ip']}:{outer}/{port['proto']} > {port['container_ip']}:{port.get('container_ports', port['container_port'])}"


CASES = {
    f"PREROUTING -d 192.0.2.10/32 -i eth0 -p tcp -m tcp --dport 8080 {TO_WEB}": "192.0.2.10:8080/tcp > 172.18.0.2:80",
    f"PREROUTING -p tcp -m tcp --dport 8080 {TO_WEB}": "0.0.0.0:8080/tcp > 172.18.0.2:80",
    "PREROUTING -p udp -m udp --dport 53 -j DNAT --to-destination 172.18.0.2": "0.0.0.0:53/udp > 172.18.0.2:53",
    f"PREROUTING -m addrtype --dst-type LOCAL -p sctp -m sctp --dport 9 {TO_WEB}": "0.0.0.0:9/sctp > 172.18.0.2:80",
    f"PREROUTING -p tcp -m multiport --dports 80,443 {TO_WEB}":
        "0.0.0.0:80/tcp > 172.18.0.2:80, 0.0.0.0:443/tcp > 172.18.0.2:80",
    "PREROUTING -p tcp -m tcp --dport 90:99 -j DNAT --to-destination 172.18.0.2": "0.0.0.0:90-99/tcp > 172.18.0.2:90-99",
    f"PREROUTING -p tcp -m tcp --dport 90:99 {TO_WEB}": "0.0.0.0:90-99/tcp > 172.18.0.2:80",
    f"PREROUTING -p tcp -m tcp --dport 90:99 {TO_WEB}-89/90": "0.0.0.0:90-99/tcp > 172.18.0.2:80-89",
    f"PREROUTING -p tcp -m tcp --dport 92 {TO_WEB}-89/90": "0.0.0.0:92/tcp > 172.18.0.2:82",
    f"PREROUTING -p tcp -m tcp --dport 90 {TO_WEB}-89": "0.0.0.0:90/tcp > 172.18.0.2:80-89",
    "PREROUTING -d 192.0.2.11/32 -j DNAT --to-destination 172.18.0.2": "192.0.2.11:*/all > 172.18.0.2:*",
    f"PREROUTING -d 192.0.2.11/32 -p tcp -m tcp ! --dport 22 {TO_WEB}":
        "192.0.2.11:0-21/tcp > 172.18.0.2:80, 192.0.2.11:23-65535/tcp > 172.18.0.2:80",
    "PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.18.0.2-172.18.0.4": "0.0.0.0:80/tcp > 172.18.0.2-172.18.0.4:80",
    "PREROUTING -i br-web -p tcp -m tcp --dport 80 -j REDIRECT --to-ports 3128": "0.0.0.0:80/tcp > None:3128",
    f"PREROUTING -d 192.0.2.10/32 -j PORTS|PORTS -p tcp -m tcp --dport 8080 {TO_WEB}": "192.0.2.10:8080/tcp > 172.18.0.2:80",
    f"PREROUTING -p tcp -m multiport --dports 80:89 -g PORTS|PORTS -p tcp -m tcp --dport 85:99 {TO_WEB}":
        "0.0.0.0:85-89/tcp > 172.18.0.2:80",
    f"PREROUTING -i eth0 -j PORTS|PREROUTING -j PORTS|PORTS -p tcp -m tcp --dport 80 {TO_WEB}": "0.0.0.0:80/tcp > 172.18.0.2:80",
    f"PREROUTING -j PORTS|PREROUTING -j PORTS|PORTS -p tcp -m tcp --dport 80 {TO_WEB}": "0.0.0.0:80/tcp > 172.18.0.2:80",
}  # fmt: skip
"""Rules of nat, and the ports that they publish."""

REFUSED = (
    f"OUTPUT -d 192.0.2.10/32 -p tcp -m tcp --dport 8080 {TO_WEB}",
    f"PORTS -p tcp -m tcp --dport 8080 {TO_WEB}",
    "PREROUTING -p icmp -j DNAT --to-destination 172.18.0.2",
    f"PREROUTING -p udp -j PORTS|PORTS -p tcp -m tcp --dport 8080 {TO_WEB}",
    f"PREROUTING -d 192.0.2.10/32 -j PORTS|PORTS -d 192.0.2.11/32 -p tcp -m tcp --dport 8080 {TO_WEB}",
    f"PREROUTING -p tcp -m tcp --dport 80 -j PORTS|PORTS -p tcp -m tcp --dport 8080 {TO_WEB}",
    f"PREROUTING -i eth0 -j PORTS|PORTS -i eth1 -p tcp -m tcp --dport 8080 {TO_WEB}",
    f"PREROUTING -i eth+ -j PORTS|PORTS -i br+ -p tcp -m tcp --dport 8080 {TO_WEB}",
    "POSTROUTING -d 172.18.0.2/32 -p tcp -m tcp --dport 80 -j SNAT --to-source 192.0.2.10",
    "PREROUTING -p tcp -m tcp --dport 8080 -j ACCEPT",
    f"PREROUTING -j PORTS|PORTS -j PORTS2|PORTS2 -p udp -j RETURN|OUTPUT -p tcp -m tcp --dport 1 {TO_WEB}",
)
"""Rules of nat that publish nothing."""


@pytest.mark.parametrize("rules", CASES)
def test_published(rules: str) -> None:
    assert ", ".join(map(short, ports(dump(*rules.split("|"))))) == CASES[rules]


@pytest.mark.parametrize("rules", REFUSED)
def test_not_published(rules: str) -> None:
    text = dump(*rules.split("|")).replace(":PORTS -", ":PORTS2 - [0:0]\n:PORTS -")
    assert ports(text) == []
    assert "No port is published" in asked(text)


WEB = f"PREROUTING -p tcp -m tcp --dport 8080 {TO_WEB}"
REACHED = {
    WEB: ["anywhere"],
    WEB.replace("-p", "-i eth0 -p", 1): ["anywhere"],
    WEB.replace("-p", "-s 203.0.113.0/24 -p", 1): ["203.0.113.0/24"],
    WEB.replace("-p", "-i br-web -p", 1).replace("172.18.0.2", "192.0.2.20"): ["172.18.0.0/16"],
    WEB.replace("-p", "-i wg0 -p", 1): ["lan"],
    WEB.replace("8080", "8080 -m time --timestart 08:00:00"): [],
    f"PREROUTING -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.9:80|{WEB}": ["anywhere"],
}


@pytest.mark.parametrize("rules", REACHED)
def test_reachable_from(rules: str) -> None:
    nat = ("OUTPUT -o eth0 -j ACCEPT", *rules.split("|"))
    assert ports(dump(*nat))[0]["reachable_from"] == REACHED[rules]


ANSWERS = "-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\n"
LET_IN = "-A FORWARD -d 172.18.0.2/32 -i eth0 -o br-web -p tcp -m tcp --dport 80 -j ACCEPT\n" + ANSWERS
HIDDEN = "POSTROUTING -s 192.0.2.0/24 -o eth0 -j MASQUERADE"
"""It tells which interface leads outside, so that the others are not it."""

SENDERS = {
    # rules of nat: rules of filter: reachable_from, except
    (WEB.replace("-p", "! -s 203.0.113.0/24 -p", 1), ANSWERS): (["anywhere"], ["203.0.113.0/24"]),
    (WEB.replace("-p", "-i eth0 -m iprange --src-range 203.0.113.1-203.0.113.2 -p", 1), ANSWERS):
        (["203.0.113.1/32", "203.0.113.2/32"], None),
    (WEB, "-A FORWARD -s 198.18.0.0/15 -j DROP\n" + LET_IN):
        (["anywhere"], ["198.18.0.0", "198.18.0.2-198.19.255.255"]),
    (WEB, "-A FORWARD -s 203.0.113.0/24 -j DROP\n" + LET_IN): (["anywhere"], ["203.0.113.0/24"]),
    (WEB.replace("-p", "-s 203.0.113.0/24 -p", 1), "-A FORWARD -s 203.0.113.0/25 -j DROP\n" + LET_IN):
        (["203.0.113.128/25"], None),
    (WEB.replace("8080", "80:89"), "-A FORWARD -s 203.0.113.0/24 -j DROP\n" + LET_IN): (["anywhere"], ["203.0.113.0/24"]),
    (WEB.replace("8080", "80:89").replace(":80", ""), "-A FORWARD -s 203.0.113.0/24 -j DROP\n" + LET_IN): None,
    (f"{WEB.replace('-p', '-i br-lan -p', 1)}|{HIDDEN.replace('eth0', 'eth9')}|{HIDDEN.replace('-o', '! -o').replace('eth0', 'br-lan')}",
     "-A FORWARD -s 192.0.2.128/25 -j DROP\n" + LET_IN.replace("eth0", "br-lan")): (["192.0.2.0/24"], ["192.0.2.128-192.0.2.254"]),
}  # fmt: skip
"""Who gets in, where not everybody does; None: it was not worked out for all."""


@pytest.mark.parametrize("rules", SENDERS, ids=lambda r: f"{r[0]} {r[1][:40]}")
def test_who_gets_in_of_all_addresses(rules: tuple[str, str]) -> None:
    text = dump(*rules[0].split("|"), accepts=rules[1], forward="DROP" if "--dport 80" in rules[1] else "ACCEPT")
    [port] = ports(text)
    said = " ".join(asked(text).split())
    if SENDERS[rules] is None:
        assert port["for_all"] is None and "it was not worked out for all addresses there." in said
    else:
        assert (port["reachable_from"], port.get("except")) == SENDERS[rules]
        assert port["for_all"] is True and "Of the addresses " in said


@pytest.mark.parametrize("ways", [("eth+", "eth0"), ("eth0", "eth+"), ("+", "eth0")])
def test_of_two_names_for_an_interface_the_narrower_counts(ways: tuple[str, str]) -> None:
    [port] = ports(dump(f"PREROUTING -i {ways[0]} -j PORTS", WEB.replace("PREROUTING", f"PORTS -i {ways[1]}")))
    assert port["interface"] == "eth0"


def test_whom_an_earlier_rule_robs() -> None:
    first, second = ports(dump(WEB.replace("0.2", "0.9"), WEB))
    assert (first["reachable_from"], second["reachable_from"]) == (["anywhere"], [])
    assert "other rules than this one have the packets; they go to 172.18.0.9:80" in asked(
        dump(WEB.replace("0.2", "0.9"), WEB)
    )


def test_the_rule_that_lets_it_in() -> None:
    accepts = "-A FORWARD -d 172.18.0.2/32 -o br-web -p tcp -m tcp --dport 80 -j ACCEPT\n"
    answers = "-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\n"
    near = ("--dport 81", "-p udp -m udp", "172.18.0.3/32", "DROP")
    others = (
        accepts.replace(a, b)
        for a, b in zip(("--dport 80", "-p tcp -m tcp", "172.18.0.2/32", "ACCEPT"), near, strict=True)
    )
    [port] = ports(dump(WEB, accepts=accepts + "".join(others) + answers, forward="DROP"))
    assert port["because"] == {"port-accept": [5], "dnat": [18]} and port["lines"] == [5, 18]
    assert (port["by"]["line"], port["reachable_from"]) == (5, ["anywhere"])
    [shut] = ports(dump(WEB, forward="DROP"))
    assert (shut["by"]["rule"], shut["reachable_from"], shut["because"]) == ("policy", [], {"dnat": [12]})


def test_jumps_are_named_with_their_lines() -> None:
    [port] = ports(dump("PREROUTING -d 192.0.2.10/32 -j PORTS", WEB.replace("PREROUTING", "PORTS")))
    assert port["because"] == {"jump": [12], "dnat": [13]}


def test_who_wrote_it_and_what_it_is_called() -> None:
    rules = dump(WEB, "PREROUTING -p tcp -m tcp --dport 1 -j REDIRECT --to-ports 2")
    facts = {"iptables": rules, "endpoints": [{"name": "web", "iface": "br-web", "addresses": ["172.18.0.2"]}]}
    web, redirect = ports(json.dumps(facts))
    assert (web["name"], web["bridge"], web["written_by"]) == ("web", "br-web", "hand")
    assert (redirect["name"], redirect["bridge"], redirect["container_ip"]) == (None, None, None)
    said = asked(json.dumps(facts))
    assert "172.18.0.2:80 on br-web, container web" in said and "written by hand, not by Docker" in said
    assert "the packet is then for this host itself" in said


def test_listeners_tell_whether_anybody_answers_on_the_host() -> None:
    text = dump(WEB)
    for listeners, words in (([], "No program of the host listens"), (["tcp 0.0.0.0:8080"], "the snapshot has one")):
        assert words in asked(json.dumps({"iptables": text, "listeners": listeners}))
    assert "a dump cannot show" in asked(text)
