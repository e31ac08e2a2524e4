"""The laboratory itself: a case's host with its rules, and packets sent one after the other."""

from __future__ import annotations

import errno
import json
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack
from ipaddress import ip_address, ip_interface
from typing import Any, Literal, Self

from tests.kernel.lab import LabError, checkpoints
from tests.kernel.lab.building import ECHO_REQUEST, Fields, build, flag_bits
from tests.kernel.lab.checkpoints import DELIVERED
from tests.kernel.lab.follow import Flow, Sent, Skipped, following
from tests.kernel.lab.legacy_trace import LegacyTrace
from tests.kernel.lab.listening import ETH_P_IP, ETH_P_IPV6, Listening, Traffic
from tests.kernel.lab.netlink import Netlink
from tests.kernel.lab.nft_trace import NftTrace, positions
from tests.kernel.lab.reading import is_chatter, tuple_of
from tests.kernel.lab.result import belongs_to, result_of
from tests.kernel.lab.rules import Tables, read_dump
from tests.kernel.lab.topology import Topology, with_macs

Backend = Literal["nft", "legacy"]
BACKENDS: tuple[Backend, ...] = ("nft", "legacy")
DUMPS = {4: "dump", 6: "dump6"}
PROGRAMS = {4: "iptables", 6: "ip6tables"}
FLUSH_CONNTRACK = 1 << 8 | 2
FIRST_IDENT, LAST_IDENT = 0x1001, 0xFFF0
ARRIVED = ("delivered-local", "forwarded", "sent")


class Laboratory:
    """A case's host, with its rules in one backend. Closing it only saves memory: nothing of it outlives the process."""

    def __init__(self, case: dict[str, Any], backend: Backend = "nft") -> None:
        self.host = with_macs(case["host"])
        tables = {family: read_dump(case.get(key, "")) for family, key in DUMPS.items()}
        addresses = [a for interface in self.host["interfaces"] for a in interface.get("addresses", [])]
        ipv6 = bool(tables[6]) or any(ip_interface(a).version == 6 for a in addresses)
        self._senders: dict[int, socket.socket] = {}
        self._ident = FIRST_IDENT - 1
        with ExitStack() as stack:
            self.topology = Topology(self.host, ipv6)
            stack.callback(self.topology.close)
            self._load(case, tables, ipv6, backend)
            self._listen(tables, backend, stack)
            self._stack = stack.pop_all()

    def _load(self, case: dict[str, Any], tables: dict[int, Tables], ipv6: bool, backend: Backend) -> None:
        run = self.topology.namespace.run
        checkpoints.load(self.topology.namespace, (4, 6) if ipv6 else (4,))
        if case.get("ipset"):
            run(["ipset", "restore"], case["ipset"].rstrip("\n") + "\n")
        for family, program in PROGRAMS.items():
            if tables[family]:
                run([f"{program}-{backend}-restore", "-w"], case[DUMPS[family]])

    def _listen(self, tables: dict[int, Tables], backend: Backend, stack: ExitStack) -> None:
        with self.topology.namespace.enter():
            self._netlink = Netlink()
            stack.callback(self._netlink.close)
            loaded = [family for family in tables if tables[family] and backend == "nft"]
            rules = {family: positions(self._netlink, family, tables[family]) for family in loaded}
            trace = NftTrace(tables, self.topology.links, rules)
            legacy = LegacyTrace(self.topology.namespace, tables) if backend == "legacy" else None
        with self.topology.peers.enter():
            self._listening = Listening(trace, legacy)
        stack.callback(self._listening.close)

    def close(self) -> None:
        for sender in self._senders.values():
            sender.close()
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def saved(self, family: int, backend: Backend) -> str:
        """What iptables-save prints of the rules."""
        return self.topology.namespace.run([f"{PROGRAMS[family]}-{backend}-save"])

    def ask(self, packets: list[Fields]) -> list[dict[str, Any]]:
        """The results, one for each packet, as a case keeps them. Raises LabError when it cannot tell what it saw."""
        done: list[Sent | Skipped] = []
        results = []
        for packet in json.loads(json.dumps(packets)):
            sent, result = self._one(packet, done)
            done.append(sent)
            results.append(result)
        if late := self._left():
            raise LabError(f"seen too late, of the last packet: {late}")
        return results

    def _left(self) -> list[dict[str, Any]]:
        """What came after a packet's answer was thought to be complete."""
        return [tuple_of(s.packet) for s in self._listening.begin().seen() if not is_chatter(s.packet)]

    def _one(self, packet: Fields, done: list[Sent | Skipped]) -> tuple[Sent | Skipped, dict[str, Any]]:
        flow, way = Flow(), 0
        if "after" in packet:
            made = following(packet, done[packet["after"]])
            if isinstance(made, Skipped):
                return made, {"skipped": made.why}
            packet, flow, way = made
        else:
            self._netlink.request(FLUSH_CONNTRACK, struct.pack("!BBH", 0, 0, 0))
        if packet["proto"] in ECHO_REQUEST:
            packet.setdefault("icmp_type", ECHO_REQUEST[packet["proto"]])
        if packet["proto"] == "tcp":
            packet.setdefault("flags", "SYN")
        self._ident = self._ident + 1 if self._ident < LAST_IDENT else FIRST_IDENT
        ident = self._ident
        place = flow.place(way, flag_bits(packet.get("flags")), bool(packet.get("again")))
        data = build(packet, ident, place, flow.place(1 - way, 0))
        if late := self._left():
            raise LabError(f"seen too late, of the packet before {packet}: {late}")
        error = self._send(packet, data)
        traffic = self._listening.watch(_is_over(packet, ident, error))
        found, result = result_of(packet, ident, traffic, error, self.topology)
        if found.outcome["kind"] in ARRIVED:
            flow.sent(way, packet)
        return Sent(packet, found, flow, way), result

    def _send(self, packet: Fields, data: bytes) -> int:
        """Put the packet on the wire, or into the host's own output; what send() said (errno), 0 when it took it."""
        version = ip_address(packet["src"]).version
        try:
            if packet["from"] == "host":
                end = (packet["dst"], 0) if version == 4 else (packet["dst"], 0, 0, 0)
                self._sender(version).sendto(data, end)
            else:
                sender = self.topology.endpoints[packet["from"]]
                to = self.topology.mac_towards(sender, packet["dst"], packet.get("dst_mac"))
                macs = bytes.fromhex((to + packet.get("src_mac", sender.mac)).replace(":", ""))
                kind = struct.pack("!H", ETH_P_IP if version == 4 else ETH_P_IPV6)
                self._listening.wire.sendto(macs + kind + data, (sender.device, 0))
        except OSError as e:
            return e.errno or errno.EIO
        return 0

    def _sender(self, version: int) -> socket.socket:
        """The socket by which the host sends packets of its own."""
        if version not in self._senders:
            with self.topology.namespace.enter():
                family = socket.AF_INET if version == 4 else socket.AF_INET6
                made = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                self._senders[version] = made
        return self._senders[version]


def _is_over(packet: Fields, ident: int, error: int) -> Callable[[Traffic], bool]:
    """Whether a packet has come to its end: dropped by a rule, delivered, or out on the wire."""
    mine = belongs_to(packet, ident)

    def is_over(traffic: Traffic) -> bool:
        ended = any(v.chain == DELIVERED or (v.steps and v.steps[-1].drops) for v in traffic.visits if mine(v.packet))
        return bool(error) or ended or any(mine(capture.packet) for capture in traffic.captures)

    return is_over


def run_case(case: dict[str, Any], backend: Backend = "nft") -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The results of a case's packets, and the host's facts for its snapshot."""
    with Laboratory(case, backend) as laboratory:
        facts = laboratory.topology.facts()
        return laboratory.ask(case["packets"]), facts
