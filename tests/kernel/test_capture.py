"""``capture`` on live hosts: network namespaces with rules in both backends, and a real Docker Engine."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from iptexplain.host.snapshot import read_snapshot
from iptexplain.host.topology import from_facts
from iptexplain.rules.answer import Backend
from iptexplain.rules.parse import parse
from tests import fakes
from tests.conftest import ROOT, cannot
from tests.kernel.engine import Engine, NoEngine
from tests.kernel.namespace import Namespace
from tests.kernel.test_python_iptables import DUMPS, FIXTURES
from tests.kernel.test_save import whole
from tests.test_dumps import read

IPTEXPLAIN = ("env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "iptexplain")
READ_LEGACY = "import sys; from iptexplain.host.kernel import read_legacy; print(read_legacy(int(sys.argv[1]), sys.argv[2:]), end='')"
needs_iptc = pytest.mark.usefixtures("iptc")

SETUP = """
sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=2
ip link set lo up
ip link add br0 address 02:42:ac:12:00:01 type bridge
ip addr add 172.18.0.1/16 dev br0
ip link set br0 up
ip netns add web
ip link add veth1 type veth peer name eth0 address 02:42:ac:12:00:02 netns web
ip link set veth1 master br0 up
bridge link set dev veth1 hairpin on
ip -n web link set eth0 up
ip -n web addr add 172.18.0.2/16 dev eth0
ip -n web route add default via 172.18.0.1
ip link add eth0 type veth peer name peer0
ip link set peer0 up
ip link set eth0 up
ip addr add 192.0.2.10/24 dev eth0
ip route add default via 192.0.2.1
iptables-nft -P FORWARD DROP
iptables-nft -A FORWARD -i br0 -m comment --comment 'out "of" it' -j ACCEPT
iptables-legacy -t nat -A POSTROUTING -s 172.18.0.0/16 ! -o br0 -j MASQUERADE
iptables-legacy -A INPUT -p tcp --dport 23 -j NFLOG --nflog-prefix telnet
"""
CONTAINER = {
    "Id": "c" * 64,
    "Name": "/web",
    "State": {"Pid": 0},
    "Config": {"Env": ["PASSWORD=s3cret"]},
    "NetworkSettings": {"Networks": {"front": {"IPAddress": "172.18.0.2", "MacAddress": "02:42:ac:12:00:02"}}},
}
NETWORK = {
    "Id": "f" * 64,
    "Name": "front",
    "Driver": "bridge",
    "IPAM": {},
    "Options": {"com.docker.network.bridge.name": "br0"},
}
TABLES = ("cat", "/proc/net/ip_tables_names", "/proc/net/ip6_tables_names")


@pytest.fixture
def host() -> Iterator[Namespace]:
    with Namespace() as namespace:
        done = namespace.run(["sh", "-ec", SETUP])
        assert done.returncode == 0, done.stderr
        yield namespace


def captured(host: Namespace, *options: str | Path, notes: int | None = None, **environment: str) -> dict[str, Any]:
    done = host.run(["env", *(f"{k}={v}" for k, v in environment.items()), *IPTEXPLAIN, "capture", *options])
    assert done.returncode == 0, done.stderr
    assert notes is None or len(done.stderr.splitlines()) == notes, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rules(text: str) -> list[str]:
    """The lines of a dump without comments and counters."""
    return [line.partition(" [")[0] if line.startswith(":") else line for line in text.splitlines() if line[0] != "#"]


def test_both_backends_and_the_host(host: Namespace) -> None:
    facts = captured(host)
    both = [host.run([f"iptables-{backend}-save"]).stdout for backend in ("nft", "legacy")]
    assert rules(facts["iptables"]) == rules("".join(both))
    found = read_snapshot(json.dumps(facts)).rulesets()
    assert [(r.family, r.backend) for _, r in found] == [(4, Backend.NFT), (4, Backend.LEGACY), (6, Backend.NFT)]
    assert [i["local"] for a in facts["addresses"] for i in a["addr_info"]] == ["127.0.0.1", "172.18.0.1", "192.0.2.10"]
    assert [(p["ifname"], p["master"], p["hairpin"]) for p in facts["bridge_links"]] == [("veth1", "br0", True)]
    assert facts["routes"][0] == {"dst": "default", "gateway": "192.0.2.1", "dev": "eth0", "flags": []}
    assert facts["sysctls"]["net.ipv4.ip_forward"] == 1 and facts["sysctls"]["net.ipv4.conf.all.rp_filter"] == 2
    assert not [name for name in facts["sysctls"] if "veth1" in name]


def test_the_same_state_gives_the_same_bytes(host: Namespace) -> None:
    first, second = (host.run([*IPTEXPLAIN, "capture"]).stdout for _ in range(2))
    assert first == second != ""


def test_it_changes_nothing(host: Namespace) -> None:
    """Not even by reading: no table is made, in a host with rules and in one without."""
    with Namespace() as bare:
        for namespace in host, bare:
            before = [namespace.run(argv).stdout for argv in (TABLES, ["nft", "list", "ruleset"])]
            captured(namespace)
            assert [namespace.run(argv).stdout for argv in (TABLES, ["nft", "list", "ruleset"])] == before
        assert before == ["", ""]


def test_a_host_without_rules(host: Namespace) -> None:
    with Namespace() as bare:
        facts = captured(bare)
    assert rules(facts["iptables"]) == rules(facts["ip6tables"]) == [
        "*filter", ":INPUT ACCEPT", ":FORWARD ACCEPT", ":OUTPUT ACCEPT", "COMMIT"
    ]  # fmt: skip


def test_a_plain_user_is_told_to_be_root(host: Namespace) -> None:
    readable = host.run(["runuser", "-u", "nobody", "--", *IPTEXPLAIN, "--version"])
    if readable.returncode:
        cannot("nobody may not read this checkout")
    done = host.run(["runuser", "-u", "nobody", "--", *IPTEXPLAIN, "capture"])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[1] == "note: no legacy rules of IPv4: /proc/net/ip_tables_names: Permission denied."
    assert done.stderr.endswith("iptexplain: no rules were read: that needs root. Try 'sudo iptexplain capture'\n")


def test_a_container_from_inside(host: Namespace, tmp_path: Path) -> None:
    pid = host.run(["sh", "-c", "ip netns exec web sleep 600 > /dev/null 2>&1 & echo $!"]).stdout.strip()
    host.run(["ip", "netns", "exec", "web", "iptables-nft", "-A", "OUTPUT", "-j", "ACCEPT"])
    container = {**CONTAINER, "State": {"Pid": int(pid)}}
    fakes.docker_command(tmp_path, {"networks": [NETWORK], "containers": [container]})
    path = f"{tmp_path}:{os.environ['PATH']}"
    facts = captured(host, notes=0, PATH=path)
    assert "s3cret" not in json.dumps(facts)
    inside = facts["namespaces"]["web"]
    assert inside["addresses"][-1]["addr_info"][0]["local"] == "172.18.0.2"
    assert inside["routes"][0]["gateway"] == "172.18.0.1"
    assert "-A OUTPUT -j ACCEPT" in inside["iptables"]
    [endpoint] = [e for e in from_facts(facts, 4).endpoints if e.name == "web"]
    assert (endpoint.interface, endpoint.port) == ("br0", "veth1")
    assert "namespaces" not in captured(host, "--no-namespaces", PATH=path)


def test_a_process_that_is_not_the_containers(host: Namespace, tmp_path: Path) -> None:
    """The engine of another machine speaks of processes there."""
    fakes.docker_command(tmp_path, {"networks": [NETWORK], "containers": [{**CONTAINER, "State": {"Pid": 1}}]})
    done = host.run(["env", f"PATH={tmp_path}:{os.environ['PATH']}", *IPTEXPLAIN, "capture"])
    assert json.loads(done.stdout)["namespaces"] == {}
    assert done.stderr.startswith("note: not all from inside web: its first process has another network here")


@needs_iptc
@pytest.mark.parametrize("path", DUMPS, ids=lambda p: str(p.relative_to(FIXTURES)))
def test_python_iptables_prints_what_iptables_legacy_save_does(path: Path) -> None:
    [ruleset] = parse(read(path), path.name).rulesets
    family = "6" if ruleset.family == 6 else ""
    with Namespace() as host:
        loaded = host.run([f"ip{family}tables-legacy-restore"], input=whole(ruleset))
        assert loaded.returncode == 0, loaded.stderr
        tables = host.run(["cat", f"/proc/net/ip{family}_tables_names"]).stdout.split()
        done = host.run(["env", f"PYTHONPATH={ROOT}", sys.executable, "-c", READ_LEGACY, family or "4", *tables])
        assert done.returncode == 0, done.stderr
        assert rules(done.stdout) == rules(host.run([f"ip{family}tables-legacy-save"]).stdout)
        assert sorted(host.run(["cat", f"/proc/net/ip{family}_tables_names"]).stdout.split()) == sorted(tables)
    [read_back] = parse(done.stdout).rulesets
    assert (read_back.family, read_back.backend) == (ruleset.family, Backend.LEGACY)


@needs_iptc
def test_python_iptables_stands_in_for_the_program(host: Namespace) -> None:
    whole_picture, before = captured(host), host.run(TABLES).stdout
    hidden = host.run(["sh", "-ec", "mount --bind /dev/null $(readlink -f $(command -v iptables-legacy-save))"])
    assert hidden.returncode == 0, hidden.stderr
    facts = captured(host)
    assert rules(facts["iptables"]) == rules(whole_picture["iptables"])
    assert "# iptables-legacy-save, read with python-iptables" in facts["iptables"]
    assert host.run(TABLES).stdout == before


@pytest.mark.xdist_group("docker")
def test_a_real_engine() -> None:
    try:
        with Engine("nft", "") as engine:
            engine.docker("network create front")
            engine.docker("run --name web --network front -p 8080:80 -e PASSWORD=s3cret --label key=s3cret")
            engine.docker("run --name shared --network container:web")
            expected = engine.snapshot()
            facts = captured(engine, notes=0, PATH=f"/run/bin:/usr/bin:{os.environ['PATH']}")
    except NoEngine as reason:
        cannot(reason)
    assert "s3cret" not in json.dumps(facts)
    assert rules(facts["iptables"]) == rules(expected["iptables"])
    assert facts["listeners"] == ["tcp 0.0.0.0:8080", "tcp [::]:8080"]
    assert facts["docker"]["version"] == expected["docker"]["version"]
    assert list(facts["namespaces"]) == ["web"]
    assert rules(facts["namespaces"]["web"]["iptables"]) == rules(expected["namespaces"]["web"]["iptables"])
    mine, theirs = from_facts(facts, 4), from_facts(expected, 4)
    for part in ("addresses", "routes", "endpoints", "bridges", "ports"):
        assert getattr(mine, part) == getattr(theirs, part)
