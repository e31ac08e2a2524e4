"""-m esp"""

from __future__ import annotations

from iptexplain.rules.extension import Option
from iptexplain.rules.headers import RangeMatch, TransportMatch
from iptexplain.rules.values import NumberRange

SPIS = NumberRange(ordered=False)
"""Security parameter indexes: iptables takes a range that is out of order, which contains none."""


class Esp(RangeMatch, TransportMatch):
    """The security parameter index (SPI) of an ESP packet: the number by which IPsec finds the keys of an association.

    Loaded by ``-p esp`` itself when its option is used (net/netfilter/xt_esp.c).
    """

    name = "esp"
    protocols = frozenset({"esp"})
    options = (Option("--espspi", SPIS, "spi", invert=True),)
    __slots__ = ()
