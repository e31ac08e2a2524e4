"""Generated rules in the kernel: both backends load them, and the script keeps its promises where they cut every connection."""

from __future__ import annotations

import importlib.util
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from iptexplain.commands import program
from tests.docker_engines import Engine
from tests.docker_random import Dice, dump
from tests.docker_setup import Net, Port, Setup
from tests.kernel.lab.laboratory import BACKENDS, Backend, run_case
from tests.kernel.lab.topology import with_macs
from tests.kernel.namespace import Namespace
from tests.kernel.test_lab import HOST

FIXTURES = Path(__file__).parent.parent.parent / "fixtures"
SOURCES = sorted(
    [
        *FIXTURES.glob("docker/20.10/*/snapshot.json"),
        *FIXTURES.glob("docker-dumps/*/95-compose-like*.txt"),
        *FIXTURES.glob("docker-dumps/*/23-usernet-ipv6*.ip6.txt"),
    ]
)
DOCKERS = FIXTURES / "docker/20.10/two-networks/rules.v4"
CONNECT = (
    "import socket; server = socket.create_server(('127.0.0.1', 2222)); "
    "socket.create_connection(('127.0.0.1', 2222), timeout=1)"
)
CONNECTION = (sys.executable, "-c", CONNECT)


def generated(folder: Path, source: Path, *options: str) -> list[Path]:
    """The files that ``generate replace`` makes of a source."""
    folder.mkdir()
    result = CliRunner().invoke(
        program, ["generate", "replace", str(source), "--no-prove", *options, "-o", str(folder / "rules")]
    )
    assert result.exit_code == 0, result.output
    return sorted(folder.iterdir())


@pytest.fixture
def host() -> Iterator[Namespace]:
    with Namespace() as namespace:
        assert namespace.run(["ip", "link", "set", "lo", "up"]).returncode == 0
        yield namespace


@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_both_backends_load_them(backend: str, host: Namespace, tmp_path: Path) -> None:
    for n, source in enumerate(SOURCES):
        for style in ("docker", "flat", "strict"):
            for file in generated(tmp_path / f"{n}{style}", source, "--style", style, "--comments"):
                six = "6" if file.suffix == ".v6" or "ip6" in source.name else ""
                done = host.run([f"ip{six}tables-{backend}-restore"], input=file.read_text())
                assert done.returncode == 0, (source, style, done.stderr)
                saved = host.run([f"ip{six}tables-{backend}-save"]).stdout
                wanted = {line for line in file.read_text().splitlines() if line.startswith("-A")}
                assert wanted <= set(saved.splitlines())


# -- the unit


def started(host: Namespace, files: list[Path]) -> list[int]:
    """Run what the unit runs, as systemd does: up to what fails. The exit statuses."""
    [unit] = [file for file in files if file.suffix == ".service"]
    statuses = []
    for line in unit.read_text().splitlines():
        if line.startswith(("ExecStartPre=", "ExecStart=")) and not any(statuses):
            words = line.partition("=")[2].replace("/etc/iptx-rules/%N", str(unit.with_suffix(""))).split()
            statuses.append(host.run(words).returncode)
    return statuses


def test_unit_loads_both_families_or_none(host: Namespace, tmp_path: Path) -> None:
    files = generated(tmp_path / "unit", FIXTURES / "docker/20.10/ipv6/snapshot.json", "--format", "systemd")
    [six] = [file for file in files if file.suffix == ".v6"]
    right = six.read_text()
    six.write_text(right.replace("-j ACCEPT", "-j ACCEPT --missing"))
    assert [bool(status) for status in started(host, files)] == [False, True]
    assert not [line for line in rules(host) if line.startswith("-A")]
    six.write_text(right)
    assert started(host, files) == [0, 0, 0, 0]
    for save in ("iptables-save", "ip6tables-save"):
        assert "-A FORWARD -j IPTX-FORWARD" in host.run([save]).stdout


# -- the script


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A script whose rules let nothing in: who applies it from afar has lost the connection."""
    source = tmp_path / "closed"
    source.write_text(DOCKERS.read_text().replace(":INPUT ACCEPT", ":INPUT DROP"))
    [file] = generated(tmp_path / "script", source, "--format", "script")
    return file


def call(host: Namespace, script: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return host.run(["sh", str(script), *words])


def rules(host: Namespace) -> list[str]:
    saved = host.run(["iptables-save"]).stdout.splitlines()
    return [line.partition(" [")[0] for line in saved if not line.startswith("#")]


def until(host: Namespace, command: str) -> None:
    """Wait until a command succeeds; the test ends by the time limit of ``run`` otherwise."""
    host.run(["sh", "-c", f"until {command}; do sleep 0.1; done"])


def test_script_goes_back_by_itself_where_the_session_dies(host: Namespace, script: Path) -> None:
    own = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n"
    assert host.run(["iptables-restore"], input=own).returncode == 0
    assert host.run(CONNECTION).returncode == 0
    session = f"sh '{script}' apply 3; exec sleep 1000"
    dies = f'setsid sh -c "{session}" & until [ -s /run/iptx-rules/applied.v4 ]; do sleep 0.1; done; kill -HUP -$!'
    assert host.run(["sh", "-c", dies]).returncode == 0
    assert host.run(CONNECTION).returncode != 0
    assert call(host, script, "status").returncode == 3
    until(host, shlex.join(CONNECTION))
    until(host, "[ ! -e /run/iptx-rules/reverting ]")
    assert call(host, script, "status").returncode == 1
    assert "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT" in rules(host)
    assert not [line for line in rules(host) if "IPTX" in line]


def test_script_keeps_what_is_confirmed_and_is_idempotent(host: Namespace, script: Path) -> None:
    before = rules(host)
    assert call(host, script, "confirm").returncode == 1
    assert call(host, script, "revert").returncode == 1
    assert call(host, script, "check").returncode == 0
    assert rules(host) == before
    assert call(host, script, "apply", "1").returncode == 0
    assert call(host, script, "apply", "2").returncode == 0
    once = rules(host)
    assert call(host, script, "confirm").returncode == 0
    host.run(["sleep", "3"])
    assert rules(host) == once
    assert call(host, script, "status").returncode == 0
    assert call(host, script, "apply", "60").returncode == 0
    assert rules(host) == once
    assert call(host, script, "revert").returncode == 0
    assert not [line for line in rules(host) if line.startswith("-A")]
    assert host.run(CONNECTION).returncode == 0


def test_script_saves_the_rules_without_dockers_chains(host: Namespace, script: Path) -> None:
    text = DOCKERS.read_text().replace(
        "-A DOCKER-USER -j RETURN", '-A DOCKER-USER -s 192.0.2.66/32 -m comment --comment "it is -j DOCKER" -j DROP'
    )
    assert host.run(["iptables-restore"], input=text).returncode == 0
    assert "chains that Docker fills" in call(host, script, "check").stdout
    assert call(host, script, "apply").returncode == 0
    assert call(host, script, "revert").returncode == 0
    back = rules(host)
    assert '-A DOCKER-USER -s 192.0.2.66/32 -m comment --comment "it is -j DOCKER" -j DROP' in back
    assert "-A FORWARD -j DOCKER-USER" in back
    assert not [
        line for line in back if ":DOCKER " in f"{line} " or line.endswith(("-j DOCKER", "-j DOCKER-ISOLATION-STAGE-1"))
    ]


def test_script_changes_nothing_that_the_kernel_refuses(host: Namespace, script: Path) -> None:
    script.write_text(script.read_text().replace("-A IPTX-FORWARD ", "-A IPTX-FORWARD -m nonsense ", 1))
    before = rules(host)
    done = call(host, script, "apply")
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    assert rules(host) == before


# -- packets

NETWORKS = (
    Net("docker0", "172.17.0.0/16", ("172.17.0.2", "172.17.0.3")),
    Net("br1", "172.18.0.0/16", ("172.18.0.2",)),
)
PORTS = (
    Port(NETWORKS[0], None, 8080, "172.17.0.2", 80, "tcp"),
    Port(NETWORKS[1], "192.0.2.11", 8081, "172.18.0.2", 81, "tcp"),
    Port(NETWORKS[1], None, 5353, "172.18.0.2", 53, "udp"),
)
ADDRESSES = {"client": "192.0.2.50", "c1": "172.17.0.2", "c2": "172.17.0.3", "d1": "172.18.0.2", "host": "192.0.2.10"}


def packets() -> Iterator[dict[str, Any]]:
    """New connections from everybody to every container and published port, each with an answer, and echo requests."""
    aims = [("172.17.0.2", 80), ("172.17.0.2", 22), ("172.18.0.2", 81), ("172.18.0.2", 9), ("192.0.2.10", 8080), ("192.0.2.11", 8081),
            ("192.0.2.10", 8081), ("192.0.2.50", 443), ("172.18.0.2", 53), ("192.0.2.10", 5353)]  # fmt: skip
    number, port = 0, 40000
    for sender, source in ADDRESSES.items():
        for target, dport in aims:
            if source == target:
                continue
            port += 1
            proto = "udp" if dport in (53, 5353) else "tcp"
            yield {"from": sender, "src": source, "dst": target, "proto": proto, "sport": port, "dport": dport}
            yield {"after": number, "dir": "reply"}
            number += 2


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("version", ["1.8", "1.13", "27.5.1", "28.0.0", "28.5.2", "29.7.2"])
def test_packets_fare_as_under_dockers_rules(version: str, backend: Backend, tmp_path: Path) -> None:
    """The same packets through Docker's rules and through the generated ones: the same end, the same addresses."""
    dice = Dice(7)
    source = tmp_path / "source"
    engine = Engine(version, Setup(NETWORKS, PORTS))
    source.write_text(dump(dice, engine, crowded=False)[0])
    mine = list(packets())
    wanted = ends(source, mine, backend, engine.ipset())
    for style in ("docker", "flat"):
        [file] = generated(tmp_path / style, source, "--style", style, "--keep-proxy")
        assert ends(file, mine, backend) == wanted
        [file] = generated(tmp_path / f"{style}-without-proxy", source, "--style", style)
        now = ends(file, mine, backend)
        for n in range(0, len(wanted), 2):
            if wanted[n][0] != "delivered-local" or now[n] == wanted[n]:
                assert now[n : n + 2] == wanted[n : n + 2], mine[n]
            else:  # docker-proxy's: it arrives at a container now, and comes from its bridge; so the answer gets back
                assert now[n][:2] in CARRIED, mine[n]
                assert any(f"'src': '{gate}'" in now[n][3] for gate in GATES), mine[n]
                assert now[n + 1][0] == "forwarded", mine[n]


CARRIED = (("forwarded", "docker0"), ("forwarded", "br1"))
GATES = ("172.17.0.1", "172.18.0.1")


def ends(rules: Path, mine: list[dict[str, Any]], backend: Backend, ipset: str = "") -> list[tuple[Any, ...]]:
    """What became of each packet: where it left, and with which addresses."""
    # Without docker-proxy Docker lets packets back out of the bridge's port that they came in by.
    interfaces = [i | {"hairpin": True} if i["kind"] == "bridge" else i for i in HOST["interfaces"]]
    case = {
        "name": rules.name,
        "host": with_macs({**HOST, "interfaces": interfaces}),
        "dump": rules.read_text(),
        "ipset": ipset,
        "packets": mine,
    }
    results, _ = run_case(case, backend)
    outcomes = [result.get("outcome") or {"kind": "not sent"} for result in results]
    return [tuple(str(o.get(key)) for key in ("kind", "iface", "to", "tuple", "with")) for o in outcomes]


# -- --load-test


def load_test(source: Path, *options: str) -> Result:
    return CliRunner().invoke(program, ["generate", "replace", str(source), "--no-prove", "--load-test", *options])


def test_load_test_says_that_the_kernel_takes_them() -> None:
    result = load_test(FIXTURES / "docker/20.10/ipv6/snapshot.json")
    assert result.exit_code == 0
    said = [line for line in result.stderr.splitlines() if line.endswith(": this kernel loads the rules.")]
    programs = ["nf_tables", "legacy", *(["legacy by python-iptables"] if importlib.util.find_spec("iptc") else [])]
    assert [line.partition(":")[0] for line in said] == [f"IPv{f}, {p}" for f in (4, 6) for p in programs]


@pytest.mark.parametrize(
    ("rule", "backends"),
    [
        ("-m set --match-set nosuch src -j DROP", ["nf_tables", "legacy"]),
        # Only for SYN: iptables-legacy names no more than COMMIT's line.
        ("-p tcp -j TCPMSS --clamp-mss-to-pmtu", ["legacy"]),
    ],
)
def test_load_test_names_the_rule_that_is_refused(rule: str, backends: list[str], tmp_path: Path) -> None:
    source = tmp_path / "dump"
    source.write_text(DOCKERS.read_text().replace("-A DOCKER-USER -j RETURN", f"-A DOCKER-USER {rule}"))
    result = load_test(source)
    assert result.exit_code == 1
    for backend in backends:
        said = result.stderr.partition(f"IPv4, {backend}: the rules are refused.")[2]
        assert said.split("\n")[2].strip() == f"-A IPTX-USER {rule}"


@pytest.mark.usefixtures("iptc")
def test_load_test_by_python_iptables(tmp_path: Path) -> None:
    """What the kernel refuses is a failure; what the library cannot write is said, and no fault of the rules."""
    source, end, name = tmp_path / "dump", "-A DOCKER-USER -j RETURN", "IPv4, legacy by python-iptables: "
    for rule, status, said in (
        ("-p tcp -j TCPMSS --clamp-mss-to-pmtu", 1, "the rules are refused."),
        (
            '-p tcp -m comment --comment "it\'s" -m multiport ! --dports 80,443 -j DROP',
            0,
            "this kernel loads the rules.",
        ),
        ("-j LOG", 0, "python-iptables cannot write this rule: "),
    ):
        dump = DOCKERS.read_text().replace(end, f"-A DOCKER-USER {rule}")
        source.write_text(dump.replace(":DOCKER-USER", ":LOG - [0:0]\n:DOCKER-USER") if rule == "-j LOG" else dump)
        result = load_test(source)
        assert result.exit_code == status, result.stderr
        told = result.stderr.partition(name + said)[2]
        assert told
        assert status == 0 or told.split("\n")[2].strip() == f"-A IPTX-USER {rule}"


def test_load_test_comes_last(tmp_path: Path) -> None:
    """Behind a long proof, so that a refusal is what is read."""
    source = tmp_path / "dump"
    rule = "-A DOCKER-USER -m set --match-set nosuch src -j DROP"
    source.write_text(DOCKERS.read_text().replace("-A DOCKER-USER -j RETURN", rule))
    result = CliRunner().invoke(program, ["generate", "replace", str(source), "--load-test"])
    assert result.exit_code == 1
    assert result.stderr.index("proved") < result.stderr.index("the rules are refused")
