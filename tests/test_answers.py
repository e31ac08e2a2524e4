"""What the host itself answers: resets and ICMP errors, and how they fare."""

from __future__ import annotations

from typing import Any

import pytest

from iptexplain.walk.outcome import Trace
from tests.hosts import FACTS, flows, host

NONE = "*filter\nCOMMIT\n"
THROUGH = {"dst": "172.17.0.2"}
FROM_WEB = {"iif": "docker0", "physin": "veth1", "src": "172.17.0.2", "dst": "198.51.100.7"}
TO_DB = {"iif": "docker0", "physin": "veth1", "src": "172.17.0.2", "dst": "172.17.0.3"}
PING = {"proto": "icmp", "icmp_type": 8, "icmp_id": 1}


def told(rules: str, packet: dict[str, Any]) -> Trace | None:
    return flows(host(rules), packet)[0].told


def reject(chain: str, how: str = "icmp-port-unreachable") -> str:
    return f"*filter\n-A {chain} -p tcp -j REJECT --reject-with {how}\nCOMMIT\n"


@pytest.mark.parametrize(
    ("rules", "packet", "source", "kind"),
    [
        (reject("INPUT"), {}, "192.0.2.10", (3, 3)),
        (reject("INPUT", "icmp-host-prohibited"), {}, "192.0.2.10", (3, 10)),
        (reject("FORWARD"), THROUGH, "192.0.2.10", (3, 3)),
        (reject("FORWARD"), FROM_WEB, "172.17.0.1", (3, 3)),
        (reject("FORWARD"), TO_DB, "172.17.0.1", (3, 3)),
        (NONE, {**THROUGH, "ttl": 1}, "192.0.2.10", (11, 0)),
        (NONE, {"dst": "203.0.113.1"}, "192.0.2.10", (3, 1)),
        (NONE, {"dst": "203.0.113.65"}, "192.0.2.10", (3, 13)),
    ],
)
def test_icmp_errors(rules: str, packet: dict[str, Any], source: str, kind: tuple[int, int]) -> None:
    answer = told(rules, packet)
    assert answer is not None
    fields = answer.packet.fields
    assert (str(fields["src"]), fields["dst"], answer.state) == (
        source,
        flows(host(NONE), packet)[0].packet.src,
        "RELATED",
    )
    assert (fields["icmp_type"], fields["icmp_code"], answer.outcome.kind) == (*kind, "sent")


@pytest.mark.parametrize(
    ("rules", "packet"),
    [
        (NONE, {}),
        ("*filter\n-A INPUT -j DROP\nCOMMIT\n", {}),
        (NONE, {"dst": "203.0.113.129"}),
        ("*filter\n-A INPUT -j REJECT\nCOMMIT\n", {"proto": "icmp", "icmp_type": 3, "icmp_code": 1}),
        ("*filter\n-A INPUT -j REJECT\nCOMMIT\n", {"dst": "192.0.2.255", "proto": "udp"}),
        (reject("INPUT", "tcp-reset"), {"flags": "RST"}),
        (NONE, {**THROUGH, "ttl": 1, "proto": "icmp", "icmp_type": 11, "icmp_code": 0}),
    ],
)
def test_nothing_is_answered(rules: str, packet: dict[str, Any]) -> None:
    """To what arrives or is dropped silently, to ICMP errors, broadcasts and resets."""
    assert told(rules, packet) is None


@pytest.mark.parametrize(("flags", "reset"), [("SYN", {"RST", "ACK"}), ("ACK", {"RST"})])
def test_reset(flags: str, reset: set[str]) -> None:
    answer = told(reject("INPUT", "tcp-reset"), {"flags": flags})
    assert answer is not None
    fields = answer.packet.fields
    assert (fields["flags"], str(fields["src"]), fields["sport"], fields["dport"]) == (reset, "192.0.2.10", 80, 40000)


def test_reset_onto_a_bridge_passes_no_rule() -> None:
    """With bridge-nf-call it leaves by the port that the packet came in by, as if the other machine had sent it."""
    rules = reject("FORWARD", "tcp-reset") + "*mangle\n-A OUTPUT -j DROP\nCOMMIT\n"
    answer = told(rules, TO_DB)
    assert answer is not None
    assert (answer.steps, answer.outcome.kind, answer.outcome.interface) == ((), "sent", "docker0")


def test_an_answer_can_be_dropped_itself() -> None:
    rules = reject("INPUT").replace("COMMIT", "-A OUTPUT -m conntrack --ctstate RELATED -j DROP\nCOMMIT")
    answer = told(rules, {})
    assert answer is not None and answer.outcome.kind == "dropped"


def test_an_answer_is_not_exempted_from_tracking() -> None:
    """It carries the connection of the packet that it answers, so CT --notrack passes it over (xt_CT.c)."""
    answer = told(reject("INPUT") + "*raw\n-A OUTPUT -j CT --notrack\nCOMMIT\n", {})
    assert answer is not None and answer.state == "RELATED"


def test_a_reset_to_a_first_packet_meets_nat_in_postrouting() -> None:
    """Netfilter asks nat for an end of the connection that nobody has settled yet; the reset itself is not rewritten."""
    rules = reject("INPUT", "tcp-reset") + "*nat\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n"
    answer = told(rules, {})
    assert answer is not None
    assert [s.action for s in answer.steps if s.place.table == "nat"] == ["MASQUERADE"]
    assert str(answer.outcome.fields["src"]) == "192.0.2.10"


def test_an_error_about_a_published_port_comes_from_the_published_address() -> None:
    """Of two addresses of the host the one that the client asked for: NAT of the connection is undone (nf_nat_icmp_reply_translation)."""
    two = [{"family": "inet", "local": f"192.0.2.{n}", "prefixlen": 24} for n in (10, 11)]
    rules = "*nat\n-A PREROUTING -p tcp -j DNAT --to-destination 172.17.0.2\nCOMMIT\n" + reject("FORWARD")
    situation = host(rules, addresses=[{"ifname": "eth0", "addr_info": two}, *FACTS["addresses"][2:]])
    answer = flows(situation, {"dst": "192.0.2.11"})[0].told
    assert answer is not None
    assert (str(answer.packet.src), str(answer.outcome.fields["src"])) == ("192.0.2.10", "192.0.2.11")
