"""-m statistic"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.values import Choice, Family, Kind, Number

CERTAIN = 1 << 31
"""The kernel counts a probability in parts of this."""
OPTIONS_OF = {"random": ("probability",), "nth": ("every", "packet")}


class Probability(Kind):
    """A number from 0 to 1, as the kernel rounds it: ``value`` parts of CERTAIN."""

    def parse(self, text: str, family: Family) -> int:
        try:
            probability = float(text)
        except ValueError:
            probability = -1
        if not 0 <= probability <= 1:
            raise OptionError(f"'{text}' is not a probability from 0 to 1")
        return int(CERTAIN * probability + 0.5)

    def save(self, value: int) -> str:
        return f"{value / CERTAIN:.11f}"


class Statistic(Match):
    """Some of the packets: each by chance (``random``), or every so manieth (``nth``).

    ``--probability`` is rounded to 31 bits. ``--every N --packet P``: the rule counts the packets that come to it, and
    of each N of them the one with number P, counted from 0, matches; the counter starts anew when the rules are loaded
    (net/netfilter/xt_statistic.c).
    """

    name = "statistic"
    options = (
        Option("--mode", Choice("random", "nth"), required=True),
        Option("--probability", Probability(), invert=True),
        Option("--every", Number(1), invert=True),
        Option("--packet", Number()),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """Each mode has its own options."""
        if "mode" not in given:
            return
        mode = given["mode"].value
        own = OPTIONS_OF[mode]
        if given.keys() - {"mode"} != set(own):
            raise OptionError(
                f"statistic: --mode {mode} needs {' and '.join(f'--{key}' for key in own)}, and nothing else"
            )
        if mode == "nth" and given["packet"].value >= given["every"].value:
            raise OptionError(f"statistic: --packet must be less than --every ({given['every'].value})")

    def answer(self, packet: Packet) -> Answer:
        """Chance and counters are not in a packet; but nothing, all and every one can be told."""
        _, amount, inverted = self.settings[1]
        if amount in ((0, CERTAIN) if self.get("probability") else (1,)):
            return Answer.of((amount != 0) != inverted)
        return Answer.UNKNOWN
