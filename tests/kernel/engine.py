"""A Docker Engine on a host of its own, which has a place in a LAN and nothing to do with this machine's network."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple, Self

from iptexplain.rules.values import Family
from tests.kernel.namespace import ENVIRONMENT, Namespace

DOCKER = ("/usr/bin/docker", "-H", "unix:///run/docker.sock")
"""The engine's own client; a docker that comes earlier in PATH may be made for another one."""

SOCKETS = Path(__file__).with_name("engine_sockets.py")
OUTSIDE = {
    4: {"client": "192.0.2.50", "remote": "198.51.100.7"},
    6: {"client": "2001:db8:2::50", "remote": "2001:db8:ffff::7"},
}
"""Who is around the host, in each family: a machine in its LAN, and one of the internet behind the gateway (192.0.2.1,
2001:db8:2::1)."""

HOST = {
    4: {"host": "192.0.2.10", "host2": "192.0.2.11", "localhost": "127.0.0.1"},
    6: {"host": "2001:db8:2::10", "host2": "2001:db8:2::11", "localhost": "::1"},
}
"""The host's addresses by name, beside those on Docker's bridges."""

SETUP = f"""
mount -t tmpfs tmpfs /etc/docker
mount -o remount,bind,ro /
ip netns add outside
ip link add eth0 type veth peer name eth0 netns outside
ip link set lo up
ip link set eth0 up
ip addr add {HOST[4]["host"]}/24 dev eth0
ip addr add {HOST[4]["host2"]}/24 dev eth0
ip route add default via 192.0.2.1
ip -n outside link set lo up
ip -n outside link set eth0 up
ip -n outside addr add 192.0.2.1/24 dev eth0
ip -n outside addr add {OUTSIDE[4]["client"]}/24 dev eth0
ip -n outside addr add {OUTSIDE[4]["remote"]}/32 dev lo
ip -n outside route add 172.16.0.0/12 via {HOST[4]["host"]}
"""
"""The engine may write to /run and /etc/docker alone, and these are its own. The LAN has a route to the containers, so that
what keeps it from them is a rule."""

SETUP_IPV6 = f"""
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
ip addr add {HOST[6]["host2"]}/64 dev eth0 nodad
ip addr add {HOST[6]["host"]}/64 dev eth0 nodad
ip -6 route add default via 2001:db8:2::1
ip -n outside addr add 2001:db8:2::1/64 dev eth0 nodad
ip -n outside addr add {OUTSIDE[6]["client"]}/64 dev eth0 nodad
ip -n outside addr add {OUTSIDE[6]["remote"]}/128 dev lo
ip -n outside route add 2001:db8:17::/48 via {HOST[6]["host"]}
ip -n outside route add 2001:db8:20::/48 via {HOST[6]["host"]}
ip -n outside route add 2001:db8:22::/48 via {HOST[6]["host"]}
"""
"""The same with IPv6; of addresses that are equally good the host takes the youngest. Docker's own count from the beginning: until the
kernel knows that nobody else has one, it would send from another."""

START = """
mkdir /run/bin
for program in iptables ip6tables iptables-save ip6tables-save iptables-restore ip6tables-restore; do
    ln -s "$(command -v "xtables-$1-multi")" "/run/bin/$program"
done
PATH=/run/bin:$PATH TMPDIR=/run dockerd --data-root /run/docker/data --storage-driver vfs --bip 172.17.0.1/16 \\
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent "/$2" $3 > /run/log 2>&1 &
until $0 version > /run/version 2>&1; do
    kill -0 $! 2> /dev/null || { grep -v -e level=info -e level=warning /run/log >&2; exit 1; }
    sleep 0.05
done
cd / && tar -c bin lib* | $0 import - programs
"""
"""Called as docker, with backend, control group and more of dockerd's options. The image is the links to /usr that lie in every
root; /usr itself each container gets to read."""

SWEEP = """
cat
for attempt in $(seq 100); do
    kill -0 "$1" && sleep 0.1 && continue
    groups=$(find /sys/fs/cgroup -depth -type d "(" -path "*/$0" -o -path "*/$0/*" ")")
    test "$groups" || break
    rmdir $groups || sleep 0.1
done
"""
"""Control groups are all that does not go with the namespace. Called as the group, with the process that holds the namespace.
``cat`` ends when the test does, whichever way that ends."""

LOUD = ("net.ipv4.icmp_ratelimit=0", "net.ipv4.ping_group_range=0 0")
"""Every refusal is to be heard, and pings can be sent without a raw socket."""

ASKED = (
    r"^net\.(ipv4\.ip_forward|ipv6\.conf\.all\.forwarding|bridge\.bridge-nf-call-ip6?tables"
    r"|ipv4\.conf\..*\.(rp_filter|route_localnet))$"
)
"""The sysctls of a snapshot."""

HOST_NETNS, OUTSIDE_NETNS = "/proc/1/ns/net", "/run/netns/outside"


class EngineError(Exception):
    """What the engine, or a program beside it, complained about."""


class NoEngine(EngineError):
    """There is no engine, or it does not start on this machine; the text says why."""


class Machine(NamedTuple):
    """Who sends, serves and is sent to: a network namespace, and the address that it is known by."""

    netns: str
    address: str


class Engine(Namespace):
    """A running engine for as long as the ``with`` block runs; raises NoEngine when there is none.

    ``backend``: nft or legacy, which iptables the daemon calls; ``options``: more of dockerd's.
    """

    def __init__(self, backend: str, options: str) -> None:
        self.backend, self.options = backend, options
        self.cgroup = f"iptexplain-{os.getpid()}"

    def __enter__(self) -> Self:
        if not (shutil.which("dockerd", path=ENVIRONMENT["PATH"]) and shutil.which(DOCKER[0])):
            raise NoEngine("Docker's engine is not installed (Debian has it in the package docker.io)")
        super().__enter__()
        nothing = subprocess.DEVNULL
        self._sweeper = subprocess.Popen(
            ["sh", "-c", SWEEP, self.cgroup, str(self._holder.pid)],
            stdin=subprocess.PIPE, stdout=nothing, stderr=nothing, env=ENVIRONMENT, start_new_session=True,
        )  # fmt: skip
        try:
            self.out("sh", "-ec", SETUP)
            self.out("sh", "-c", START, " ".join(DOCKER), self.backend, self.cgroup, self.options)
        except (EngineError, subprocess.TimeoutExpired) as error:
            self.__exit__()
            raise NoEngine(f"Docker's engine does not start here: {error}") from None
        return self

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._sweeper.communicate()

    def out(self, *argv: str | Path, input: str | None = None) -> str:
        """What a command inside prints; raises EngineError with its complaint when it fails."""
        done = self.run(argv, input=input)
        if done.returncode:
            raise EngineError(f"{argv[0]}: {done.stderr.strip()}")
        return done.stdout

    def facts(self, *argv: str) -> Any:
        return json.loads(self.out(*argv))

    def docker(self, command: str) -> None:
        """One docker command; ``run`` starts a container that does nothing."""
        word, *words = shlex.split(command)
        if word == "run":
            words = ["-d", "-v", "/usr:/usr:ro", *words, "programs", "sleep", "infinity"]
        self.out(*DOCKER, word, *words)

    def snapshot(self) -> dict[str, Any]:
        """What is known about the host, as a snapshot has it; only who listens must still be asked."""
        networks = self.facts(*DOCKER, "network", "inspect", *self.out(*DOCKER, "network", "ls", "-q").split())
        containers = self.facts(*DOCKER, "inspect", *self.out(*DOCKER, "ps", "-q").split())
        version = self.out(*DOCKER, "version", "-f", "{{.Server.Version}}").strip()
        sysctls = [line.split(" = ") for line in self.out("sysctl", "-a", "-r", ASKED).splitlines()]
        return {
            "schema": 1,
            "iptables": self.out("/run/bin/iptables-save"),
            "ip6tables": self.out("/run/bin/ip6tables-save"),
            "addresses": self.facts("ip", "-j", "addr"),
            "routes": self.facts("ip", "-j", "route"),
            "routes6": self.facts("ip", "-j", "-6", "route"),
            "rules": self.facts("ip", "-j", "rule"),
            "bridge_links": self.facts("bridge", "-d", "-j", "link"),
            "sysctls": {name: int(value) for name, value in sysctls},
            "docker": {"version": version, "networks": networks, "containers": containers},
            "namespaces": {c["Name"][1:]: self._inside(f"/proc/{c['State']['Pid']}/ns/net") for c in containers},
        }

    def _inside(self, netns: str) -> dict[str, Any]:
        """What a snapshot says about a container's own namespace."""
        enter = ("nsenter", f"--net={netns}")
        return {
            "iptables": self.out(*enter, "/run/bin/iptables-save"),
            "addresses": self.facts(*enter, "ip", "-j", "addr"),
            "routes": self.facts(*enter, "ip", "-j", "route"),
        }

    def machines(self, snapshot: dict[str, Any], family: Family) -> dict[str, Machine]:
        """Everybody by name; ``web.front`` is web by its address on the network front, ``host.front`` the host by its own."""
        found = {name: Machine(OUTSIDE_NETNS, address) for name, address in OUTSIDE[family].items()}
        found |= {name: Machine(HOST_NETNS, address) for name, address in HOST[family].items()}
        for network in snapshot["docker"]["networks"]:
            subnets = [ip_network(config["Subnet"]) for config in network["IPAM"]["Config"] or []]
            mine = [Machine(HOST_NETNS, str(subnet[1])) for subnet in subnets if subnet.version == family]
            found |= {f"host.{network['Name']}": machine for machine in mine}
        for container in snapshot["docker"]["containers"]:
            netns = f"/proc/{container['State']['Pid']}/ns/net"
            for network, settings in container["NetworkSettings"]["Networks"].items():
                if address := settings[{4: "IPAddress", 6: "GlobalIPv6Address"}[family]]:
                    machine = Machine(netns, address)
                    found |= {f"{container['Name'][1:]}.{network}": machine, container["Name"][1:]: machine}
        return found

    def exchange(self, work: dict[str, Any]) -> dict[str, Any]:
        """Servers and probes in all their network namespaces (engine_sockets.py)."""
        for netns in {each["netns"] for kind in work.values() for each in kind}:
            self.out("nsenter", f"--net={netns}", "sysctl", "-qw", *LOUD)
        found: dict[str, Any] = json.loads(self.out(sys.executable, SOCKETS, input=json.dumps(work)))
        return found


def left(cgroup: str) -> list[str]:
    """What there is of an engine: its control groups, and processes in them or named after them."""
    found = []
    for asked in (["find", "/sys/fs/cgroup", "-name", cgroup], ["ps", "-eo", "cgroup,args"]):
        found += subprocess.run(asked, capture_output=True, text=True).stdout.splitlines()
    return [line for line in found if cgroup in line]
