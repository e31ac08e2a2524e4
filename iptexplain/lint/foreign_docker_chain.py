"""A chain with a name such as Docker's, DOCKER-SOMETHING, that no Docker writes.

Whoever reads the rules takes it for Docker's, and a later Docker may use the name: then it flushes the chain when it starts. Of all chains
only `DOCKER-USER` is there for others to write in.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host
from iptexplain.recognise.docker_chains import docker_chains
from iptexplain.recognise.layouts import LINES

LEVEL = "info"

FIRES = Example("""*filter
:FORWARD DROP [0:0]
:DOCKER-ALLOW - [0:0]
-A FORWARD -j DOCKER-ALLOW
-A DOCKER-ALLOW -s 192.0.2.0/24 -j ACCEPT
COMMIT
""")

QUIET = Example(FIRES.text.replace("DOCKER-ALLOW", "ALLOW-DOCKER"))

OF_SWARM = frozenset({"DOCKER-INGRESS", "DOCKER-OVERLAY"})

DOCKERS = {
    "filter": frozenset[str]().union(*(line.chains for line in LINES)) | {"DOCKER-USER"} | OF_SWARM,
    "nat": frozenset({"DOCKER", "DOCKER_OUTPUT", "DOCKER_POSTROUTING"}) | OF_SWARM,
    "mangle": OF_SWARM,
}
"""The chains that engines up to 29 write, by table."""


def find(host: Host) -> Iterator[Finding]:
    """The user chains with Docker's kind of name and none of Docker's names."""
    for table, name in docker_chains(host.ruleset):
        if name not in DOCKERS.get(table, ()):
            chain = host.ruleset.tables[table].chains[name]
            yield Finding(host.whole(table, chain), (), {"rules": len(chain.rules)})
