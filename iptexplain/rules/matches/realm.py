"""-m realm"""

from __future__ import annotations

from collections.abc import Mapping

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option
from iptexplain.rules.values import Family, Kind, Masked, to_int

FULL = 0xFFFFFFFF


class NamedNumber(Kind):
    """``VALUE[/MASK]`` or a name that a file of iproute2 gives to a number; ``known`` are the names that it comes with.

    iptables-save prints the name where the host's file has one, so a name is kept: only the host knows its number.
    """

    def __init__(self, known: Mapping[str, int]) -> None:
        self.known = known

    def parse(self, text: str, family: Family) -> Masked | str:
        if not text[:1].isdecimal():
            if not text:
                raise OptionError("a number or a name is missing")
            return text
        first, slash, second = text.partition("/")
        value, mask = to_int(first), to_int(second) if slash else FULL
        if not (0 <= value <= FULL and 0 <= mask <= FULL):
            raise OptionError(f"'{text}' is out of range 0-{FULL}")
        return Masked(value, mask)

    def save(self, value: Masked | str) -> str:
        if isinstance(value, str):
            return value
        return hex(value.value) if value.mask == FULL else f"{hex(value.value)}/{hex(value.mask)}"

    def contains(self, value: Masked | str, actual: int) -> bool:
        if isinstance(value, str):
            return actual == self.known[value]
        return actual & value.mask == value.value


REALMS = NamedNumber({"cosmos": 0})


class Realm(Match):
    """The realm of the route that the packet takes: a number that an administrator gives to routes.

    ``ip route … realm 5`` sets it; names stand in /etc/iproute2/rt_realms (net/netfilter/xt_realm.c). IPv4 only.
    """

    name = "realm"
    families = (4,)
    options = (Option("--realm", REALMS, "realm", invert=True, required=True),)
    __slots__ = ()

    def answer(self, packet: Packet) -> Answer:
        value = self.value("realm")
        return Answer.UNKNOWN if isinstance(value, str) and value not in REALMS.known else super().answer(packet)
