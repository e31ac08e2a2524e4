"""-j REJECT"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Packet
from iptexplain.rules.extension import Option, Setting, Target
from iptexplain.rules.model import Rule
from iptexplain.rules.values import Family, Kind

TYPES: dict[Family, dict[str, tuple[str, str]]] = {
    4: {
        "icmp-net-unreachable": ("net-unreach", "icmp 3/0"),
        "icmp-host-unreachable": ("host-unreach", "icmp 3/1"),
        "icmp-proto-unreachable": ("proto-unreach", "icmp 3/2"),
        "icmp-port-unreachable": ("port-unreach", "icmp 3/3"),
        "icmp-net-prohibited": ("net-prohib", "icmp 3/9"),
        "icmp-host-prohibited": ("host-prohib", "icmp 3/10"),
        "tcp-reset": ("tcp-rst", "tcp-reset"),
        "icmp-admin-prohibited": ("admin-prohib", "icmp 3/13"),
    },
    6: {
        "icmp6-no-route": ("no-route", "icmpv6 1/0"),
        "icmp6-adm-prohibited": ("adm-prohibited", "icmpv6 1/1"),
        "icmp6-addr-unreachable": ("addr-unreach", "icmpv6 1/3"),
        "icmp6-port-unreachable": ("port-unreach", "icmpv6 1/4"),
        "tcp-reset": ("tcp-reset", "tcp-reset"),
        "icmp6-policy-fail": ("policy-fail", "icmpv6 1/5"),
        "icmp6-reject-route": ("reject-route", "icmpv6 1/6"),
    },
}
"""What may be answered: name → (another name, ICMP type and code that are sent), in the order of looking names up."""

DEFAULT: dict[Family, str] = {4: "icmp-port-unreachable", 6: "icmp6-port-unreachable"}

NFT_NAMES = {"proto-unreachable": "prot-unreachable", "adm-prohibited": "admin-prohibited"}
"""Kinds that nft calls otherwise."""

ICMP_ERRORS = {"icmp": (*range(1, 8), *range(9, 13), *range(19, 256)), "ipv6-icmp": (*range(128), 137)}
"""The types to which no ICMP error is ever sent back (icmp_pointers in net/ipv4/icmp.c; is_ineligible in net/ipv6/icmp.c)."""


MANY = ("broadcast", "multicast")
"""What is sent to many is answered by nobody: the frame's kind, or the address's."""


class RejectType(Kind):
    """One of TYPES, by either name or the beginning of one, in any case; saved by its first name."""

    def parse(self, text: str, family: Family) -> str:
        wanted = text.lower()
        for name, (other, _) in TYPES[family].items():
            if name.startswith(wanted) or other.startswith(wanted):
                return name
        raise OptionError(f"'{text}' is none of {', '.join(TYPES[family])}")


class Reject(Target):
    """Drops the packet and tells the sender: by an ICMP error, or by a TCP reset, which needs ``-p tcp``.

    Without ``--reject-with`` the answer is "port unreachable". Nothing is sent back to a second or later fragment, to a
    broadcast or to an ICMP error, and no reset to a reset (net/ipv4/netfilter/nf_reject_ipv4.c, and nf_reject_ipv6.c).
    Valid in the filter table only.
    """

    name = "REJECT"
    verdict = "DROP"
    tables = frozenset({"filter"})
    options = (Option("--reject-with", RejectType()),)
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> str:
        name = self.value("reject_with")
        if name == "tcp-reset":
            return "reject with tcp reset"
        protocol, _, kind = name.partition("-")
        kind = NFT_NAMES.get(kind, kind)
        return f"reject with {'icmp' if protocol == 'icmp' else 'icmpv6'} {kind}"

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        given.setdefault("reject_with", cls.setting("reject_with", DEFAULT[family]))

    def refuse(self, rule: Rule, table: str, family: Family) -> str | None:
        if self.value("reject_with") == "tcp-reset" and rule.parameters.protocol != "tcp":
            return "--reject-with tcp-reset needs -p tcp"
        return super().refuse(rule, table, family)

    def answer_to(self, packet: Packet) -> str | None:
        """What the sender is told: "tcp-reset", "icmp TYPE/CODE", "icmpv6 TYPE/CODE", or None where nothing is sent."""
        name = self.value("reject_with")
        if name == "tcp-reset":
            flags = packet.field("flags")
            silent = isinstance(flags, frozenset) and "RST" in flags
        else:
            silent = packet.field("icmp_type") in ICMP_ERRORS.get(packet.field("proto"), ())
        to_many = packet.field("pkttype") in MANY or str(packet.field("dst_type")).lower() in MANY
        if silent or to_many or packet.field("fragment") is True:
            return None
        return next(types[name][1] for types in TYPES.values() if name in types)
