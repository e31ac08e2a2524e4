"""-m osf"""

from __future__ import annotations

from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option
from iptexplain.rules.values import Number, Text


class Osf(Match):
    """The operating system that the sender of a TCP SYN seems to run, told by its fingerprint: window, TTL, options.

    The fingerprints must have been loaded into the kernel (``nfnl_osf -f pf.os``). ``--ttl 0`` wants the TTL of the
    fingerprint exactly (a local network), 1 takes a lower one (the internet), 2 ignores it; ``--log`` writes what was
    found to the kernel's log: 0 everything, 1 the first, 2 what is known. A segment without SYN never matches, not even
    inverted. IPv4 only, in PREROUTING, INPUT and FORWARD, since Linux 2.6.31 (net/netfilter/xt_osf.c, nfnetlink_osf.c).
    """

    name = "osf"
    families = (4,)
    protocols = frozenset({"tcp"})
    chains = frozenset({"PREROUTING", "INPUT", "FORWARD"})
    options = (
        Option("--genre", Text(limit=31, quoted=False), invert=True, required=True),
        Option("--ttl", Number(0, 2)),
        Option("--log", Number(0, 2)),
    )
    __slots__ = ()

    def answer(self, packet: Packet) -> Answer:
        flags = packet.field("flags")
        return Answer.UNKNOWN if flags is Answer.UNKNOWN or "SYN" in flags else Answer.NO
