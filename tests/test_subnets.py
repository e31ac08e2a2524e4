"""Which interface a subnet lies behind is read from rules that say so, and from no others."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from iptexplain.host.infer import topology_of
from iptexplain.host.snapshot import read_snapshot
from iptexplain.host.subnets import Subnets
from tests.conftest import ROOT

HEAD = "*nat\n:POSTROUTING ACCEPT [0:0]\n:OWN - [0:0]\n{nat}COMMIT\n*filter\n:FORWARD DROP [0:0]\n{filter}COMMIT\n"
NET = "10.5.0.0/16"
HIDES = f"POSTROUTING -s {NET} ! -d {NET} -j MASQUERADE"
ACCEPTS = f"FORWARD -s {NET} -i br5 -j ACCEPT"
LXD = '-m comment --comment "generated for LXD network lxdbr0"'
OUT = "FORWARD -i docker0 ! -o docker0 -j ACCEPT"


def dump(nat: tuple[str, ...], filters: tuple[str, ...]) -> str:
    lines = ["".join(f"-A {rule}\n" for rule in rules) for rules in (nat, filters)]
    return HEAD.format(nat=lines[0], filter=lines[1])


def found(text: str) -> list[str]:
    """``INTERFACE SUBNET LINES``, with a star where the interface is a switch."""
    [(_, ruleset)] = read_snapshot(text).rulesets()
    return [
        f"{s.interface}{'*' * s.bridge} {s.network} {','.join(map(str, s.lines))}" for s in Subnets([ruleset]).all()
    ]


SAID: dict[str, tuple[tuple[str, ...], tuple[str, ...], list[str]]] = {
    "Docker's form": ((f"POSTROUTING -s {NET} ! -o br5 -j MASQUERADE",), (), ["br5* 10.5.0.0/16 4"]),
    "in an own chain": (("POSTROUTING -j OWN", f"OWN -s {NET} ! -o br5 -j SNAT --to-source 192.0.2.10"), (), ["br5* 10.5.0.0/16 5"]),
    "an internal network": ((), (f"FORWARD ! -s {NET} -o br5 -j DROP",), ["br5* 10.5.0.0/16 7"]),
    "hidden and accepted": ((HIDES,), (ACCEPTS,), ["br5 10.5.0.0/16 4,8"]),
    "hidden and accepted, the way in": ((HIDES,), (f"FORWARD -d {NET} -o br5 -j ACCEPT",), ["br5 10.5.0.0/16 4,8"]),
    "hidden by an interface": ((f"POSTROUTING -s {NET} -o eth0 -j MASQUERADE",), (ACCEPTS,), ["br5 10.5.0.0/16 4,8"]),
    "a switch": ((HIDES,), (ACCEPTS, "FORWARD -i br5 -o br5 -j ACCEPT"), ["br5* 10.5.0.0/16 4,8"]),
    "an address of it": (
        (f"POSTROUTING -s {NET} -o eth0 -j MASQUERADE",),
        ("FORWARD -i br5 -o br5 -j ACCEPT", "FORWARD -d 10.5.0.2/32 -o br5 -p tcp -m tcp --dport 80 -j ACCEPT"),
        ["br5* 10.5.0.0/16 4,9"],
    ),
    "LXD's remark": ((HIDES.replace("-j", f"{LXD} -j"),), (f"FORWARD -i lxdbr0 {LXD} -j ACCEPT",), ["lxdbr0* 10.5.0.0/16 4,8"]),
    "routed, both ways": (
        (), (ACCEPTS, f"FORWARD -d {NET} -o br5 -j ACCEPT", "FORWARD -i br5 -o br5 -j ACCEPT"), ["br5* 10.5.0.0/16 7,8"]
    ),
    "Docker up to 1.1": ((HIDES,), (OUT,), ["docker0* 10.5.0.0/16 4,8"]),
    "netavark's chain": (
        (f"POSTROUTING -s {NET} -j OWN", f"OWN -d {NET} -j ACCEPT", "OWN ! -d 224.0.0.0/4 -j MASQUERADE"), (), ["unnamed-1 10.5.0.0/16 4"]
    ),
    "CNI's chain, of one container": (
        ("POSTROUTING -s 10.5.0.7/32 -j OWN", f"OWN -d {NET} -j ACCEPT", "OWN ! -d 224.0.0.0/4 -j MASQUERADE"), (),
        ["unnamed-1 10.5.0.0/16 4"],
    ),
    "no interface": ((HIDES,), (), ["unnamed-1 10.5.0.0/16 4"]),
    "two of them": ((HIDES, HIDES.replace("10.5", "10.6")), (), ["unnamed-1 10.5.0.0/16 4", "unnamed-2 10.6.0.0/16 5"]),
    "no interface but the way out": ((f"{HIDES[:-13]} -o wan0 -j MASQUERADE",), ("FORWARD -o wan0 -j ACCEPT",), ["unnamed-1 10.5.0.0/16 4"]),
}  # fmt: skip

SILENT: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "accepted, not hidden": ((), (ACCEPTS,)),
    "hidden, but not as one network": ((f"POSTROUTING -s {NET} -o eth0 -j MASQUERADE",), ()),
    "dropped: a rule against spoofing": ((f"POSTROUTING -s {NET} -o eth0 -j MASQUERADE",), (ACCEPTS.replace("ACCEPT", "DROP"),)),
    "two interfaces": ((HIDES,), (ACCEPTS, ACCEPTS.replace("br5", "br6"))),
    "any interface of a kind": ((f"POSTROUTING -s {NET} -o eth0 -j MASQUERADE",), (ACCEPTS.replace("br5", "br+"),)),
    "not this interface": ((f"POSTROUTING -s {NET} -o eth0 -j MASQUERADE",), (ACCEPTS.replace("-i", "! -i"),)),
    "a part of it": ((f"POSTROUTING -s {NET} -o eth0 -j MASQUERADE",), (ACCEPTS.replace("/16", "/24"),)),
    "an address on what is no switch": ((f"POSTROUTING -s {NET} -o eth0 -j MASQUERADE",), ("FORWARD -d 10.5.0.2/32 -o br5 -j ACCEPT",)),
    "one host": (("POSTROUTING -s 10.5.0.2/32 ! -o br5 -j MASQUERADE",), ()),
    "no source": (("POSTROUTING ! -o br5 -j MASQUERADE",), ()),
    "everybody but these": ((f"POSTROUTING ! -s {NET} -o eth0 -j MASQUERADE",), (ACCEPTS,)),
    "a stranger beside Docker up to 1.1": ((HIDES, HIDES.replace("10.5", "10.6")), (OUT,)),
    "an interface that it may be": ((f"{HIDES[:-13]} -o wan0 -j MASQUERADE",), ("FORWARD -i lan0 -o wan0 -j ACCEPT",)),
    "routed, one way, to one machine": (
        (), (f"FORWARD -s {NET} -d 10.5.0.2/32 -i br5 -j ACCEPT", "FORWARD -i br5 -o br5 -j ACCEPT")
    ),
    "routed, one way, on a switch": ((), (ACCEPTS, "FORWARD -i br5 -o br5 -j ACCEPT")),
    "a chain that hides nothing": ((f"POSTROUTING -s {NET} -j OWN", f"OWN -d {NET} -j ACCEPT"), ()),
    "a chain about another network": (
        (f"POSTROUTING -s {NET} -j OWN", "OWN -d 10.6.0.0/16 -j ACCEPT", "OWN ! -d 224.0.0.0/4 -j MASQUERADE"), ()
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SAID)
def test_said(case: str) -> None:
    nat, filters, expected = SAID[case]
    assert found(dump(nat, filters)) == expected


@pytest.mark.parametrize("case", SILENT)
def test_not_said(case: str) -> None:
    assert found(dump(*SILENT[case])) == []


def test_an_isolated_bridge_is_not_given_a_strangers_subnet() -> None:
    """libvirt's isolated networks have bridges without a subnet in the rules; a VPN's subnet is not theirs."""
    assert found(dump((HIDES,), ("FORWARD -i virbr1 -o virbr1 -j ACCEPT",))) == []


def test_the_first_subnet_counts() -> None:
    """A wide network hidden on the way out does not move the one inside it."""
    wide = "POSTROUTING -s 10.0.0.0/8 -o eth0 -j MASQUERADE"
    assert found(dump((HIDES, wide), (ACCEPTS,))) == ["br5 10.5.0.0/16 4,9"]


def trace(text: str, target: str) -> dict[str, object]:
    result = CliRunner().invoke(program, ["trace", "-", "--from", "internet", "--to", target, "-o", "json"], input=text)
    assert result.exit_code == 0, result.output
    answer: dict[str, object] = json.loads(result.stdout)
    return answer


FORWARDING = {
    "libvirt/alone": ("192.168.122.5:22", "virbr0", "30 and 76"),
    "lxd/docker": ("10.94.31.5:22", "lxdbr0", "10 and 42"),
}


@pytest.mark.parametrize("case", FORWARDING)
def test_packets_leave_by_it_and_it_is_said(case: str) -> None:
    target, interface, lines = FORWARDING[case]
    answer = trace((ROOT / f"fixtures/programs/{case}/rules.v4").read_text(), target)
    assert any(f"{interface} leads to the subnet" in a and f"from lines {lines}" in a for a in answer["assumptions"])  # type: ignore[attr-defined]
    assert interface in json.dumps(answer["outcome"]) or interface in str(answer["why"])


def test_the_outside_is_where_addresses_are_hidden() -> None:
    rules = dump((f"POSTROUTING -s {NET} -o wan0 -j MASQUERADE",), ("FORWARD -i lan0 -o wan0 -j ACCEPT",))
    assert "reached by wan0" in str(trace(rules, "10.5.0.2:22")["assumptions"])


BOUND = {
    ("PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.5.0.2",) * 2: ["192.0.2.10"],
    ("PREROUTING -d 192.0.2.10/32 -j OWN", "OWN -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.5.0.2"): [
        "192.0.2.10"
    ],
    ("PREROUTING -d 192.0.2.10/32 -j OWN", "OWN -p tcp -j ACCEPT"): [],
    ("PREROUTING -d 192.0.2.0/24 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.5.0.2",): [],
    ("PREROUTING ! -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.5.0.2",): [],
}


@pytest.mark.parametrize("nat", BOUND)
def test_the_hosts_address_is_where_ports_are_published(nat: tuple[str, ...]) -> None:
    snapshot = read_snapshot(dump(nat, ()).replace(":POSTROUTING", ":PREROUTING ACCEPT [0:0]\n:POSTROUTING"))
    [(_, ruleset)] = snapshot.rulesets()
    said = [a.values["addresses"] for a in topology_of(snapshot, ruleset).assumptions if a.name == "bound_address"]
    assert said == ([BOUND[nat]] if BOUND[nat] else [])


def test_a_stand_in_is_no_bridge_for_other_programs() -> None:
    rules = (ROOT / "fixtures/programs/netavark/alone/rules.v4").read_text()
    assert "unnamed-1 stands for it" in str(trace(rules, "host:8081")["assumptions"])
    result = CliRunner().invoke(program, ["ports", "-", "-o", "json"], input=rules)
    assert json.loads(result.stdout)["ports"][0]["bridge"] is None
