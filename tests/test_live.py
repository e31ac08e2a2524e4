"""The parts of ``capture`` one by one: programs, the kernel's own files, and Docker's engine by its command and its socket."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from iptexplain.commands.capture import WIDTH, laid_out
from iptexplain.host import capture, programs
from iptexplain.host.capture import listeners, sysctls
from iptexplain.host.engine import Records, docker_records
from iptexplain.host.inspected import docker_facts
from iptexplain.host.kernel import read_legacy
from iptexplain.host.programs import NotInstalled, Unread, has_module, output
from tests.fakes import INSPECTED, DockerSocket, api, docker_command, printing, program
from tests.test_capture import RECORDED

BUILTIN = f"{os.uname().release}/modules.builtin"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the only programs that there are; the engine's socket would lie in it."""
    monkeypatch.setattr(programs, "PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    return tmp_path


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_programs_that_fail(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotInstalled, match=r"^none is not installed$"):
        output(["none"])
    program(folder, "refuses", "echo; echo ' not you ' >&2; echo more >&2; exit 1")
    with pytest.raises(Unread, match=r"^refuses: not you$"):
        output(["refuses"])
    program(folder, "silent", "exit 7")
    with pytest.raises(Unread, match=r"^silent: status 7$"):
        output(["silent"])
    (folder / "no-program").write_text("")
    (folder / "no-program").chmod(0o755)
    with pytest.raises(Unread, match=r"^no-program does not run: "):
        output(["no-program"])
    monkeypatch.setattr(programs, "TIMEOUT", 0.1)
    program(folder, "hangs", "while true; do :; done")
    with pytest.raises(Unread, match=r"^hangs gave no answer within 0\.1 seconds$"):
        output(["hangs"])


@pytest.mark.parametrize(
    ("files", "has"),
    [
        ({}, True),
        ({"proc/modules": "nf_tables 1 0 - Live 0x0\n"}, True),
        ({"proc/modules": "nf_tables_set 1 0 - Live 0x0\n", BUILTIN: "kernel/net/nf_tables.ko\n"}, True),
        ({"proc/modules": "ip_tables 1 1 nf_tables, Live 0x0\n", BUILTIN: "kernel/net/x_tables.ko\n"}, False),
        ({"proc/modules": ""}, None),
    ],
)
def test_whether_asking_would_load_a_module(tmp_path: Path, files: dict[str, str], has: bool | None) -> None:
    (tmp_path / "proc").mkdir()
    tree(tmp_path, files)
    if has is None:
        with pytest.raises(Unread, match=r"cannot be told without .*modules\.builtin"):
            has_module("nf_tables", tmp_path / "proc", tmp_path)
    else:
        assert has_module("nf_tables", tmp_path / "proc", tmp_path) is has


def test_ss_reads_files_where_asking_would_load_a_module(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(folder, "ss", 'echo "tcp LISTEN 0 0 127.0.0.1:${PROC_ROOT:-0} *:*"')
    monkeypatch.setattr(capture, "has_module", lambda name: True)
    assert listeners() == ["tcp 127.0.0.1:0"]
    monkeypatch.setattr(capture, "has_module", lambda name: name == "tcp_diag")
    assert listeners() == ["tcp 127.0.0.1:/proc"]


def test_listeners(folder: Path) -> None:
    lines = ["tcp LISTEN 0 128 [fe80::1]%eth0:546 [::]:*", "udp UNCONN 0 0 *:68 *:*", "tcp LISTEN 0 5 [::]:83 [::]:*",
             "tcp LISTEN 0 5 [::]:83 [::]:*"]  # fmt: skip
    printing(folder, "ss", {"-Hltnu": "\n".join(lines)})
    assert listeners() == ["tcp [::]:83", "tcp [fe80::1]:546", "udp 0.0.0.0:68", "udp [::]:68"]


CONF = {
    f"ipv4/conf/{i}/{s}": "1\n" for i in ("all", "default", "eth0.100", "veth1") for s in ("rp_filter", "forwarding")
}


def test_sysctls(tmp_path: Path) -> None:
    bridge = {"bridge/bridge-nf-call-iptables": "1\n", "bridge/bridge-nf-call-ip6tables": "0\n"}
    others = {"ipv4/ip_forward": "1\n", "ipv6/conf/all/forwarding": "1\n", "ipv4/conf/all/log_martians": "1\n"}
    net = tree(tmp_path, {**CONF, **bridge, **others, "ipv4/conf/lo/forwarding": "0\n"})
    assert sysctls({"veth1"}, net) == {
        "net.bridge.bridge-nf-call-ip6tables": 0,
        "net.bridge.bridge-nf-call-iptables": 1,
        "net.ipv4.conf.all.rp_filter": 1,
        "net.ipv4.conf.eth0.100.rp_filter": 1,
        "net.ipv4.conf.lo.forwarding": 0,
        "net.ipv4.ip_forward": 1,
        "net.ipv6.conf.all.forwarding": 1,
    }


def test_without_br_netfilter_bridged_packets_meet_no_rule(tmp_path: Path) -> None:
    found = sysctls((), tree(tmp_path, {"ipv4/ip_forward": "0\n"}))
    assert found == {
        "net.bridge.bridge-nf-call-ip6tables": 0,
        "net.bridge.bridge-nf-call-iptables": 0,
        "net.ipv4.ip_forward": 0,
    }


def test_sysctls_that_are_no_numbers(tmp_path: Path) -> None:
    with pytest.raises(Unread, match="ip_forward"):
        sysctls((), tree(tmp_path, {"ipv4/ip_forward": "yes\n"}))


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("raise OSError('no library')", r"python-iptables breaks off \(.*: OSError: no library\)"),
        ("import os; os.abort()", r"python-iptables breaks off \(.*: status -6\)"),
        ("print('x', flush=True)\nclass Table: ALL = []; existing_table_names = {}", r"python-iptables breaks off \("),
    ],
)
def test_what_python_iptables_does_hurts_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, why: str
) -> None:
    (tmp_path / "iptc.py").write_text(module)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(Unread, match=why):
        read_legacy(4, ["filter"])


def test_without_python_iptables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "iptc", None)
    with pytest.raises(NotInstalled, match="neither iptables-legacy-save nor python-iptables is installed"):
        read_legacy(4, ["filter"])


EXPECTED = Records(
    {"version": "20.10.24", **docker_facts(**INSPECTED)}, {"web": INSPECTED["containers"][0]["State"]["Pid"]}
)
NOBODY: dict[str, list[Any]] = {"networks": [], "containers": []}


@contextmanager
def engine(folder: Path, answers: dict[str, Any]) -> Iterator[None]:
    with DockerSocket(folder / "docker.sock", answers):
        yield


def test_command_and_socket_tell_the_same(folder: Path) -> None:
    with engine(folder, api(INSPECTED)):
        assert docker_records() == EXPECTED
    docker_command(folder, INSPECTED)
    assert docker_records() == EXPECTED


def test_an_engine_without_containers(folder: Path) -> None:
    docker_command(folder, NOBODY)
    assert docker_records() == Records({"version": "20.10.24", "networks": [], "containers": []}, {})


def test_hundreds_of_containers_are_asked_for_at_once(folder: Path) -> None:
    many = [{**INSPECTED["containers"][0], "Id": f"{n:064x}"[::-1], "Name": f"/c{n:03}"} for n in range(300)]
    random.Random(1).shuffle(many)
    docker_command(folder, {"networks": INSPECTED["networks"], "containers": many})
    assert [c["Name"] for c in docker_records().facts["containers"]] == [f"/c{n:03}" for n in range(300)]


def test_the_socket_helps_where_the_command_does_not(folder: Path) -> None:
    """An old command may be refused by a new engine."""
    program(folder, "docker", "echo 'client version 1.24 is too old' >&2; exit 1")
    with pytest.raises(Unread, match=r"^docker: client version 1\.24 is too old$"):
        docker_records()
    with engine(folder, api(INSPECTED)):
        assert docker_records() == EXPECTED


def test_containers_that_go_meanwhile(folder: Path) -> None:
    [web] = INSPECTED["containers"]
    gone = {"Id": "f" * 64, "Name": "/gone"}
    with engine(folder, {**api(INSPECTED), "/containers/json": [gone, {"Id": web["Id"]}]}):
        assert docker_records() == EXPECTED
    docker_command(folder, INSPECTED)
    known = folder / "docker"
    known.rename(folder / "known")
    program(
        folder, "docker", f'{folder}/known "$@"\ncase "$*" in inspect*) echo No such object: ffff >&2; exit 1;; esac'
    )
    assert docker_records() == EXPECTED


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"/networks": 500}, "answers GET /networks with 500 Internal Server Error"),
        ({"/networks": "<html>"}, "is not answered as Docker does: JSONDecodeError"),
        ({"/networks": [1]}, "is not answered as Docker does: TypeError"),
        ({"/networks": [], "/containers/json": [], "/version": {}}, "is not answered as Docker does: KeyError"),
    ],
)
def test_a_socket_of_something_else(folder: Path, answers: dict[str, Any], why: str) -> None:
    with engine(folder, answers), pytest.raises(Unread) as e:
        docker_records()
    assert e.value.why.endswith(why)


def test_what_hinders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotInstalled, match="docker is not installed, and there is no socket"):
        docker_records()
    (folder / "docker.sock").write_text("")
    with pytest.raises(Unread, match=r"docker\.sock: Connection refused"):
        docker_records()
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.7:2375")
    docker_command(folder, INSPECTED)
    with pytest.raises(Unread, match="need not be about this host"):
        docker_records()


def test_the_command_is_led_to_the_engine_of_this_host(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST")
    program(folder, "docker", 'echo "to $DOCKER_HOST" >&2; exit 1')
    with pytest.raises(Unread, match=r"to unix:///var/run/docker\.sock$"):
        docker_records()


@pytest.mark.parametrize(
    "value", [RECORDED, INSPECTED, {}, [], {"a": []}, "x" * 999, [["\x1b[31m", "ü", "\udc80", 1, True, None]]]
)
def test_json_for_people_is_the_same_json(value: Any) -> None:
    text = laid_out(value)
    assert json.loads(text) == value and text.isascii()
    assert all(len(line) <= WIDTH + 1 or line.lstrip().count('": ') < 2 for line in text.splitlines())
