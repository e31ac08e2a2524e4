"""-m ipvs"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.addresses import HostNetworkKind
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.parameters import PROTOCOLS, Protocol
from iptexplain.rules.values import Choice, Family, PortRange

_PORT = PortRange(ordered=True)
_NUMBERS = {name: number for number, name in PROTOCOLS.items()}


class Port(PortRange):
    """One port, by number or service name."""

    def parse(self, text, family):  # type: ignore[no-untyped-def]
        raise NotImplementedError
