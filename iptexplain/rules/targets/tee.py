"""-j TEE"""

from __future__ import annotations

import socket

from iptexplain.errors import OptionError
from iptexplain.rules.addresses import Address, AddressKind
from iptexplain.rules.extension import Option, Target
from iptexplain.rules.targets.log import Cut
from iptexplain.rules.values import Family


class Host(AddressKind):
    """One address; IPv4 in any way that inet_aton(3) takes, so that 10.1 is 10.0.0.1."""

    def parse(self, text: str, family: Family) -> Address:
        if family == 6:
            return super().parse(text, family)
        try:
            return Address(4, int.from_bytes(socket.inet_aton(text), "big"))
        except OSError:
            raise OptionError(f"'{text}' is not an IPv4 address") from None


class Gateway(Host):
    """A host to which packets can be sent."""

    def parse(self, text: str, family: Family) -> Address:
        address = super().parse(text, family)
        if not address.number:
            raise OptionError(f"packets cannot be sent to {text}")
        return address


class Tee(Target):
    """Sends a copy of the packet to another host of the local network, as the next router; the next rule is asked.

    The copy keeps its addresses: that host must take packets that are not for it. ``--oif`` names the interface to
    leave by (net/netfilter/xt_TEE.c).
    """

    name = "TEE"
    options = (
        Option("--gateway", Gateway(), required=True),
        Option("--oif", Cut(15, quoted=False)),
    )
    __slots__ = ()
