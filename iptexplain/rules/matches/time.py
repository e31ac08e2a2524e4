"""-m time"""

from __future__ import annotations

import datetime
import re

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.values import Family, Kind

_DAYTIME = re.compile(r"(\d\d?):(\d\d?)(?::(\d\d?))?", re.ASCII).fullmatch
_DATE = re.compile(r"(\d{4})(?:-(\d\d?)(?:-(\d\d?)(?:T(?:(\d\d?)(?::(\d\d?)(?::(\d\d?))?)?)?)?)?)?", re.ASCII).fullmatch
FIRST, LAST = datetime.time(), datetime.time(23, 59, 59)
FIRST_DATE, LAST_DATE = datetime.datetime(1970, 1, 1), datetime.datetime(2038, 1, 19, 3, 14, 7)


class Daytime(Kind):
    """``HH:MM[:SS]``, saved with seconds."""

    def parse(self, text: str, family: Family) -> datetime.time:
        found = _DAYTIME(text)
        if found:
            hour, minute, second = (int(part or 0) for part in found.groups())
            if hour < 24 and minute < 60 and second < 60:
                return datetime.time(hour, minute, second)
        raise OptionError(f"'{text}' is not a time of day (HH:MM[:SS], 00:00 to 23:59:59)")


class Date(Kind):
    """``YYYY[-MM[-DD[Thh[:mm[:ss]]]]]`` from 1970 to 2038; what is left out is the beginning; saved with seconds.

    A day that the month does not have is one of the next month.
    """

    def parse(self, text: str, family: Family) -> datetime.datetime:
        found = _DATE(text)
        if found:
            year, month, day = (int(part or 1) for part in found.groups()[:3])
            hour, minute, second = (int(part or 0) for part in found.groups()[3:])
            if 1970 <= year <= 2038 and 0 < month < 13 and 0 < day < 32 and hour < 24 and minute < 60 and second < 60:
                return datetime.datetime(year, month, 1, hour, minute, second) + datetime.timedelta(day - 1)
        raise OptionError(f"'{text}' is not a date (YYYY[-MM[-DD[Thh[:mm[:ss]]]]], 1970 to 2038)")

    def save(self, value: datetime.datetime) -> str:
        return value.isoformat()


class Days(Kind):
    """A comma list of days, by number from 1 or by name (two letters are enough); saved by name, in order."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def parse(self, text: str, family: Family) -> tuple[int, ...]:
        return tuple(sorted({self._number(word) for word in text.removesuffix(",").split(",")}))

    def _number(self, word: str) -> int:
        for number, name in enumerate(self.names, 1):
            if word in (name, name[:2], str(number)):
                return number
        raise OptionError(f"'{word}' is not a day ({self.names[0]} to {self.names[-1]})")

    def save(self, value: tuple[int, ...]) -> str:
        return ",".join(self.names[number - 1] for number in value)


MONTHDAYS = Days(tuple(str(day) for day in range(1, 32)))
WEEKDAYS = Days(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))


class Time(Match):
    """When the packet comes: the time of day, the day of the week or month, the date. All that is given must hold.

    Times are in UTC, with ``--kerneltz`` in the kernel's time zone, which knows no summer time. When ``--timestop`` is
    earlier than ``--timestart`` the time between them goes over midnight; the days then still mean the day on which the
    packet comes, with ``--contiguous`` the day on which that time began. Without ``--datestop``
    nothing matches after 19 January 2038, and iptables-save prints that date (net/netfilter/xt_time.c).
    """

    name = "time"
    options = (
        Option("--timestart", Daytime()),
        Option("--timestop", Daytime()),
        Option("--monthdays", MONTHDAYS, invert=True),
        Option("--weekdays", WEEKDAYS, invert=True),
        Option("--datestart", Date()),
        Option("--datestop", Date(), default=LAST_DATE),
        Option("--kerneltz", aliases=("--localtz",)),
        Option("--contiguous"),
        Option("--utc"),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """What says nothing is left out, the days that ``!`` leaves are listed, a daytime has both ends."""
        if given.pop("utc", None) and "kerneltz" in given:
            raise OptionError("time: --utc and --kerneltz cannot be used together")
        start, stop = (given.pop(key, cls.setting(key, end)) for key, end in (("timestart", FIRST), ("timestop", LAST)))
        if "contiguous" in given and start.value <= stop.value:
            raise OptionError("time: --contiguous needs a --timestop that is earlier than --timestart")
        if (start.value, stop.value) != (FIRST, LAST):
            given["timestart"], given["timestop"] = start, stop
        for key, kind in (("monthdays", MONTHDAYS), ("weekdays", WEEKDAYS)):
            if key in given:
                days = range(1, len(kind.names) + 1)
                chosen = tuple(day for day in days if (day in given[key].value) != given[key].inverted)
                given[key] = cls.setting(key, chosen)
                if len(chosen) == len(days):
                    del given[key]
        if "datestart" in given and given["datestart"].value == FIRST_DATE:
            del given["datestart"]
