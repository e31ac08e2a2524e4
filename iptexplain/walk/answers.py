"""What the host itself sends to the sender of a packet that it does not let pass: a TCP reset or an ICMP error."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.host.topology import Topology, is_link_local
from iptexplain.rules.addresses import Address
from iptexplain.rules.targets.reject import ICMP_ERRORS, MANY
from iptexplain.walk.conntrack import Connection, tuple_of
from iptexplain.walk.outcome import Trace
from iptexplain.walk.packet import Packet
from iptexplain.walk.passage import Passage
from iptexplain.walk.tracking import WITHOUT

KERNEL_ERRORS: dict[tuple[str, str], dict[int, tuple[int, int] | None]] = {
    ("ttl", ""): {4: (11, 0), 6: (3, 0)},
    ("no-route", ""): {4: (3, 0), 6: (1, 0)},
    ("no-route", "throw"): {4: (3, 0), 6: (1, 0)},
    ("no-route", "unreachable"): {4: (3, 1), 6: (1, 0)},
    ("no-route", "prohibit"): {4: (3, 13), 6: (1, 1)},
    ("martian", "link-local"): {4: None, 6: (1, 2)},
}
"""The kernel's reason to drop a packet, and the kind of route → type and code of the ICMP error (ip_error, ip6_pkt_drop)."""

HEADER = {4: 20, 6: 40}
MOST_QUOTED = {4: 576, 6: 1280}
"""How long an ICMP error gets at most, in bytes: it quotes as much of the packet as fits."""


class Told(NamedTuple):
    """The host's answer. ``hooked``: whether it passes OUTPUT; a reset for a packet that came in on a bridge does not.

    ``connection``: the one that it belongs to; with ``settled`` it carries that, else conntrack finds it.
    """

    packet: Packet
    hooked: bool
    interface: str
    connection: Connection | None
    reply: bool
    settled: frozenset[str] | None


def own_answer(way: Trace, passage: Passage) -> Told | None:
    """What the sender of a dropped or rejected packet is told; None: nothing."""
    if not way.packet.fields["iif"] and way.outcome.kind == "dropped":
        return None
    error = _error(way, passage)
    if error is None:
        return None
    seen, topology = passage.seen.fields, passage.topology
    source = _icmp_source(way.packet.fields, seen, topology, way.outcome.bridged)
    if source is None:
        return None
    if way.outcome.answer == "tcp-reset":
        fields = _reset(seen, topology)
        hooked = not seen["physin"]
    else:
        fields, hooked = _icmp(seen, source, error, topology), True
    ct = passage.tracking
    known, reply = ct.connection, not ct.reply
    attached = known is not None and ct.state not in WITHOUT
    if known and attached:
        known = known._replace(mark=seen["connmark"])
    elif known:
        # Conntrack does not know the packet, but may know whom the answer goes to.
        found = known.way_of(tuple_of(passage.seen).reversed())
        known, reply = (known, found) if found is not None else (None, False)
        if known and fields["proto"] != "tcp":
            fields["ctstate"] = "RELATED"
    settled = frozenset(ct.settled) if attached else None
    if ct.state == "UNTRACKED":
        # It inherits that conntrack has seen it, and so CT --notrack passes it over (nf_ct_attach).
        fields["tracked"] = True
    came_in = str(way.packet.fields["iif"])
    return Told(Packet(fields), hooked, came_in, known, bool(known) and reply, settled)


def _error(way: Trace, passage: Passage) -> tuple[int, int] | None:
    """Type and code of the answer; (0, 0) for a reset."""
    outcome, seen = way.outcome, passage.seen
    if outcome.answer == "tcp-reset":
        return 0, 0
    if outcome.answer:
        kind, _, code = outcome.answer.split(" ")[1].partition("/")
        return int(kind), int(code)
    if outcome.kind != "dropped" or not isinstance(outcome.by, str):
        return None
    is_error = seen.field("icmp_type") in ICMP_ERRORS.get(seen.fields["proto"], ())
    rewritten = seen.fields["physin"] and seen.fields["dst"] != way.packet.dst
    if outcome.by == "no-route" and passage.topology.family == 6 and rewritten:
        return None  # the bridge drops it already (br_nf_pre_routing_finish_ipv6)
    if is_error or seen.field("fragment") is True or seen.field("pkttype") in MANY:
        return None
    onward = passage.topology.route(seen.fields["dst"], seen.fields["iif"])
    route = onward if outcome.by == "no-route" else None
    stays = outcome.by == "martian" and is_link_local(seen.fields["src"])
    found = KERNEL_ERRORS.get((outcome.by, "link-local" if stays else route.kind if route else ""))
    return found[passage.topology.family] if found else None


def _reset(seen: dict[str, Any], topology: Topology) -> dict[str, Any]:
    """A reset that answers an ACK carries none, any other does (nf_reject_ip_tcphdr_put)."""
    flags = frozenset({"RST"}) if "ACK" in seen.get("flags", ()) else frozenset({"RST", "ACK"})
    return {
        "iif": "", "src": seen["dst"], "dst": seen["src"], "proto": "tcp", "sport": seen["dport"], "dport": seen["sport"],
        "flags": flags, "tcp_options": frozenset(), "length": HEADER[topology.family] + 20,
    }  # fmt: skip


def _icmp(seen: dict[str, Any], source: Address, error: tuple[int, int], topology: Topology) -> dict[str, Any]:
    """An ICMP error; in IPv4 it keeps what the sender wished of the type of service, with precedence 6 (icmp.c)."""
    family = topology.family
    fields = {
        "iif": "", "src": source, "dst": seen["src"], "proto": "icmp" if family == 4 else "ipv6-icmp",
        "icmp_type": error[0], "icmp_code": error[1], "tos": seen["tos"] & 0x1E | 0xC0 if family == 4 else 0,
    }  # fmt: skip
    if is_link_local(seen["src"]):
        fields["link"] = seen["iif"]
    if isinstance(seen.get("length"), int):
        fields["length"] = min(HEADER[family] + 8 + seen["length"], MOST_QUOTED[family])
    return fields


def _icmp_source(asked: dict[str, Any], seen: dict[str, Any], topology: Topology, bridged: bool) -> Address | None:
    """From which address an ICMP error comes; None: there is no way back, so nothing is sent.

    The one that the packet was sent to, when it is the host's; else what the host has on the way back, or in IPv6 on the
    interface that the packet came in by (icmp.c; net/ipv6/icmp.c), unless it is only switched. A bridge that has routed a
    rewritten packet already takes the interface of that route for it (br_nf_pre_routing_finish_ipv6).
    """
    target: Address = seen["dst"]
    back = topology.route(seen["src"], asked["iif"])
    own = topology.is_for_host(seen["src"], asked["iif"])
    if not own and (back is None or back.kind != "unicast"):
        return None
    if topology.is_for_host(target, seen["iif"]):
        return target
    if own or back is None:
        return topology.primary(seen["src"])
    if topology.family == 4 or back.prefsrc or bridged:
        return topology.source_for(seen["src"], back.interface)
    onward = topology.route(seen["dst"]) if seen["physin"] and seen["dst"] != asked["dst"] else None
    return topology.source_for(seen["src"], onward.interface if onward else asked["iif"])
