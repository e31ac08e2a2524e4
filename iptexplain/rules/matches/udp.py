"""-m udp"""

from __future__ import annotations

from iptexplain.rules.answer import Backend
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.matches.tcp import ALL_PORTS, drop_all_ports
from iptexplain.rules.values import Family, PortRange


class Udp(Match):
    """The ports of a UDP packet; loaded by ``-p udp`` itself when one of its options is used.

    A range whose ends are the wrong way round is taken, and contains no port. Fragments after the first carry no UDP
    header: they never match (net/netfilter/xt_tcpudp.c).
    """

    name = "udp"
    reads_header = True
    protocols = frozenset({"udp"})
    options = (
        Option("--sport", PortRange(ordered=False), "sport", invert=True, aliases=("--source-port",), nft="udp sport"),
        Option(
            "--dport", PortRange(ordered=False), "dport", invert=True, aliases=("--destination-port",), nft="udp dport"
        ),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        drop_all_ports(given)

    def save_options(self, backend: Backend) -> str:
        return " ".join(s.save() for s in self.settings if s.value != ALL_PORTS)
