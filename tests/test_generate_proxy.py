"""docker-proxy off: what its end may change, and that nothing else is taken for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from iptexplain.explain.situation import Situation
from iptexplain.generate import proxy
from iptexplain.generate.draft import Draft
from iptexplain.generate.prove import Step, is_proved, prove
from iptexplain.host.snapshot import read_snapshot
from tests.test_generate import generate, planned

INPUT_DROPS = """\
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A INPUT -i eth0 -p tcp -m tcp --dport 22 -j ACCEPT
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A FORWARD -o br-aaaaaaaaaaaa -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o br-aaaaaaaaaaaa -j DOCKER
-A FORWARD -i br-aaaaaaaaaaaa ! -o br-aaaaaaaaaaaa -j ACCEPT
-A FORWARD -i br-aaaaaaaaaaaa -o br-aaaaaaaaaaaa -j ACCEPT
-A DOCKER -d 172.18.0.2/32 ! -i br-aaaaaaaaaaaa -o br-aaaaaaaaaaaa -p tcp -m tcp --dport 5432 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -i br-aaaaaaaaaaaa ! -o br-aaaaaaaaaaaa -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -o br-aaaaaaaaaaaa -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 172.18.0.0/16 ! -o br-aaaaaaaaaaaa -j MASQUERADE
-A POSTROUTING -s 172.18.0.2/32 -d 172.18.0.2/32 -p tcp -m tcp --dport 5432 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER -i br-aaaaaaaaaaaa -j RETURN
-A DOCKER ! -i br-aaaaaaaaaaaa -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:5432
COMMIT
"""


def steps_of(text: str) -> tuple[str, list[Step]]:
    """The generated rules of a dump, and their proof."""
    situation = Situation(read_snapshot(text, "dump"), 4)
    one, rendered = planned(situation)
    return rendered, prove(situation, one, rendered)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda draft: draft.tables["filter"].policies.update(INPUT="ACCEPT"),
        lambda draft: draft.tables["filter"].policies.update(FORWARD="ACCEPT"),
        lambda draft: draft.tables["filter"].chains["FORWARD"].insert(
            0, draft.entry("filter", "FORWARD -i docker0 -j ACCEPT", "proxied", bridge="docker0")
        ),
        lambda draft: draft.tables["filter"].chains["DOCKER"].clear(),
    ],
)  # fmt: skip
def test_the_end_of_docker_proxy_is_not_taken_for_anything_else(
    wrong: Callable[[Draft], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step that takes docker-proxy away does something else as well: that is found, and what differs is listed."""
    right = proxy.without_proxy

    def without_proxy(draft: Draft, situation: Situation) -> None:
        right(draft, situation)
        wrong(draft)

    _, steps = steps_of(INPUT_DROPS)
    assert is_proved(steps)
    monkeypatch.setattr(proxy, "without_proxy", without_proxy)
    _, steps = steps_of(INPUT_DROPS)
    assert not is_proved(steps)
    assert all(flow.kind in ("opened", "closed") for flow in steps[0].strangers)
    assert steps[0].facts()["families"][0]["groups"]


def test_what_input_kept_from_docker_proxy_stays_closed() -> None:
    text, steps = steps_of(INPUT_DROPS)
    assert is_proved(steps)
    assert not [flow for step in steps for flow in step.compared[0].flows if flow.kind == "opened"]
    assert "--ctorigdstport" not in text
    opened, steps = steps_of(
        INPUT_DROPS.replace("-A INPUT", "-A INPUT -i docker0 -p tcp -m tcp --dport 8080 -j ACCEPT\n-A INPUT", 1)
    )
    assert is_proved(steps)
    assert (
        "-d 172.18.0.2/32 -o br-aaaaaaaaaaaa -p tcp -m tcp --dport 5432 -m conntrack --ctorigdstport 8080 -j ACCEPT"
        in opened
    )
    assert "-i docker0 -m conntrack --ctstate DNAT --ctdir ORIGINAL -j IPTX-HAIRPIN" in opened
    assert "-A IPTX-DNAT -i br-aaaaaaaaaaaa -j RETURN" in opened


def test_a_door_is_for_those_who_asked_for_the_port_of_the_host() -> None:
    """What the administrator sends to a container himself stays where it was stopped before."""
    text = INPUT_DROPS.replace(":INPUT DROP", ":INPUT ACCEPT", 1)
    asked = "! -i br-aaaaaaaaaaaa -p tcp -m tcp --dport 8080"
    own = "-A PREROUTING -s 172.17.0.0/16 -d 198.51.100.7/32 -p tcp -m tcp --dport 9999 -j DNAT --to-destination 172.18.0.2:5432\n"
    with_own = text.replace("-A OUTPUT !", f"{own}-A OUTPUT !")
    assert is_proved(steps_of(with_own)[1])
    rules, steps = steps_of(
        with_own.replace(
            "! -i br-aaaaaaaaaaaa -p tcp -m tcp --dport 8080",
            f"-d 127.0.0.1/32 {asked}",
        )
    )
    assert is_proved(steps)
    assert "--ctorigdstport" not in rules


def test_what_rules_cannot_carry_is_told(tmp_path: Path) -> None:
    """DOCKER-USER drops what docker-proxy would have got."""
    text = INPUT_DROPS.replace(":INPUT DROP", ":INPUT ACCEPT", 1)
    (tmp_path / "dump").write_text(
        text.replace("-A DOCKER-USER", "-A DOCKER-USER -i docker0 -p tcp -j DROP\n-A DOCKER-USER")
    )
    result = generate(str(tmp_path / "dump"))
    assert result.exit_code == 1
    assert "not proved" in result.stderr
    assert "--keep-proxy" in result.stderr
    assert "172.17.0.2" in result.stderr
    assert generate(str(tmp_path / "dump"), "--keep-proxy").exit_code == 0


INPUT_OPEN = INPUT_DROPS.replace(":INPUT DROP", ":INPUT ACCEPT", 1)


def test_what_windows_sends_to_loopback_goes_to_the_container_now() -> None:
    text = INPUT_OPEN.replace("-A DOCKER -i docker0 -j RETURN", "-A DOCKER -d 127.0.0.0/8 -i loopback0 -j RETURN", 1)
    rules, steps = steps_of(text)
    assert is_proved(steps)
    assert "loopback0" not in rules
    opened = [flow for flow in steps[0].compared[0].flows if flow.kind == "opened"]
    assert {steps[0].compared[0].told(end).interface for flow in opened for end in flow.region.now} == {
        "br-aaaaaaaaaaaa"
    }


def test_a_container_gets_to_itself_by_a_port_of_the_host() -> None:
    """docker-proxy brought it there; without it the daemon switches hairpin mode on at the container's port of the bridge."""
    ports = [{"ifname": "veth1", "master": "br-aaaaaaaaaaaa", "hairpin": False}]
    sender = {"name": "db", "iface": "br-aaaaaaaaaaaa", "port": "veth1", "addresses": ["172.18.0.2"]}
    snapshot = {"schema": 1, "iptables": INPUT_OPEN, "bridge_links": ports, "endpoints": [sender]}
    assert is_proved(steps_of(json.dumps(snapshot))[1])


def test_a_client_is_asked_from_within_a_small_network() -> None:
    """INPUT lets the network's own addresses in, of which there are fewer than 250."""
    small = INPUT_DROPS.replace("172.18.0.0/16", "172.18.0.0/28").replace(
        "-A INPUT", "-A INPUT -s 172.18.0.0/28 -j ACCEPT\n-A INPUT", 1
    )
    rules, _ = steps_of(small)
    assert "-A IPTX-DNAT -p tcp -m tcp --dport 8080 -j DNAT" in rules


def test_what_mangle_kept_from_docker_proxy_stays_closed() -> None:
    mangle = "*mangle\n:INPUT ACCEPT [0:0]\n-A INPUT -i docker0 -p tcp -m tcp --dport 8080 -j DROP\nCOMMIT\n"
    rules, steps = steps_of(INPUT_OPEN + mangle)
    assert is_proved(steps)
    assert "-A IPTX-DNAT -i docker0 -j RETURN" in rules
