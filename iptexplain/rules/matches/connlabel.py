"""-m connlabel"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Match, Option
from iptexplain.rules.values import Family, Kind, to_int


class Label(Kind):
    """A label's number, 0 to 127, or its name; saved in quotes."""

    def parse(self, text: str, family: Family) -> int | str:
        if not text[:1].isdecimal():
            if not text:
                raise OptionError("a label is missing")
            return text
        number = to_int(text)
        if number > 127:
            raise OptionError(f"label {text} is out of range 0-127")
        return number

    def save(self, value: int | str) -> str:
        return f'"{value}"'


class Connlabel(Match):
    """Whether the packet's connection carries a label: one of 128 bits that rules can set on it.

    ``--set`` sets the label first and matches when that worked. Names stand in /etc/xtables/connlabel.conf of the host;
    iptables-save prints the name where that file has one. Since Linux 3.9 (net/netfilter/xt_connlabel.c).
    """

    name = "connlabel"
    options = (
        Option("--label", Label(), invert=True, required=True),
        Option("--set"),
    )
    __slots__ = ()
