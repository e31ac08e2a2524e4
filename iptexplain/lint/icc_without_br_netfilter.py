"""A network whose containers are to be kept apart (icc is off), on a host where nothing keeps them apart.

Packets between two containers of one network are switched by the bridge. Rules see them only where the module br_netfilter is loaded and
`net.bridge.bridge-nf-call-iptables` is 1; else Docker's DROP rule for the network is never asked. Only a snapshot tells that.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host

LEVEL = "error"

DUMP = """*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j DROP
COMMIT
"""

FIRES = Example(DUMP, "snapshot.json", {"sysctls": {"net.ipv4.ip_forward": 1, "net.bridge.bridge-nf-call-iptables": 0}})

QUIET = Example(DUMP, "snapshot.json", {"sysctls": {"net.ipv4.ip_forward": 1, "net.bridge.bridge-nf-call-iptables": 1}})


def find(host: Host) -> Iterator[Finding]:
    """The rules that drop what is switched, where the sysctl says that they are not asked, or the module is not loaded."""
    name = f"net.bridge.bridge-nf-call-ip{6 if host.family == 6 else ''}tables"
    sysctls = host.snapshot.facts.get("sysctls") or {}
    known = name in sysctls or "net.ipv4.ip_forward" in sysctls or "bridge-nf-call-iptables" in host.snapshot.assumed
    if not known or (host.topology.sysctls.get(name, 0) and name in {**sysctls, **host.snapshot.assumed}):
        return
    for found in host.docker.roles.of("no-icc"):
        yield Finding(found.place, (), {"bridge": found.values["bridge"], "sysctl": name, "loaded": name in sysctls})
