"""-j TPROXY"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iptexplain.rules.addresses import Address
from iptexplain.rules.answer import Packet
from iptexplain.rules.extension import Option, Setting, Target
from iptexplain.rules.targets.mark import BitChange, BitChangeKind
from iptexplain.rules.targets.tee import Host
from iptexplain.rules.values import Family, Kind, to_port


class Port(Kind):
    """One port, by number or service name."""

    def parse(self, text: str, family: Family) -> int:
        return to_port(text)


class Tproxy(Target):
    """Gives the packet to a program of this host (a transparent proxy) without rewriting it.

    The program listens on ``--on-port`` (0: the packet's own port) of ``--on-ip`` (none given: an address of the
    interface by which the packet came), and may take connections to foreign addresses (IP_TRANSPARENT). Where there is
    none, the packet is dropped. The mark is set so that a routing rule can bring the packet in. Valid in PREROUTING of
    the mangle table, with ``-p tcp`` or ``-p udp`` (net/netfilter/xt_TPROXY.c).
    """

    name = "TPROXY"
    verdict = "UNKNOWN"
    protocols = frozenset({"tcp", "udp"})
    tables = frozenset({"mangle"})
    chains = frozenset({"PREROUTING"})
    options = (
        Option("--on-port", Port(), required=True),
        Option("--on-ip", Host()),
        Option("--tproxy-mark", BitChangeKind(), default=BitChange(0, 0)),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        given.setdefault("on_ip", cls.setting("on_ip", Address(family, 0)))

    def changes(self, packet: Packet) -> Mapping[str, Any]:
        mark: BitChange = self.value("tproxy_mark")
        return {"mark": mark.of(packet.field("mark"))} if mark != (0, 0) else {}
