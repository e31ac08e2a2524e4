"""Who reaches whom, and whom the server sees: predicted from a dump and the host's addresses, held against real connections."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path

import pytest

from iptexplain.explain.proxy import proxied
from iptexplain.explain.question import Asker
from iptexplain.explain.situation import ARRIVED
from iptexplain.host.snapshot import read_snapshot

HOSTS = Path(__file__).parent.parent / "fixtures" / "docker" / "reachability"
MEASURED = list(csv.DictReader((HOSTS / "reachability.csv").open(encoding="utf-8")))

OWN = {
    "lo": "127.0.0.1/8", "eth0": "192.168.1.10/24", "docker0": "172.17.0.1/16", "bridge1": "192.0.2.1/24",
    "bridge2": "198.51.100.1/24", "bridge3": "203.0.113.1/24",
}  # fmt: skip
CONTAINERS = {
    "server": ("bridge1", "192.0.2.2"), "client": ("bridge1", "192.0.2.3"), "stranger": ("bridge2", "198.51.100.2"),
    "inmate": ("bridge3", "203.0.113.2"),
}  # fmt: skip
FROM = {
    "host": "host", "LAN peer": "192.168.1.20", "srv itself": "server",
    "container same net": "client", "container n1 -> LAN": "client",
    "container other net": "stranger", "container n2 -> LAN": "stranger",
    "container internal net": "inmate", "container internal -> LAN": "inmate", "container internal -> host addr": "inmate",
}  # fmt: skip
"""Who asks, as the table calls it → as the trace does."""


@cache
def asker(dump: str) -> Asker:
    links = []
    for name, own in OWN.items():
        local, _, prefix = own.partition("/")
        links.append({"ifname": name, "addr_info": [{"family": "inet", "local": local, "prefixlen": int(prefix)}]})
    networks = {"192.168.1.0/24": "eth0", "172.17.0.0/16": "docker0", "192.0.2.0/24": "bridge1",
                "198.51.100.0/24": "bridge2", "203.0.113.0/24": "bridge3"}  # fmt: skip
    facts = {
        "iptables": (HOSTS / dump).read_text(encoding="utf-8"),
        "addresses": links,
        "routes": [
            {"dst": "default", "gateway": "192.168.1.1", "dev": "eth0"},
            *({"dst": n, "dev": dev, "prefsrc": OWN[dev].partition("/")[0]} for n, dev in networks.items()),
        ],
        "endpoints": [
            {"name": name, "iface": bridge, "port": f"veth-{name}", "addresses": [address]}
            for name, (bridge, address) in CONTAINERS.items()
        ],
    }
    return Asker(read_snapshot(json.dumps(facts), dump))


def predicted(dump: str, source: str, target: str) -> tuple[str, str]:
    """(reached, timeout or refused; the address that the server sees)"""
    situation, way, _ = asker(dump).ask(FROM[source], target, {})
    outcome = way.outcome
    if outcome.kind == "delivered-local":
        found = proxied(situation, way)
        if found is None or found.onward is None:
            return "refused", ""
        way, outcome = found.onward, found.onward.outcome
    if outcome.kind in ("dropped", "rejected"):
        return {"dropped": "timeout", "rejected": "refused"}[outcome.kind], ""
    answer = situation.answer_to(way)
    assert outcome.kind in ARRIVED and answer is not None
    return ("reached", str(outcome.fields["src"])) if answer.outcome.kind in ARRIVED else ("timeout", "")


def test_all_measurements_are_asked() -> None:
    assert len(MEASURED) == 220


@pytest.mark.parametrize("row", MEASURED, ids=lambda r: f"{r['dump'][:-8]}: {r['from']} → {r['to']}")
def test_connections_end_as_they_did(row: dict[str, str]) -> None:
    result, seen = predicted(row["dump"], row["from"], row["to"])
    if row["result"] == "no-route":
        assert result != "reached"
    else:
        assert (result, seen) == (row["result"], row["source address the server saw"])
