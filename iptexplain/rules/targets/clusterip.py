"""-j CLUSTERIP"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Option, Setting, Target
from iptexplain.rules.matches.mac import MacAddress
from iptexplain.rules.values import Choice, Family, Number


class MulticastMac(MacAddress):
    """An Ethernet address for several stations: the lowest bit of its first byte is set; saved in capitals."""

    def parse(self, text: str, family: Family) -> str:
        address = super().parse(text, family).upper()
        if not int(address[:2], 16) & 1:
            raise OptionError(f"'{text}' is not a multicast Ethernet address")
        return address


class Clusterip(Target):
    """Shares one address among several machines: each takes the connections whose hash is its own, and drops the rest.

    All of them see all packets, as the address has a multicast Ethernet address. The first rule of an address has the
    options, others of the same address need none. Removed in Linux 6.3: ``-m cluster`` replaces it
    (net/ipv4/netfilter/ipt_CLUSTERIP.c).
    """

    name = "CLUSTERIP"
    verdict = "UNKNOWN"
    families = (4,)
    options = (
        Option("--new"),
        Option("--hashmode", Choice("sourceip", "sourceip-sourceport", "sourceip-sourceport-destport")),
        Option("--clustermac", MulticastMac()),
        Option("--total-nodes", Number(0, 16)),
        Option("--local-node", Number(0, 16)),
        Option("--hash-init", Number()),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        if not given:
            return
        missing = [o.name for o in cls.options if o.key not in given and o.key != "hash_init"]
        if missing:
            raise OptionError(f"CLUSTERIP: {', '.join(missing)} must be given too")
        given.setdefault("hash_init", cls.setting("hash_init", 0))
