"""-m conntrack"""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.rules.addresses import BITS, Address, Network, to_address, to_network
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import compared, no_form, states
from iptexplain.rules.parameters import PROTOCOLS, Protocol
from iptexplain.rules.values import Choice, Family, Interval, Kind, NumberRange, PortRange, ShortFlags

STATES = ("INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED")
NAT_STATES = frozenset({"SNAT", "DNAT"})
NO_CONNECTION = frozenset({"INVALID", "UNTRACKED"})
"""The states of packets that the kernel knows no connection for."""


class StatusKind(ShortFlags):
    """A comma list of what is known of a connection; NONE stands for no bit, which no connection has."""

    def contains(self, value: tuple[str, ...], actual: str) -> bool:
        """``actual``: a comma list too."""
        return super().contains(value, actual.split(","))


class AddressUnderMask(NamedTuple):
    """An address as written, host bits and all, and the network that it stands for."""

    address: Address
    network: Network

    def __str__(self) -> str:
        return str(self.address) if self.network.is_host else f"{self.address}/{self.network.prefix}"


class AddressUnderMaskKind(Kind):
    """``ADDRESS[/PREFIX]``; a mask that is no prefix counts as the whole address (libxtables)."""

    def parse(self, text: str, family: Family) -> AddressUnderMask:
        address = text.partition("/")[0]
        network = to_network(text, family)
        return AddressUnderMask(
            to_address(address, family), network if network.prefix is not None else to_network(address, family)
        )

    def contains(self, value: AddressUnderMask, actual: Address) -> bool:
        return value.network.covers(actual)

    def as_set(self, value: AddressUnderMask) -> tuple[Interval, ...]:
        number, mask = value.network.number, value.network.mask
        return ((number, number | ~mask & (1 << BITS[value.network.family]) - 1),)


class ProtocolNumber(Protocol):
    """A protocol, which is saved as a number."""

    _numbers = {name: str(number) for number, name in PROTOCOLS.items()} | {"all": "0"}

    def save(self, value: str) -> str:
        return self._numbers.get(value, value)


class Conntrack(Match):
    """What connection tracking knows of the packet's connection.

    ``--ctstate``: NEW (the first packets, until an answer was seen), ESTABLISHED, RELATED (an ICMP error about a known
    connection, or a connection that a helper announced), INVALID (the kernel can make nothing of it), UNTRACKED
    (exempted in the raw table), and SNAT or DNAT for connections whose source or destination is rewritten.
    The ``--ctorig…`` options speak of the connection's first packet as it came, before any NAT; the ``--ctrepl…``
    options of its answers as they come, before NAT is undone; ``--ctdir`` says which of the two this packet is like.
    ``--ctexpire`` is the time in seconds after which the connection will be forgotten. ``--ctstatus NONE`` asks for no
    bit, and so never matches.

    INVALID and UNTRACKED packets have no connection: when ``--ctstate`` holds for them the other options are not asked,
    and without ``--ctstate`` they do not match at all (net/netfilter/xt_conntrack.c).
    """

    name = "conntrack"
    needs_any = True
    options = (
        Option("--ctstate", ShortFlags(*STATES, "SNAT", "DNAT"), "ctstate", invert=True),
        Option("--ctproto", ProtocolNumber(), "ctproto", invert=True, nft="ct original protocol"),
        Option("--ctorigsrc", AddressUnderMaskKind(), "ctorigsrc", invert=True, nft="ct original {ip} saddr"),
        Option("--ctorigdst", AddressUnderMaskKind(), "ctorigdst", invert=True, nft="ct original {ip} daddr"),
        Option("--ctreplsrc", AddressUnderMaskKind(), "ctreplsrc", invert=True, nft="ct reply {ip} saddr"),
        Option("--ctrepldst", AddressUnderMaskKind(), "ctrepldst", invert=True, nft="ct reply {ip} daddr"),
        Option("--ctorigsrcport", PortRange(ordered=False), "ctorigsrcport", invert=True, nft="ct original proto-src"),
        Option("--ctorigdstport", PortRange(ordered=False), "ctorigdstport", invert=True, nft="ct original proto-dst"),
        Option("--ctreplsrcport", PortRange(ordered=False), "ctreplsrcport", invert=True, nft="ct reply proto-src"),
        Option("--ctrepldstport", PortRange(ordered=False), "ctrepldstport", invert=True, nft="ct reply proto-dst"),
        Option(
            "--ctstatus",
            StatusKind("EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED", none="NONE"),
            "ctstatus",
            invert=True,
        ),
        Option("--ctexpire", NumberRange(ordered=False), "ctexpire", invert=True),
        Option("--ctdir", Choice("ORIGINAL", "REPLY", any_case=True), "ctdir", nft="ct direction"),
    )
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> list[str]:
        """A packet without a connection meets a state alone: nft would hold it against the other options as well."""
        state = self.get("ctstate")
        others = [s for s in self.settings if s is not state]
        if state and others and (state.inverted or NO_CONNECTION & {*state.value}):
            raise no_form(f"{state.save()} beside other options")
        if rule.parameters.protocol is None and (
            port := next((s for s in others if s.option.key.endswith("port")), None)
        ):
            raise no_form(f"{port.option.name} without -p and one protocol")
        rest = [_nft(s, family) for s in others]
        return [" ".join([*filter(None, [one]), *rest]) for one in (states(state) if state else [""])]

    def answer(self, packet: Packet) -> Answer:
        if packet.field("ctstate") in NO_CONNECTION:
            state = self.get("ctstate")
            return state_holds(state, packet) if state else Answer.NO
        return super().answer(packet)

    def holds(self, setting: Setting, packet: Packet) -> Answer:
        return state_holds(setting, packet) if setting.option.key == "ctstate" else super().holds(setting, packet)


def state_holds(setting: Setting, packet: Packet) -> Answer:
    """Whether the packet's connection is in one of the states of ``setting``; SNAT and DNAT show in its status."""
    state, status = packet.field("ctstate"), packet.field("ctstatus")
    wanted = set(setting.value)
    result = Answer.of(state in wanted)
    if state is Answer.UNKNOWN and wanted - NAT_STATES:
        result = Answer.UNKNOWN
    if wanted & NAT_STATES and state not in NO_CONNECTION:
        known = status is not Answer.UNKNOWN
        result |= Answer.of(not wanted.isdisjoint(status.split(","))) if known else Answer.UNKNOWN
    return ~result if setting.inverted else result


def _nft(setting: Setting, family: Family) -> str:
    if setting.option.key != "ctstatus":
        return compared(setting, family)
    bits = [name.lower().replace("_", "-") for name in setting.value]
    if not bits:
        raise no_form("--ctstatus NONE, which no packet meets")
    return f"ct status & ({' | '.join(bits)}) == 0" if setting.inverted else f"ct status {','.join(bits)}"
