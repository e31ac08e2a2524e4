"""The namespaces that the kernel tests run in."""

import subprocess
import time

import pytest

from tests.kernel.namespace import Namespace, run_in_namespace

RULES = "*filter\n:INPUT DROP [0:0]\nCOMMIT\n"


def links(text: str) -> list[str]:
    return [line.split(":")[1].strip().split("@")[0] for line in text.splitlines()]


def test_commands_share_a_namespace_and_leave_the_host_alone() -> None:
    with Namespace() as namespace:
        assert namespace.run(["ip", "link", "add", "here", "type", "bridge"]).returncode == 0
        assert "here" in links(namespace.run(["ip", "-o", "link"]).stdout)
        assert namespace.run(["iptables-legacy-restore"], input=RULES).returncode == 0
        assert ":INPUT DROP" in namespace.run(["iptables-legacy-save"]).stdout
    assert "here" not in links(subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout)


def test_a_single_command_starts_from_nothing() -> None:
    assert links(run_in_namespace(["ip", "-o", "link"]).stdout) == ["lo"]


def test_programs_left_running_end_with_the_namespace() -> None:
    with Namespace() as namespace:
        pid = namespace.run(["sh", "-c", "sleep 987 > /dev/null 2>&1 & echo $!"]).stdout
        assert namespace.run(["kill", "-0", pid.strip()]).returncode == 0
    time.sleep(0.2)
    assert "sleep 987" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout.splitlines()


def test_a_command_that_hangs_is_given_up() -> None:
    with Namespace() as namespace, pytest.raises(subprocess.TimeoutExpired):
        namespace.run(["sleep", "60"], timeout=0.2)


def test_commands_start_in_this_folder() -> None:
    here = subprocess.run(["pwd"], capture_output=True, text=True).stdout
    assert run_in_namespace(["pwd"]).stdout == here
