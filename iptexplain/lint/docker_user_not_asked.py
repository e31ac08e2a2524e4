"""Rules in DOCKER-USER to which nothing jumps: none of them has any effect.

Docker makes the jump as the first rule of `FORWARD` when it starts. Who flushes `FORWARD` afterwards, or restores a saved ruleset,
loses it until Docker is restarted.
"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.lint.finding import Example, Finding
from iptexplain.lint.host import Host

LEVEL = "error"

FIRES = Example("""*filter
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -i docker0 -j ACCEPT
-A DOCKER-USER -s 203.0.113.0/24 -j DROP
COMMIT
""")

QUIET = Example("""*filter
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -i docker0 -j ACCEPT
-A DOCKER-USER -s 203.0.113.0/24 -j DROP
COMMIT
""")


def find(host: Host) -> Iterator[Finding]:
    """DOCKER-USER with rules and without a way from FORWARD."""
    chain = host.ruleset.chain("filter", "DOCKER-USER")
    own = tuple(place for place, _ in host.places("filter", "DOCKER-USER") if host.is_own(place))
    if chain and own and ("filter", "DOCKER-USER") not in host.docker.roles.reached:
        yield Finding(host.whole("filter", chain), own, {"rules": own})
