"""Connection tracking: which state each packet of a connection finds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hosts import flows, host

LOG = "*filter\n-A INPUT -j LOG\nCOMMIT\n"

TCP = {
    "a handshake": "> SYN NEW, < SYN,ACK ESTABLISHED, > ACK ESTABLISHED, < PSH,ACK ESTABLISHED",
    "a SYN again": "> SYN NEW, > SYN NEW",
    "an ACK before the answer": "> SYN NEW, > ACK INVALID",
    "a FIN before the answer": "> SYN NEW, > FIN,ACK INVALID",
    "the opener sends SYN,ACK": "> SYN NEW, > SYN,ACK INVALID",
    "flags that nobody sends": "> SYN NEW, < SYN,FIN INVALID, < SYN,ACK ESTABLISHED",
    "refused": "> SYN NEW, < RST,ACK ESTABLISHED, > ACK NEW",
    "the opener resets what nobody has answered": "> SYN NEW, > RST,ACK INVALID",
    "after the end": "> SYN NEW, < RST,ACK ESTABLISHED, < SYN NEW, > SYN,ACK ESTABLISHED",
    "the opener gives up": "> SYN NEW, > RST NEW, < SYN,ACK INVALID",
    "picked up in the middle": "> ACK NEW, > ACK NEW, < ACK ESTABLISHED, > ACK ESTABLISHED",
    "ECN": "> SYN,ECE,CWR NEW, < SYN,ACK,ECE ESTABLISHED",
    "closed by both": "> SYN NEW, < SYN,ACK ESTABLISHED, > ACK ESTABLISHED, > FIN,ACK ESTABLISHED, < FIN,ACK ESTABLISHED,"
    " > ACK ESTABLISHED, > SYN NEW",
    "opened by both": "> SYN NEW, < SYN ESTABLISHED, > SYN,ACK ESTABLISHED, < SYN,ACK ESTABLISHED",
    "a SYN in the middle is let pass": "> SYN NEW, < SYN,ACK ESTABLISHED, > ACK ESTABLISHED, > SYN ESTABLISHED",
    "a SYN from the other side is not": "> SYN NEW, < SYN,ACK ESTABLISHED, > ACK ESTABLISHED, < SYN INVALID",
}
"""Packets of the opener (>) and of the answerer (<), each with its flags and the state that it finds."""


def packets(story: str) -> list[tuple[dict[str, Any], str]]:
    """(packet, state); every packet after the first belongs to its connection."""
    found = []
    for number, words in enumerate(story.split(", ")):
        side, flags, state = words.split(" ")
        packet: dict[str, Any] = {"flags": flags}
        if number:
            packet |= {"after": 0, "dir": "same" if side == ">" else "reply"}
        found.append((packet, state))
    return found


@pytest.mark.parametrize("story", TCP.values(), ids=TCP)
def test_states_of_tcp(story: str) -> None:
    asked = packets(story)
    assert [w.state for w in flows(host(LOG), *(p for p, _ in asked))] == [state for _, state in asked]


@pytest.mark.parametrize(
    ("story", "assured"),
    [
        ("> SYN NEW, < SYN,ACK ESTABLISHED", False),
        ("> SYN NEW, < SYN,ACK ESTABLISHED, > ACK ESTABLISHED", True),
        ("> ACK NEW, < ACK ESTABLISHED", False),
        ("> ACK NEW, < ACK ESTABLISHED, > ACK ESTABLISHED", True),
        ("> ACK NEW, < ACK ESTABLISHED, > SYN ESTABLISHED", False),
    ],
)
def test_when_tcp_is_assured(story: str, assured: bool) -> None:
    connection = flows(host(LOG), *(p for p, _ in packets(story)))[-1].connection
    assert connection is not None and connection.assured is assured


def test_a_reopened_connection_asks_nat_again() -> None:
    """After TIME_WAIT a SYN is the first packet of a new connection; before, the NAT of the old one is simply kept."""
    rules = "*nat\n-A PREROUTING -p tcp -j REDIRECT --to-ports 8080\nCOMMIT\n"
    asked = [p | ({"sport": 8080} if p.get("dir") == "reply" else {}) for p, _ in packets(TCP["closed by both"])]
    ways = flows(host(rules), *asked)
    assert [any(s.action == "REDIRECT" for s in w.steps) for w in ways] == [True, *[False] * 5, True]


@pytest.mark.parametrize(
    ("first", "later", "states"),
    [
        ({"proto": "udp"}, [{"proto": "udp"}, {"proto": "udp", "dir": "same"}], ["NEW", "ESTABLISHED", "ESTABLISHED"]),
        ({"proto": "udp"}, [{"proto": "udp", "dir": "same"}], ["NEW", "NEW"]),
        ({"proto": "icmp", "icmp_type": 8, "icmp_id": 7}, [{"proto": "icmp", "icmp_type": 0, "icmp_id": 7}],
         ["NEW", "ESTABLISHED"]),
        ({"proto": "icmp", "icmp_type": 0, "icmp_id": 7}, [], ["INVALID"]),
        ({"proto": "icmp", "icmp_type": 3, "icmp_code": 1}, [], ["INVALID"]),
        ({"flags": "SYN"}, [{"proto": "icmp", "icmp_error": [3, 1], "icmp_type": 3, "icmp_code": 1}], ["NEW", "RELATED"]),
    ],
)  # fmt: skip
def test_states_of_others(first: dict[str, Any], later: list[dict[str, Any]], states: list[str]) -> None:
    assert [w.state for w in flows(host(LOG), first, *({"after": 0, **p} for p in later))] == states


def test_conntrack_has_not_seen_a_packet_in_raw() -> None:
    """There the state is INVALID, and UNTRACKED once a rule has exempted the packet (nf_ct_get)."""
    rules = (
        "*raw\n-A PREROUTING -m conntrack --ctstate INVALID -j CT --notrack\n"
        "-A PREROUTING -m conntrack --ctstate UNTRACKED -j ACCEPT\nCOMMIT\n"
    )
    way = flows(host(rules), {})[0]
    assert [s.action for s in way.steps] == ["CT", "ACCEPT"]
    assert way.state == "UNTRACKED"


def test_an_untracked_packet_leaves_its_connection_alone() -> None:
    rules = "*raw\n-A OUTPUT -j CT --notrack\nCOMMIT\n" + LOG
    ways = flows(
        host(rules), {"flags": "SYN"}, {"flags": "RST", "after": 0}, {"flags": "SYN", "after": 0, "dir": "same"}
    )
    assert [w.state for w in ways] == ["NEW", "UNTRACKED", "NEW"]
    assert ways[-1].connection is not None


def test_ports_of_a_ping_are_its_id_and_its_type() -> None:
    rules = "*filter\n-A INPUT -m conntrack --ctorigsrcport 7 --ctorigdstport 2048 --ctrepldstport 0 -j DROP\nCOMMIT\n"
    ping = {"proto": "icmp", "icmp_type": 8, "icmp_code": 0}
    kinds = [flows(host(rules), {**ping, "icmp_id": number})[0].outcome.kind for number in (7, 8)]
    assert kinds == ["dropped", "delivered-local"]


@pytest.mark.parametrize(
    ("option", "state"), [("--zone 7", "INVALID"), ("--zone-orig 7", "ESTABLISHED"), ("--zone-reply 7", "INVALID")]
)
def test_a_connection_in_another_zone_is_not_found(option: str, state: str) -> None:
    """The rule puts only incoming packets into the zone; the answer is looked up in that of all others."""
    situation = host(f"*raw\n-A PREROUTING -j CT {option}\nCOMMIT\n{LOG}")
    assert [w.state for w in flows(situation, {"flags": "SYN"}, {"flags": "SYN,ACK", "after": 0})] == ["NEW", state]


def test_a_second_ct_rule_is_passed_over() -> None:
    """The packet carries what the first one said (xt_ct_target)."""
    ways = flows(host("*raw\n-A PREROUTING -j CT --zone 7\n-A PREROUTING -j CT --notrack\nCOMMIT\n" + LOG), {})
    assert ways[0].state == "NEW"


@pytest.mark.parametrize(
    ("inner", "state"),
    [
        ({"src": "192.0.2.10", "dst": "192.0.2.50", "proto": "tcp", "sport": 80, "dport": 40000}, "RELATED"),
        ({"src": "192.0.2.10", "dst": "192.0.2.50", "proto": "tcp", "sport": 81, "dport": 40000}, "INVALID"),
        ({"src": "192.0.2.10", "dst": "192.0.2.51", "proto": "tcp", "sport": 80, "dport": 40000}, "INVALID"),
    ],
)
def test_an_error_is_about_the_packet_that_it_quotes(inner: dict[str, Any], state: str) -> None:
    error = {"iif": "eth0", "src": "192.0.2.50", "dst": "192.0.2.10", "proto": "icmp", "icmp_type": 3, "icmp_code": 1}
    about = {"after": 0, "dir": "same", "icmp_error": [3, 1], "inner": inner}
    assert [w.state for w in flows(host(LOG), {"flags": "SYN"}, {**error, **about})] == ["NEW", state]


def test_a_port_that_another_connection_has_is_not_taken_twice() -> None:
    """Two connections of one flow would get the same answers: NAT gives the second another source port."""
    rules = "*nat\n-A POSTROUTING -j SNAT --to-source 192.0.2.10\nCOMMIT\n"
    first = {"iif": "docker0", "src": "172.17.0.2", "dst": "198.51.100.7", "sport": 5000}
    ways = flows(host(rules), first, {**first, "src": "172.17.0.3", "after": 0, "dir": "same"})
    assert [str(w.outcome.fields["sport"]) for w in ways] == ["5000", "1024-65535"]


def test_when_a_connection_will_be_forgotten_nobody_knows() -> None:
    way = flows(host("*filter\n-A INPUT -m conntrack --ctexpire 1:300 -j DROP\nCOMMIT\n"), {})[0]
    assert (way.outcome.kind, [u.about and u.about.name for u in way.unknowns]) == ("unknown", ["conntrack"])
