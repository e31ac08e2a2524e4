"""-m u32"""

from __future__ import annotations

import re
from typing import NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Match, Option
from iptexplain.rules.values import Family, Kind, Number, Range

MAX_SIZE = 10

_split_location = re.compile(r"(&|<<|>>|@)").split


class U32Test(NamedTuple):
    """``location``: what is done after one another, as (operator, number), the first operator being empty."""

    location: tuple[tuple[str, int], ...]
    values: tuple[Range, ...]

    def __str__(self) -> str:
        location = "".join(f"{operator}0x{number:x}" for operator, number in self.location)
        values = [f"0x{v.low:x}" if v.low == v.high else f"0x{v.low:x}:0x{v.high:x}" for v in self.values]
        return f"{location}={','.join(values)}"


class U32Tests(Kind):
    """``LOCATION=VALUES[&&…]``, saved in hexadecimal and in quotes."""

    _number = Number()

    def parse(self, text: str, family: Family) -> tuple[U32Test, ...]:
        tests = tuple(self._test(test, family) for test in text.split("&&"))
        if max(len(tests), *(max(len(t.location), len(t.values)) for t in tests)) > MAX_SIZE:
            raise OptionError(f"at most {MAX_SIZE} tests, each of at most {MAX_SIZE} operations and values")
        return tests

    def _test(self, text: str, family: Family) -> U32Test:
        where, equals, values = text.partition("=")
        if not equals:
            raise OptionError(f"'{text.strip()}' has no '=' with values after it")
        words = ["", *_split_location(where)]
        pairs = zip(words[::2], words[1::2], strict=True)
        location = tuple((operator, self._number.parse(number.strip(), family)) for operator, number in pairs)
        return U32Test(location, tuple(self._range(v, family) for v in values.split(",")))

    def _range(self, text: str, family: Family) -> Range:
        low, colon, high = text.partition(":")
        first = self._number.parse(low.strip(), family)
        return Range(first, self._number.parse(high.strip(), family) if colon else first)

    def save(self, value: tuple[U32Test, ...]) -> str:
        return f'"{"&&".join(map(str, value))}"'


class U32(Match):
    """Tests of numbers of 32 bits that are read anywhere in the packet, beginning at the IP header.

    A location begins with an offset: the four bytes there are read as one number. ``&`` masks it, ``<<`` and ``>>``
    shift it, ``@`` moves on by as many bytes as it says and reads four more there. Every test must find one of its
    values; a read beyond the packet's end fails. Which bytes a packet has there, this tool does not know
    (net/netfilter/xt_u32.c).
    """

    name = "u32"
    options = (Option("--u32", U32Tests(), invert=True, required=True),)
    __slots__ = ()
