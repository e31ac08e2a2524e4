"""-m length"""

from __future__ import annotations

from iptexplain.rules.extension import Match, Option
from iptexplain.rules.values import NumberRange


class Length(Match):
    """The length of the whole IP packet in bytes, headers included; of a fragment, its own length.

    A range whose ends are the wrong way round is taken, and contains no length (net/netfilter/xt_length.c).
    """

    name = "length"
    options = (
        Option(
            "--length", NumberRange(0, 65535, ordered=False), "length", invert=True, required=True, nft="meta length"
        ),
    )
    __slots__ = ()
