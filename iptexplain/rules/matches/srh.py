"""-m srh"""

from __future__ import annotations

from iptexplain.rules.addresses import HostNetworkKind
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.headers import Above, Below
from iptexplain.rules.values import Family, Number

SHARED = ("srh_hdr_len", "srh_segs_left", "srh_last_entry")
"""What is compared in three ways, but with one number: the one that is given last."""


class Srh(Match):
    """IPv6's segment routing header (RFC 8754): a list of segments, addresses that the packet visits in turn.

    The segments are counted down: ``--srh-segs-left`` are still to come, ``--srh-last-entry`` is the number of the last
    one in the list, counted from 0. ``--srh-hdr-len`` counts units of 8 bytes. Addresses: ``--srh-psid`` the previous
    segment, ``--srh-nsid`` the next, ``--srh-lsid`` the last. Of ``-eq``, ``-gt`` and ``-lt`` for one field the kernel
    keeps one number only. Since Linux 4.16 (net/ipv6/netfilter/ip6t_srh.c).
    """

    name = "srh"
    families = (6,)
    options = (
        Option("--srh-next-hdr", Number(0, 255), invert=True),
        Option("--srh-hdr-len-eq", Number(0, 255), invert=True),
        Option("--srh-hdr-len-gt", Above(0, 255), invert=True),
        Option("--srh-hdr-len-lt", Below(0, 255), invert=True),
        Option("--srh-segs-left-eq", Number(0, 255), invert=True),
        Option("--srh-segs-left-gt", Above(0, 255), invert=True),
        Option("--srh-segs-left-lt", Below(0, 255), invert=True),
        Option("--srh-last-entry-eq", Number(0, 255), invert=True),
        Option("--srh-last-entry-gt", Above(0, 255), invert=True),
        Option("--srh-last-entry-lt", Below(0, 255), invert=True),
        Option("--srh-tag", Number(0, 65535), invert=True),
        Option("--srh-psid", HostNetworkKind(prefixed=True), invert=True),
        Option("--srh-nsid", HostNetworkKind(prefixed=True), invert=True),
        Option("--srh-lsid", HostNetworkKind(prefixed=True), invert=True),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        for field in SHARED:
            keys = [k for k in given if k.startswith(field)]
            for key in keys[:-1]:
                given[key] = given[key]._replace(value=given[keys[-1]].value)

    def answer(self, packet: Packet) -> Answer:
        return Answer.UNKNOWN
