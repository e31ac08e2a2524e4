"""The generated script where its rules cut connections that are open, and where the session from which it was called is gone."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.namespace import Namespace
from tests.kernel.test_generate import DOCKERS, call, generated, rules, until

BRIDGE = "br-f022fcdf43bb"
"""The bridge of the container with the published port in DOCKERS."""
NETWORK = f"""
ip netns add outside; ip netns add inside
ip link add eth0 type veth peer name eth0 netns outside
ip link add {BRIDGE} type veth peer name eth0 netns inside
ip addr add 192.0.2.10/24 dev eth0; ip -n outside addr add 192.0.2.50/24 dev eth0
ip addr add 172.18.0.1/16 dev {BRIDGE}; ip -n inside addr add 172.18.0.2/16 dev eth0
for link in lo eth0 {BRIDGE}; do ip link set $link up; done
for space in outside inside; do ip -n $space link set lo up; ip -n $space link set eth0 up; done
ip -n inside route add default via 172.18.0.1
echo 1 > /proc/sys/net/ipv4/ip_forward
"""
BEFORE = """\
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -i eth0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.18.0.2:80
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A INPUT -p tcp -m tcp --dport 2222 -j ACCEPT
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -d 172.18.0.2/32 -p tcp -m tcp --dport 80 -j ACCEPT
COMMIT
"""
SERVER = """
import socket, sys
server = socket.create_server(("", int(sys.argv[1])))
connection = server.accept()[0]
while got := connection.recv(1):
    connection.sendall(got)
"""
CLIENT = """
import socket, sys, time
connection = socket.create_connection(("192.0.2.10", int(sys.argv[1])))
for count in range(1, 10000):
    connection.sendall(b"x")
    assert connection.recv(1)
    open(sys.argv[2], "w").write(str(count))
    time.sleep(0.02)
"""
SESSION = """
import os, pty, signal, sys, time
how, script, seconds = sys.argv[1:]
child, terminal = pty.fork()
if not child:
    os.execvp("sh", ["sh", "-c", f"sh '{script}' apply {seconds}; exec sleep 1000"])
said = b""
while b"The rules are in force" not in said:
    said += os.read(terminal, 1000)
if how == "hang-up":
    os.close(terminal)
elif how != "stays":
    os.killpg(child, getattr(signal, how))
if how != "stays":
    os.waitpid(child, 0)
"""
"""Calls the script from a terminal of its own, which hangs up, or whose processes get a signal."""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Namespace]:
    """A host with somebody outside and a container inside; a connection of each kind is open, and counts what was answered."""
    with Namespace() as namespace:
        done = namespace.run(["sh", "-ec", NETWORK])
        assert done.returncode == 0, done.stderr
        assert namespace.run(["iptables-restore"], input=BEFORE).returncode == 0
        for name, port, where, served in (("host", "2222", (), "2222"), ("container", "8080", ("inside",), "80")):
            inside = ["ip", "netns", "exec", *where] * bool(where)
            background(namespace, [*inside, sys.executable, "-c", SERVER, served])
            listens = f"ss -Hltn sport = :{served}"
            listens = f"ip netns exec inside {listens}" if where else listens
            until(namespace, f"{listens} | grep -q LISTEN")
            outside = ["ip", "netns", "exec", "outside"]
            background(namespace, [*outside, sys.executable, "-c", CLIENT, port, str(tmp_path / name)])
            until(namespace, f"[ -s '{tmp_path / name}' ]")
        yield namespace


def background(host: Namespace, argv: list[str]) -> None:
    """Start a program that goes on; it ends with the namespace."""
    host.run(["sh", "-c", '"$@" < /dev/null > /dev/null 2>&1 &', "sh", *argv])


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A script whose rules let nothing in and nothing through, not even what is open already."""
    source = tmp_path / "closed"
    closed = DOCKERS.read_text().replace(":INPUT ACCEPT", ":INPUT DROP")
    source.write_text(closed.replace("-A FORWARD ", "-A FORWARD -j DROP\n-A FORWARD ", 1))
    [file] = generated(tmp_path / "script", source, "--format", "script")
    return file


def counts(folder: Path) -> dict[str, int]:
    return {name: int((folder / name).read_text() or 0) for name in ("host", "container")}


def assert_open_again(host: Namespace, script: Path, folder: Path, before: list[str]) -> None:
    """The connections are cut while the rules are in force, and then the same ones go on."""
    host.run(["sleep", "0.1"])
    once = counts(folder)
    host.run(["sleep", "0.4"])
    cut = counts(folder)
    assert call(host, script, "status").returncode == 3, "the rules were taken back too early for this test"
    assert cut == once
    for name, count in cut.items():
        until(host, f"[ \"$(cat '{folder / name}')\" -gt {count + 5} ] 2> /dev/null")
    until(host, "[ ! -e /run/iptx-rules/reverting ]")
    assert in_effect(rules(host)) == in_effect(before)
    assert call(host, script, "status").returncode == 1


def in_effect(lines: list[str]) -> list[str]:
    """The rules, and the policies that drop: tables without any may be left."""
    return [line for line in lines if line.startswith("-A") or line.endswith(" DROP")]


@pytest.mark.parametrize("how", ["stays", "hang-up", "SIGHUP", "SIGKILL"])
def test_open_connections_go_on_when_nobody_confirms(how: str, host: Namespace, script: Path, tmp_path: Path) -> None:
    before = rules(host)
    session = [sys.executable, "-c", SESSION, how, str(script), "3"]
    if how == "stays":
        background(host, session)
        until(host, f"sh '{script}' status | grep -q 'not yet confirmed'")
    else:
        assert host.run(session).returncode == 0
    assert_open_again(host, script, tmp_path, before)


# -- systemd-run

STAND_IN = f"""\
#!{sys.executable}
import os, subprocess, sys
from pathlib import Path
Path(os.environ["NOTED"]).write_text("\\n".join(sys.argv[1:]))
at = next(n for n, word in enumerate(sys.argv) if n and not word.startswith("--"))
given = dict(word[len("--setenv=") :].split("=", 1) for word in sys.argv[:at] if word.startswith("--setenv="))
nothing = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
subprocess.Popen(sys.argv[at:], cwd="/", env=given, start_new_session=True, **nothing)
"""
"""In place of systemd-run: notes its words; the command runs apart, in /, with no variables but those that --setenv gives."""


@pytest.fixture
def programs(host: Namespace, tmp_path: Path) -> list[str]:
    """What puts a program before systemd-run in a host that seems to run systemd."""
    folder = tmp_path / "programs"
    folder.mkdir()
    assert host.run(["mkdir", "-p", "/run/systemd/system"]).returncode == 0
    return ["env", f"PATH={folder}:/usr/sbin:/usr/bin:/sbin:/bin", f"NOTED={tmp_path / 'noted'}"]


def write_program(folder: Path, text: str) -> None:
    (folder / "programs/systemd-run").write_text(text)
    (folder / "programs/systemd-run").chmod(0o755)


def test_systemd_waits_where_it_runs(host: Namespace, script: Path, programs: list[str], tmp_path: Path) -> None:
    """No systemd is started here: a stand-in gets the words. The real systemd-run, if it is here, is asked about the options."""
    write_program(tmp_path, STAND_IN)
    before = rules(host)
    done = host.run([*programs, "sh", str(script), "apply", "3"])
    assert (done.returncode, done.stderr) == (0, "")
    words = (tmp_path / "noted").read_text().splitlines()
    options = words[: words.index("sh")]
    assert words[len(options) :][:3] == ["sh", "/run/iptx-rules/script", "expire"]
    assert {"--setenv=IPTX_STATE=/run/iptx-rules", "--setenv=IPTABLES=iptables"} <= {*options}
    assert_open_again(host, script, tmp_path, before)
    if real := shutil.which("systemd-run"):
        assert host.run(["rmdir", "/run/systemd/system"]).returncode == 0
        said = host.run([real, *options, "true"]).stderr
        assert "not been booted with systemd" in said or "Failed to connect to bus" in said


def test_without_what_goes_back_nothing_is_loaded(
    host: Namespace, script: Path, programs: list[str], tmp_path: Path
) -> None:
    write_program(tmp_path, "#!/bin/sh\necho 'Failed to start transient service unit' >&2\nexit 1\n")
    before = rules(host)
    done = host.run([*programs, "sh", str(script), "apply", "3"])
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    assert rules(host) == before
    assert call(host, script, "confirm").returncode == 1


def test_the_folder_may_be_named_from_where_one_is(
    host: Namespace, script: Path, programs: list[str], tmp_path: Path
) -> None:
    """What waits is started in another folder, and finds it all the same."""
    write_program(tmp_path, STAND_IN)
    before = rules(host)
    inside = f"cd '{tmp_path}' && IPTX_STATE=kept sh '{script}' apply 1"
    assert host.run([*programs, "sh", "-c", inside]).returncode == 0
    until(host, f"[ ! -e '{tmp_path}/kept/reverting' ] && [ ! -e '{tmp_path}/kept/applied.v4' ]")
    assert in_effect(rules(host)) == in_effect(before)
