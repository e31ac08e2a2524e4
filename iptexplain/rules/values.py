"""What an option can hold. Every kind reads a word, writes it as iptables-save does, and knows what it contains."""

from __future__ import annotations

import re
import socket
from typing import Any, Literal, NamedTuple

from iptexplain.errors import OptionError

Family = Literal[4, 6]
Interval = tuple[int, int]


class Kind:
    """What an option can hold. ``words`` is how many words of the rule it takes; ``optional``: it may be left out."""

    words = 1
    optional = False

    def parse(self, text: str, family: Family) -> Any:
        """The typed value of ``text`` (the words joined by a space); raises OptionError with a sentence."""
        return text

    def save(self, value: Any) -> str:
        """``value`` as iptables-save spells it."""
        return str(value)

    def contains(self, value: Any, actual: Any) -> bool:
        """Whether the packet's field ``actual`` is one of those that ``value`` names."""
        return bool(value == actual)

    def as_set(self, value: Any) -> tuple[Interval, ...]:
        """The numbers that ``value`` names, as sorted, separate, closed intervals."""
        raise NotImplementedError(type(self).__name__)


def quote(text: str) -> str:
    """``text`` as xtables_save_string (libxtables 1.8.9) prints it: bare when it is plain, else quoted and escaped."""
    if _PLAIN(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("'", "\\'") + '"'


_PLAIN = re.compile(r"[-_0-9A-Za-z]+\Z").match


class Text(Kind):
    """A string of at most ``limit`` bytes."""

    def __init__(self, limit: int = 0, quoted: bool = True) -> None:
        self.limit = limit
        self.quoted = quoted

    def parse(self, text: str, family: Family) -> str:
        if self.limit and len(text) > self.limit // 4 and len(text.encode(errors="surrogateescape")) > self.limit:
            raise OptionError(f"the text is longer than {self.limit} bytes")
        return text

    def save(self, value: str) -> str:
        return quote(value) if self.quoted else value


class Number(Kind):
    """A whole number between ``low`` and ``high``: decimal, 0x hexadecimal or 0 octal; saved in ``base`` 10 or 16."""

    def __init__(self, low: int = 0, high: int = 0xFFFFFFFF, base: Literal[10, 16] = 10) -> None:
        self.low, self.high, self.base = low, high, base

    def parse(self, text: str, family: Family) -> int:
        value = to_int(text)
        if not self.low <= value <= self.high:
            raise OptionError(f"{text} is out of range {self.low}-{self.high}")
        return value

    def save(self, value: int) -> str:
        return hex(value) if self.base == 16 else str(value)

    def as_set(self, value: int) -> tuple[Interval, ...]:
        return ((value, value),)


class Range(NamedTuple):
    """A closed range of numbers."""

    low: int
    high: int


class NumberRange(Kind):
    """``LOW:HIGH`` or one number; an end that is left out is the limit. ``sep`` is the character between the two.

    ``ordered``: a range whose ends are the wrong way round is refused, else it contains nothing.
    """

    noun = "range"

    def __init__(self, low: int = 0, high: int = 0xFFFFFFFF, sep: str = ":", ordered: bool = True) -> None:
        self.low, self.high, self.sep, self.ordered = low, high, sep, ordered

    def parse(self, text: str, family: Family) -> Range:
        first, sep, last = text.partition(self.sep)
        low = self.end(first) if first or not sep else self.low
        high = (self.end(last) if last else self.high) if sep else low
        if low > high and self.ordered:
            raise OptionError(f"{self.noun} '{text}' is out of order")
        return Range(low, high)

    def end(self, text: str) -> int:
        """One end of the range."""
        value = to_int(text)
        if not self.low <= value <= self.high:
            raise OptionError(f"{text} is out of range {self.low}-{self.high}")
        return value

    def save(self, value: Range) -> str:
        return str(value.low) if value.low == value.high else f"{value.low}{self.sep}{value.high}"

    def contains(self, value: Range, actual: int) -> bool:
        return value.low <= actual <= value.high

    def as_set(self, value: Range) -> tuple[Interval, ...]:
        return ((value.low, value.high),) if value.low <= value.high else ()


def to_int(text: str) -> int:
    """The number ``text`` as strtoul(…, 0) reads it; raises OptionError when it is none."""
    if len(text) > 100:  # Python refuses to read thousands of digits
        raise OptionError(f"'{text[:100]}…' is too long for a number")
    if text.isdecimal() and text.isascii() and (text[0] != "0" or text == "0"):
        return int(text)
    try:
        return int(text, 8) if re.fullmatch("0[0-7]+", text) else int(text, 0)
    except ValueError:
        raise OptionError(f"'{text}' is not a number") from None


_SERVICES: dict[str, int] = {}


def to_port(text: str) -> int:
    """A port number, or the number of a service name that this machine's /etc/services knows."""
    if text.isdecimal() and text.isascii():
        port = to_int(text.lstrip("0") or "0")
    elif text in _SERVICES:
        port = _SERVICES[text]
    else:
        try:
            port = _SERVICES[text] = socket.getservbyname(text)
        except (OSError, ValueError):
            raise OptionError(f"'{text}' is neither a port number nor a service that /etc/services names") from None
    if port > 65535:
        raise OptionError(f"port {text} is out of range 0-65535")
    return port


class PortRange(NumberRange):
    """A port or ``FIRST:LAST``, by number or service name."""

    noun = "port range"

    def __init__(self, sep: str = ":", ordered: bool = True) -> None:
        super().__init__(0, 65535, sep, ordered)

    def end(self, text: str) -> int:
        return to_port(text)


class PortList(Kind):
    """Up to fifteen ports, a range counting as two (xt_multiport). Both ends of a range are given, and they differ."""

    _port = PortRange()

    def parse(self, text: str, family: Family) -> tuple[Range, ...]:
        ports = tuple(self._one(word) for word in text.split(","))
        if len(ports) + text.count(":") > 15:
            raise OptionError("too many ports: fifteen at most, a range counts as two")
        return ports

    def _one(self, text: str) -> Range:
        first, colon, last = text.partition(":")
        low = to_port(first)
        high = to_port(last) if colon else low
        if colon and low >= high:
            raise OptionError(f"port range '{text}' is out of order")
        return Range(low, high)

    def save(self, value: tuple[Range, ...]) -> str:
        return ",".join(self._port.save(r) for r in value)

    def contains(self, value: tuple[Range, ...], actual: int) -> bool:
        return any(low <= actual <= high for low, high in value)

    def as_set(self, value: tuple[Range, ...]) -> tuple[Interval, ...]:
        merged: list[Interval] = []
        for low, high in sorted(value):
            if merged and low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        return tuple(merged)


class Masked(NamedTuple):
    """A value that is compared under a mask."""

    value: int
    mask: int


class Mark(Kind):
    """``VALUE[/MASK]``, 32 bits (xtables_parse_mark_mask); saved in hexadecimal, the mask only when it is not full."""

    full = 0xFFFFFFFF

    def parse(self, text: str, family: Family) -> Masked:
        first, sep, second = text.partition("/")
        value, mask = to_int(first), to_int(second) if sep else self.full
        if not (0 <= value <= self.full and 0 <= mask <= self.full):
            raise OptionError(f"mark '{text}' is out of range 0-{hex(self.full)}")
        return Masked(value, mask)

    def save(self, value: Masked) -> str:
        return hex(value.value) if value.mask == self.full else f"{hex(value.value)}/{hex(value.mask)}"

    def contains(self, value: Masked, actual: int) -> bool:
        return actual & value.mask == value.value


class Choice(Kind):
    """One of a few words. ``aliases``: what else may be written for them; ``any_case``: in capitals or not."""

    def __init__(self, *names: str, any_case: bool = False, **aliases: str) -> None:
        known = {**{n: n for n in names}, **aliases}
        self.any_case = any_case
        self.names = {k.lower(): n for k, n in known.items()} if any_case else known

    def parse(self, text: str, family: Family) -> str:
        try:
            return self.names[text.lower() if self.any_case else text]
        except KeyError:
            raise OptionError(f"'{text}' is none of {', '.join(dict.fromkeys(self.names.values()))}") from None


class Flags(Kind):
    """A comma list of ``names``, saved in the order of ``names``; ``every`` (such as ALL) stands for all of them."""

    def __init__(self, *names: str, every: str | None = None, none: str | None = None) -> None:
        self.names, self.every, self.none = names, every, none

    def parse(self, text: str, family: Family) -> tuple[str, ...]:
        wanted = {word.upper() for word in text.split(",")}
        if self.every in wanted:
            wanted = set(self.names)
        wanted.discard(self.none or "")
        unknown = sorted(wanted - set(self.names))
        if unknown:
            raise OptionError(f"'{unknown[0]}' is none of {', '.join(self.names)}")
        return tuple(n for n in self.names if n in wanted)

    def save(self, value: tuple[str, ...]) -> str:
        return ",".join(value) or (self.none or "")

    def contains(self, value: tuple[str, ...], actual: Any) -> bool:
        """``actual`` is one name, or the collection of those that hold."""
        return actual in value if isinstance(actual, str) else any(a in value for a in actual)


class ShortFlags(Flags):
    """Flags whose names may be shortened: the first name that begins so is meant."""

    def parse(self, text: str, family: Family) -> tuple[str, ...]:
        wanted = {self._name(word) for word in text.split(",")}
        return tuple(n for n in self.names if n in wanted)

    def _name(self, word: str) -> str:
        known = (*self.names, self.none) if self.none else self.names
        name = next((n for n in known if word and n.startswith(word.upper())), None)
        if name is None:
            raise OptionError(f"'{word}' is none of {', '.join(known)}")
        return name


class InterfaceName(Kind):
    """An interface's name, at most 15 bytes; a trailing ``+`` is a wildcard (xtables_parse_interface)."""

    def parse(self, text: str, family: Family) -> str:
        if not text:
            raise OptionError("the interface's name is empty: leave the option out for any interface")
        if len(text) > 3 and len(text.encode(errors="surrogateescape")) > 15:
            raise OptionError(f"interface name '{text}' is longer than 15 bytes")
        return text

    def contains(self, value: str, actual: str | None) -> bool:
        if actual is None:
            return False
        return actual.startswith(value[:-1]) if value.endswith("+") else actual == value
