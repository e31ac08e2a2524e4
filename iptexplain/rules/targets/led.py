"""-j LED"""

from __future__ import annotations

from iptexplain.rules.extension import Option, Target
from iptexplain.rules.values import Family, Kind, Number, Text


class TriggerId(Text):
    """The trigger's name, at most 16 bytes; always saved in quotes."""

    def save(self, value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Delay(Kind):
    """Milliseconds, or ``inf``: never off again, which iptables-save prints as -1 (a signed %d in libxt_LED.c)."""

    inf = 0xFFFFFFFF
    _number = Number()

    def parse(self, text: str, family: Family) -> int:
        return self.inf if text[:3].lower() == "inf" or text == "-1" else self._number.parse(text, family)

    def save(self, value: int) -> str:
        return str(value - (value >> 31 << 32))


class Led(Target):
    """Has a light of the machine blink; the next rule is asked.

    It makes a trigger ``netfilter-NAME``, to which an LED is attached by its file in /sys/class/leds. The light stays
    on for ``--led-delay``; with ``--led-always-blink`` each packet is seen even then (net/netfilter/xt_LED.c).
    """

    name = "LED"
    options = (
        Option("--led-trigger-id", TriggerId(16), required=True),
        Option("--led-delay", Delay(), default=0, hide_default=True),
        Option("--led-always-blink"),
    )
    __slots__ = ()
