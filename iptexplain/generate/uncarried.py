"""What the end of docker-proxy may change, told by the source's published ports alone and not by the rules that were made.

A packet that was delivered to the host at a published port goes to that port's container; from a bridge to loopback it goes
nowhere, for no rule can do that, nor does what the kernel itself does not forward. What went to the container before may come from
another address. Packets of rewritten connections follow their first ones. What WSL2's mirrored networking brings from Windows for loopback
went to docker-proxy by no rule that a dump shows, and goes to the container now.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any

from iptexplain.explain.difference import Compared, Flow, Told
from iptexplain.explain.situation import Situation
from iptexplain.generate.proxy import LOOPBACK
from iptexplain.recognise.docker_port import Port
from iptexplain.rules.addresses import to_address, to_network
from iptexplain.sets.difference import ARRIVED
from iptexplain.sets.ordinary import STRANGE
from iptexplain.sets.space import NO, Diagram

KNOWN = ("RELATED", "ESTABLISHED")
WINDOWS = "loopback0"
"""The interface of WSL2's mirrored networking."""


def not_carried(situation: Situation, compared: Compared) -> list[Flow]:
    """The flows that differ for another reason than that docker-proxy is gone."""
    rewriting = _Rewriting(situation, compared)
    return [flow for flow in compared.flows if not rewriting.explains(flow)]


class _Rewriting:
    def __init__(self, situation: Situation, compared: Compared) -> None:
        self.ports, self.compared = situation.docker.ports, compared
        ground = compared.comparison.ground
        self.space, self.kinds, self.fields = ground.space, ground.kinds, ground.fields
        self.bridges = [n.bridge for n in situation.docker.networks]
        from_bridge = self.kinds.one_of("iif", self.bridges)
        self.later = reduce(
            self.space.both,
            [self.kinds.number("ctstatus:DNAT", 1), self.kinds.one_of("ctstate", KNOWN), from_bridge],
        )
        loopback = self._to(LOOPBACK[situation.family])
        self.to_loopback = self.space.both(loopback, from_bridge)
        windows = [WINDOWS] if situation.docker.roles.of("wsl2-return") else []
        self.from_windows = self.space.both(loopback, self.kinds.one_of("iif", windows))

    def explains(self, flow: Flow) -> bool:
        if self._is_in(flow, self.later):
            return all(end.way not in ARRIVED or end.interface in self.bridges for end in flow.region.now)
        if len(flow.region.was) != 1 or len(flow.region.now) != 1:
            return False
        was, now = (self.compared.told(ends[0]) for ends in (flow.region.was, flow.region.now))
        if flow.kind == "closed":
            by_kernel = flow.line.rank == STRANGE and isinstance(now.by, str)
            asked = by_kernel and _is_here(was) and self._is_in(flow, self._asked(self.ports))
            return asked or self._is_in(flow, self.to_loopback)
        if flow.kind == "refused":
            return self._is_in(flow, self.to_loopback)
        if not self._is_in(flow, self._asked(p for p in self.ports if _leads(p, now))):
            return False
        if flow.kind == "opened":
            return self._is_in(flow, self.from_windows)
        return flow.kind == "rewritten" and (_is_here(was) or _where(was) == _where(now))

    def _is_in(self, flow: Flow, packets: Diagram) -> bool:
        return self.space.minus(flow.line.packets, packets) == NO

    def _asked(self, ports: Iterable[Port]) -> Diagram:
        """The packets for these ports of the host."""
        found = []
        for port in ports:
            asked = [self.kinds.value("dport", port.host_port), self.kinds.value("proto", port.proto)]
            asked += [] if port.is_everywhere else [self._to(port.host_ip)]
            found.append(reduce(self.space.both, asked))
        return self.space.union(found)

    def _to(self, network: str) -> Diagram:
        low = to_network(network)
        top = self.fields.all[self.fields.level["dst"]].top
        return self.space.among(self.fields.level["dst"], [(low.number, low.number | low.mask ^ top)])


def _is_here(told: Told) -> bool:
    """Delivered to the host, at the address and port that it was sent to."""
    return told.is_local and not told.to["dst"] and not told.to["dport"]


def _where(told: Told) -> tuple[Any, ...]:
    """Where packets arrive, and with what address and port."""
    return told.to["dst"], told.to["dport"], told.interface


def _leads(port: Port, told: Told) -> bool:
    """Whether packets arrive where the port leads to."""
    arrives = (told.to["dst"], told.to["dport"] or port.host_port, told.interface)
    return arrives == (to_address(port.container_ip), port.container_port, port.bridge)
