"""-m rateest"""

from __future__ import annotations

import re

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Backend
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.values import Family, Kind, Number, Text

_SUFFIXES = {
    "": 8, "bit": 1, "kibit": 1 << 10, "kbit": 10**3, "mibit": 1 << 20, "mbit": 10**6,
    "gibit": 1 << 30, "gbit": 10**9, "tibit": 1 << 40, "tbit": 10**12,
    "bps": 8, "kibps": 8 << 10, "kbps": 8 * 10**3, "mibps": 8 << 20, "mbps": 8 * 10**6,
    "gibps": 8 << 30, "gbps": 8 * 10**9, "tibps": 8 << 40, "tbps": 8 * 10**12,
}  # fmt: skip
"""How many bits per second a unit is; a bare number is bytes per second."""

_split = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([A-Za-z]*)", re.ASCII).fullmatch

COMPARISONS = ("rateest_lt", "rateest_gt", "rateest_eq")


class ByteRate(Kind):
    """A rate with its unit, or nothing; the value is bytes per second, saved as bits per second (libxt_rateest.c)."""

    optional = True

    def parse(self, text: str, family: Family) -> int:
        found = _split(text or "0")
        scale = _SUFFIXES.get(found[2].lower()) if found else None
        if found is None or scale is None:
            raise OptionError(f"'{text}' is not a rate such as 8bit, 5kbit, 2.5mbit or 1MBps")
        rate = int(float(found[1]) * scale / 8)
        if rate > 0xFFFFFFFF:
            raise OptionError(f"rate {text} is too high: at most {0xFFFFFFFF} bytes per second")
        return rate

    def save(self, value: int) -> str:
        bits = value * 8
        if bits >= 10**9:
            return f"{bits / 10**6:.0f}Mbit"
        return f"{bits / 10**3:.0f}Kbit" if bits >= 10**6 else f"{bits}bit"


class PacketRate(Number):
    """Packets per second, or nothing."""

    optional = True

    def parse(self, text: str, family: Family) -> int:
        return super().parse(text or "0", family)


class Rateest(Match):
    """The rate that an estimator measures, which a rule with ``-j RATEEST`` keeps: above, below or equal to something.

    The other side is a rate (``--rateest-bps``, ``--rateest-pps``) or a second estimator (``--rateest2``). With
    ``--rateest-delta`` it is not the rates that are compared but what they leave of ``--rateest-bps1`` and
    ``--rateest-bps2``; nothing is left of a rate that is exceeded. Bytes and packets may both be asked: both must hold.
    Since Linux 2.6.24 (net/netfilter/xt_rateest.c).
    """

    name = "rateest"
    options = (
        Option("--rateest-delta"),
        Option("--rateest1", Text(limit=15, quoted=False), aliases=("--rateest",), required=True),
        Option("--rateest-bps1", ByteRate()),
        Option("--rateest-pps1", PacketRate()),
        Option("--rateest-lt", invert=True),
        Option("--rateest-gt", invert=True),
        Option("--rateest-eq", invert=True),
        Option("--rateest-bps2", ByteRate(), aliases=("--rateest-bps",)),
        Option("--rateest-pps2", PacketRate(), aliases=("--rateest-pps",)),
        Option("--rateest2", Text(limit=15, quoted=False)),
    )
    __slots__ = ()

    @classmethod
    def take(cls, given: dict[str, Setting], setting: Setting) -> None:
        """Of several comparisons the last one counts: iptables-save prints one for bytes and one for packets."""
        if setting.option.key in COMPARISONS:
            before = [given.pop(k) for k in COMPARISONS if k in given]
            setting = setting._replace(inverted=any(s.inverted for s in (*before, setting)))
        super().take(given, setting)

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """Leave out the rates that are not compared, and say those that are as 0."""
        if not any(k in given for k in COMPARISONS):
            raise OptionError("rateest: one of --rateest-lt, --rateest-gt, --rateest-eq must be given")
        asked = [w for w in ("bps", "pps") if f"rateest_{w}1" in given or f"rateest_{w}2" in given]
        if not asked:
            raise OptionError("rateest: --rateest-bps or --rateest-pps must be given")
        for what in asked:
            first, second = f"rateest_{what}1", f"rateest_{what}2"
            delta = "rateest_delta" in given
            if delta:
                given.setdefault(first, cls.setting(first, 0))
            else:
                given.pop(first, None)
            if delta or "rateest2" not in given:
                given.setdefault(second, cls.setting(second, 0))
            else:
                given[second] = cls.setting(second, None)

    @property
    def comparison(self) -> Setting:
        """The one of lt, gt and eq that is given."""
        return next(s for s in self.settings if s.option.key in COMPARISONS)

    def save_options(self, backend: Backend) -> str:
        delta, second = self.get("rateest_delta"), self.get("rateest2")
        words = ["--rateest-delta"] if delta else []
        words.append(f"{'--rateest1' if second else '--rateest'} {self.value('rateest1')}")
        for what in ("bps", "pps"):
            rate = self.get(f"rateest_{what}2")
            if rate is None:
                continue
            if delta:
                words += [s.save() for s in self.settings if s.option.key == f"rateest_{what}1"]
            words += [self.comparison.save(), f"--rateest-{what}{'2' if delta else ''}"]
            if rate.value is not None:
                words.append(rate.text)
        return " ".join([*words, *([second.save()] if second else [])])
