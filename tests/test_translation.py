"""NAT: what the kernel must choose, and what it may choose from."""

from __future__ import annotations

import pytest

from iptexplain.explain.way import outcome_json
from tests.hosts import flows, host


def ends(rules: str, **packet: object) -> dict[str, object]:
    """The packet's ends after the nat rules, as the JSON of an outcome has them."""
    return outcome_json(flows(host(f"*nat\n{rules}\nCOMMIT\n"), packet)[0].outcome)["tuple"]


def span(first: object, last: object) -> dict[str, object]:
    return {"first": first, "last": last}


DNAT = "-A PREROUTING -p tcp -j DNAT --to-destination"


@pytest.mark.parametrize(
    ("rule", "dport", "wanted"),
    [
        (f"{DNAT} 172.17.0.2", 80, ("172.17.0.2", 80)),
        (f"{DNAT} 172.17.0.2:8080", 80, ("172.17.0.2", 8080)),
        (f"{DNAT} 172.17.0.2:80-90", 85, ("172.17.0.2", 85)),
        (f"{DNAT} 172.17.0.2:80-90", 5, ("172.17.0.2", 80)),
        (f"{DNAT} 172.17.0.2:80-90 --random", 85, ("172.17.0.2", span(80, 90))),
        (f"{DNAT} 172.17.0.2 --random", 85, ("172.17.0.2", 85)),
        (f"{DNAT} 172.17.0.2:8000-8009/4000", 4003, ("172.17.0.2", 8003)),
        (f"{DNAT} 172.17.0.2:8000-8009/4000", 4013, ("172.17.0.2", 8003)),
        (f"{DNAT} 172.17.0.2-172.17.0.3", 80, (span("172.17.0.2", "172.17.0.3"), 80)),
        ("-A PREROUTING -p tcp -j REDIRECT --to-ports 8080", 80, ("192.0.2.10", 8080)),
        ("-A PREROUTING -j NETMAP --to 172.17.0.0/24", 80, ("172.17.0.10", 80)),
    ],
)
def test_destination(rule: str, dport: int, wanted: tuple[object, object]) -> None:
    found = ends(rule, dport=dport)
    assert (found["dst"], found["dport"]) == wanted


SNAT = "-A POSTROUTING -p tcp -j SNAT --to-source"
MASQUERADE = "-A POSTROUTING -p tcp -j MASQUERADE"


@pytest.mark.parametrize(
    ("rule", "sport", "wanted"),
    [
        (MASQUERADE, 40000, ("192.0.2.10", 40000)),
        (f"{MASQUERADE} --to-ports 5000-5009", 40000, ("192.0.2.10", span(5000, 5009))),
        (f"{MASQUERADE} --to-ports 5000-5009", 5005, ("192.0.2.10", 5005)),
        (f"{MASQUERADE} --to-ports 5000", 40000, ("192.0.2.10", 5000)),
        (f"{MASQUERADE} --random", 40000, ("192.0.2.10", span(1024, 65535))),
        (f"{MASQUERADE} --random", 700, ("192.0.2.10", span(600, 1023))),
        (f"{MASQUERADE} --random-fully", 100, ("192.0.2.10", span(1, 511))),
        (f"{SNAT} 192.0.2.11-192.0.2.14", 40000, (span("192.0.2.11", "192.0.2.14"), 40000)),
        (f"{SNAT} 172.17.0.1-172.17.0.9", 40000, ("172.17.0.2", 40000)),
        (f"{SNAT} 172.17.0.1-172.17.0.9 --random", 40000, (span("172.17.0.1", "172.17.0.9"), span(1024, 65535))),
    ],
)
def test_source(rule: str, sport: int, wanted: tuple[object, object]) -> None:
    found = ends(rule, iif="docker0", src="172.17.0.2", dst="198.51.100.7", sport=sport)
    assert (found["src"], found["sport"]) == wanted


def test_every_address_that_nat_may_choose_is_followed() -> None:
    """Only one of the two ways is accepted: that is not known then, and both are named."""
    rules = f"*nat\n{DNAT} 172.17.0.2-172.17.0.3\nCOMMIT\n*filter\n-A FORWARD -d 172.17.0.2 -j DROP\nCOMMIT\n"
    outcome = flows(host(rules), {})[0].outcome
    assert [b.kind for b in outcome.branches] == ["dropped", "forwarded"]


def test_more_addresses_than_are_followed_are_never_definite() -> None:
    way = flows(host(f"*nat\n{DNAT} 172.17.0.2-172.17.1.200\nCOMMIT\n"), {})[0]
    assert (way.bounded, way.outcome.kind) == (True, "unknown")


def test_a_rewritten_port_that_is_not_known_decides_nothing() -> None:
    rules = f"*nat\n{DNAT} 172.17.0.2:80-90 --random\nCOMMIT\n*filter\n-A FORWARD -p tcp --dport 85 -j DROP\nCOMMIT\n"
    assert flows(host(rules), {})[0].outcome.kind == "unknown"


def test_masquerade_without_an_address_drops() -> None:
    addresses = [{"ifname": "docker0", "addr_info": []}, {"ifname": "lo", "addr_info": []}]
    situation = host(f"*nat\n{MASQUERADE}\nCOMMIT\n", addresses=addresses)
    way = flows(situation, {"iif": "docker0", "src": "172.17.0.2", "dst": "198.51.100.7"})[0]
    assert (way.outcome.kind, way.outcome.by) == ("dropped", way.steps[-1].place)


def test_an_answer_shows_what_nat_has_chosen() -> None:
    """From then on the connection's packets have the address that the answer came to, and no other flow's answer fits."""
    situation = host(f"*nat\n{SNAT} 192.0.2.11-192.0.2.14\nCOMMIT\n")
    ends = {"iif": "docker0", "src": "172.17.0.2", "dst": "198.51.100.7", "sport": 5000}
    answer = {"iif": "eth0", "src": "198.51.100.7", "dst": "192.0.2.12", "flags": "SYN,ACK", "dport": 5000, "after": 0}
    ways = flows(
        situation, ends, answer, {**ends, "flags": "ACK", "after": 0, "dir": "same"}, {**answer, "dst": "192.0.2.99"}
    )
    assert [w.state for w in ways] == ["NEW", "ESTABLISHED", "ESTABLISHED", "INVALID"]
    assert str(ways[1].outcome.fields["dst"]) == "172.17.0.2"
    assert str(ways[2].outcome.fields["src"]) == "192.0.2.12"
