"""-m ipvs"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.addresses import HostNetworkKind
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.parameters import PROTOCOLS, Protocol
from iptexplain.rules.values import Choice, Family, Kind, to_port

_NUMBERS = {name: str(number) for number, name in PROTOCOLS.items()}


class ProtocolNumber(Protocol):
    """A protocol by name or number, saved as a number."""

    def save(self, value: str) -> str:
        return _NUMBERS.get(value, value)


class Port(Kind):
    """One port, by number or service name."""

    def parse(self, text: str, family: Family) -> int:
        return to_port(text)


class Ipvs(Match):
    """Whether the packet belongs to a connection of the kernel's load balancer (IPVS), and to which virtual service.

    Any option but ``! --ipvs`` alone means such connections only. ``--vaddr``, ``--vport`` and ``--vproto`` are those
    that the client talks to; ``--vmethod`` is how IPVS hands packets on: GATE routes them, IPIP tunnels them, MASQ
    rewrites them; ``--vportctl`` is the port of the connection that opened this one (21 for FTP). Since Linux 2.6.37
    (net/netfilter/xt_ipvs.c).
    """

    name = "ipvs"
    options = (
        Option("--ipvs", invert=True),
        Option("--vproto", ProtocolNumber(), invert=True),
        Option("--vaddr", HostNetworkKind(), invert=True),
        Option("--vport", Port(), invert=True),
        Option("--vdir", Choice("ORIGINAL", "REPLY", any_case=True)),
        Option("--vmethod", Choice("GATE", "IPIP", "MASQ", any_case=True), invert=True),
        Option("--vportctl", Port(), invert=True),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """iptables-save prints ``--ipvs`` only when nothing else is said."""
        if not given:
            raise OptionError("ipvs: one of its options must be given")
        if "ipvs" in given and len(given) > 1:
            if given.pop("ipvs").inverted:
                raise OptionError("ipvs: ! --ipvs cannot be used together with other options")
