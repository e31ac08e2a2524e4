"""-m string"""

from __future__ import annotations

import re

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.values import Choice, Family, Kind, Number

_PIECE = re.compile(r"\| *((?:[0-9a-f]{2} ?)+)\||\\(.)|([^|\\])", re.ASCII | re.IGNORECASE | re.DOTALL)
_PRINTABLE = re.compile(rb"[ -~]*[ -\[\]-~]").fullmatch


class Pattern(Kind):
    """The text that is looked for, as bytes."""

    def parse(self, text: str, family: Family) -> bytes:
        pattern = self.read(text)
        if not 0 < len(pattern) <= 128:
            raise OptionError(f"the pattern is {'longer than 128 bytes' if pattern else 'empty'}")
        return pattern

    def read(self, text: str) -> bytes:
        """The bytes that ``text`` stands for."""
        return text.encode(errors="surrogateescape")

    def save(self, value: bytes) -> str:
        return '"' + value.decode("ascii").replace("\\", "\\\\").replace('"', '\\"') + '"'


class HexPattern(Pattern):
    """The same with bytes in hexadecimal between two ``|``; a backslash takes the next character as it is."""

    def read(self, text: str) -> bytes:
        pattern, at = b"", 0
        while at < len(text):
            piece = _PIECE.match(text, at)
            if piece is None:
                raise OptionError(f"'{text[at:]}' is no pair of | with bytes in hexadecimal between them")
            digits, escaped, plain = piece.groups()
            pattern += bytes.fromhex(digits) if digits else super().read(escaped or plain)
            at = piece.end()
        return pattern

    def save(self, value: bytes) -> str:
        return f'"|{value.hex()}|"'


class String(Match):
    """A text or bytes somewhere in the packet, its headers included.

    All of the text must lie behind the first ``--from`` (0) and within the first ``--to`` (65535) bytes, counted from
    the beginning of the IP header. The search uses the algorithm ``--algo`` (bm: Boyer-Moore, kmp: Knuth-Morris-Pratt),
    with ``--icase`` whether in capitals or not. Each packet is searched by itself: a text that is cut in two by the end
    of a packet is not found. iptables-save prints a pattern as text when all of it can be printed, however it was given
    (net/netfilter/xt_string.c).
    """

    name = "string"
    needs = ("pattern",)
    options = (
        Option("--string", Pattern(), invert=True, group="pattern"),
        Option("--hex-string", HexPattern(), invert=True, group="pattern"),
        Option("--algo", Choice("bm", "kmp"), required=True),
        Option("--from", Number(0, 65535), default=0, hide_default=True),
        Option("--to", Number(0, 65535), default=65535, hide_default=True),
        Option("--icase"),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """The pattern belongs to the option that iptables-save prints it with."""
        if "from" in given and "to" in given and given["from"].value > given["to"].value:
            raise OptionError("string: --from is behind --to")
        spellings = [key for key in ("string", "hex_string") if key in given]
        if len(spellings) == 1:
            _, pattern, inverted = given.pop(spellings[0])
            key = "string" if _PRINTABLE(pattern) else "hex_string"
            given[key] = cls.setting(key, pattern, inverted)
