"""-m hashlimit"""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.addresses import BITS, Prefix, PrefixLength
from iptexplain.rules.answer import Answer
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.matches.connlimit import uninvert
from iptexplain.rules.matches.recent import ProcName
from iptexplain.rules.rates import Rate, RateKind, as_written
from iptexplain.rules.values import Family, Kind, Number, to_int

MAX_BURST = 1_000_000
BURST = 5
U32 = 0xFFFFFFFF

RATES = RateKind(1_000_000)

_FACTORS = {"m": 1 << 20, "k": 1 << 10}


class Bytes(NamedTuple):
    """A burst in bytes; iptables-save cuts it to the largest of the units m and k that is not larger."""

    amount: int

    @property
    def rounded(self) -> int:
        """The bytes that iptables-save prints."""
        unit = next((factor for factor in _FACTORS.values() if self.amount >= factor), 1)
        return self.amount // unit * unit

    def __str__(self) -> str:
        return in_units(self.rounded)


class ByteRate(NamedTuple):
    """Bytes per second. The kernel keeps ``cost``, so a large rate comes back changed (libxt_hashlimit.c)."""

    cost: int

    @staticmethod
    def of(amount: int) -> ByteRate:
        return ByteRate(U32 // max(1, (amount >> 4 & U32) + 1 & U32))

    @property
    def amount(self) -> int:
        """The bytes per second that the kernel lets pass."""
        return U32 // self.cost - 1 << 4

    @property
    def rounded(self) -> int:
        """The bytes per second that iptables-save prints: the roundest number that comes to the same cost."""
        cut = (self.amount & U32 & -factor for factor in _FACTORS.values())
        return next((amount for amount in cut if amount and ByteRate.of(amount) == self), self.amount)

    def __str__(self) -> str:
        return f"{in_units(self.rounded)}/s"


def in_units(count: int) -> str:
    """``1mb``, ``512kb`` or ``100b``."""
    unit = next((u for u, factor in _FACTORS.items() if count and count % factor == 0), "")
    return f"{count // _FACTORS.get(unit, 1)}{unit}b"


class AverageKind(Kind):
    """``AMOUNT[/UNIT]`` packets, or bytes per second: ``512kb/s``. The rate is as written: see Hashlimit.complete."""

    def parse(self, text: str, family: Family) -> Rate | ByteRate:
        before = text.partition("b/s")[0]
        if before != text and before:
            digits = before.rstrip("km")
            if not digits.isdecimal() or not int(digits):
                raise OptionError(f"'{text}' is not a rate such as 512kb/s")
            return ByteRate.of(int(digits) * _FACTORS.get(before[-1], 1))
        RATES.parse(text, family)
        return as_written(text)


class Burst(Kind):
    """How many packets, or bytes with the unit k or m, may come at once."""

    def parse(self, text: str, family: Family) -> int:
        digits = text.rstrip("bkm")
        count = to_int(digits)
        if count < 1 or (digits == text and count > MAX_BURST):
            raise OptionError(f"burst {text} is out of range 1-{MAX_BURST}")
        return count * _FACTORS.get(text[len(digits) : len(digits) + 1], 1)


class Modes(Kind):
    """What the packets are told apart by, separated by ``,`` or ``|``."""

    names = ("srcip", "srcport", "dstip", "dstport")

    def parse(self, text: str, family: Family) -> tuple[str, ...]:
        words = [w for w in text.replace("|", ",").split(",") if w]
        unknown = [w for w in words if w not in self.names]
        if unknown:
            raise OptionError(f"'{unknown[0]}' is none of {', '.join(self.names)}")
        return tuple(n for n in self.names if n in words)

    def save(self, value: tuple[str, ...]) -> str:
        return ",".join(value)


class Hashlimit(Match):
    """A rate limit that is counted for each source, destination or port by itself.

    ``--hashlimit-upto`` matches while the packets of a group come at the rate or slower, ``--hashlimit-above`` those
    that come faster. As with ``-m limit``, a bucket fills at that rate and holds the burst; each packet takes from it.
    Bytes are counted when the rate is written as 512kb/s. ``--hashlimit-rate-match`` compares the rate of the last
    interval instead, without a bucket. Rules that name the same table share its counters; a counter that was not used
    for ``--hashlimit-htable-expire`` milliseconds (one unit of the rate unless given) is forgotten, with its burst.
    How full the buckets are, no dump says (net/netfilter/xt_hashlimit.c, revision 3 of Linux 4.14).
    """

    name = "hashlimit"
    needs = ("rate",)
    options = (
        Option("--hashlimit-upto", AverageKind(), invert=True, aliases=("--hashlimit",), group="rate"),
        Option("--hashlimit-above", AverageKind(), invert=True, group="rate"),
        Option("--hashlimit-burst", Burst()),
        Option("--hashlimit-mode", Modes()),
        Option("--hashlimit-name", ProcName(254), required=True),
        Option("--hashlimit-htable-size", Number()),
        Option("--hashlimit-htable-max", Number()),
        Option("--hashlimit-htable-gcinterval", Number(1)),
        Option("--hashlimit-htable-expire", Number(1)),
        Option("--hashlimit-srcmask", PrefixLength()),
        Option("--hashlimit-dstmask", PrefixLength()),
        Option("--hashlimit-rate-match"),
        Option("--hashlimit-rate-interval", Number(1)),
    )
    __slots__ = ()

    def within(self) -> Answer:
        return Answer.of(self.get("hashlimit_upto") is not None)

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """Say what iptables-save prints: the rate and the burst that the kernel keeps, and no defaults."""
        keys = [k for k in ("hashlimit_upto", "hashlimit_above") if k in given]
        if len(keys) == 1:
            written: Rate | ByteRate = given[keys[0]].value
            kept = cls._bytes(given, written) if isinstance(written, ByteRate) else cls._packets(given, written)
            rate, expire, printed = kept
            given[keys[0]] = given[keys[0]]._replace(value=rate)
            uninvert(cls, given, "hashlimit_upto", "hashlimit_above")
            given.setdefault("hashlimit_htable_expire", cls.setting("hashlimit_htable_expire", expire))
            cls._hide(given, family, printed)

    @classmethod
    def _bytes(cls, given: dict[str, Setting], rate: ByteRate) -> tuple[ByteRate, int, int]:
        """The rate, and the milliseconds after which counters expire: by default, and as iptables-save assumes."""
        burst = given.get("hashlimit_burst")
        if burst:
            step = rate.amount
            if not step or burst.value < step:
                raise OptionError(f"hashlimit: the burst cannot be smaller than one second of the rate, {step}b")
            seconds = (burst.value & U32) // step + (burst.value % step > 0)  # 32 bits, as iptables counts
            given["hashlimit_burst"] = burst._replace(value=Bytes(seconds * step))
        if "hashlimit_rate_match" in given:
            given.setdefault("hashlimit_rate_interval", cls.setting("hashlimit_rate_interval", 1))
        expire = 60_000 if burst else 15_000
        return rate, expire, expire

    @classmethod
    def _packets(cls, given: dict[str, Setting], rate: Rate) -> tuple[Rate, int, int]:
        burst = given.setdefault("hashlimit_burst", cls.setting("hashlimit_burst", BURST))
        if burst.value > MAX_BURST:
            raise OptionError(f"hashlimit: burst {burst.value} is out of range 1-{MAX_BURST}")
        period = RATES.period(rate)
        if "hashlimit_rate_match" in given:
            given.setdefault("hashlimit_rate_interval", cls.setting("hashlimit_rate_interval", rate.seconds))
            period //= rate.seconds
            if not period:
                raise OptionError(f"hashlimit: rate {rate} is too fast")
        printed = RATES.printed(period)
        return printed, rate.seconds * 1000, printed.seconds * 1000

    @classmethod
    def _hide(cls, given: dict[str, Setting], family: Family, expire: int) -> None:
        """Leave out what iptables-save does not print."""
        hidden = {
            "hashlimit_mode": (),
            "hashlimit_htable_size": 0,
            "hashlimit_htable_max": 0,
            "hashlimit_htable_gcinterval": 1000,
            "hashlimit_htable_expire": expire,
            "hashlimit_srcmask": Prefix(family, BITS[family]),
            "hashlimit_dstmask": Prefix(family, BITS[family]),
            "hashlimit_rate_interval": 1,
        }
        rate_match = "hashlimit_rate_match" in given
        for key, value in hidden.items():
            unused = key == "hashlimit_rate_interval" and not rate_match
            if key in given and (given[key].value == value or unused):
                del given[key]

    @property
    def rate(self) -> Setting:
        """The one of upto and above that is given."""
        return self.settings[0]
