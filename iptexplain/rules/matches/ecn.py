"""-m ecn"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.model import Rule
from iptexplain.rules.values import Family, Interval, Number


class Ect(Number):
    """The ECN codepoint: the lower two bits of the TOS byte, which is the packet's field."""

    def __init__(self) -> None:
        super().__init__(0, 3)

    def contains(self, value: int, actual: int) -> bool:
        return actual & 3 == value

    def as_set(self, value: int) -> tuple[Interval, ...]:
        return tuple((tos, tos) for tos in range(value, 256, 4))


class Ecn(Match):
    """Explicit congestion notification (RFC 3168): two bits of the IP header and the TCP flags ECE and CWR.

    Every option given must hold. In the IP header 0 means that the ends do not use ECN, 1 and 2 that they do, 3 that a
    router met congestion. The receiver reports that with ECE, and the sender answers with CWR. The TCP flags need
    ``-p tcp`` (net/netfilter/xt_ecn.c).
    """

    name = "ecn"
    options = (
        Option("--ecn-tcp-ece", field="flags", invert=True),
        Option("--ecn-tcp-cwr", field="flags", invert=True),
        Option("--ecn-ip-ect", Ect(), "tos", invert=True),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        if not given:
            raise OptionError("ecn: one of its options must be given")

    def refuse(self, rule: Rule, table: str, family: Family) -> str | None:
        flags = [s.option.name for s in self.settings if s.option.field == "flags"]
        if flags and rule.parameters.protocol != "tcp":
            return f"{' '.join(flags)} needs -p tcp"
        return super().refuse(rule, table, family)

    def answer(self, packet: Packet) -> Answer:
        result = Answer.YES
        for option, value, inverted in self.settings:
            actual = packet.field(option.field or "")
            if actual is Answer.UNKNOWN:
                result &= Answer.UNKNOWN
            elif option.kind is None:
                result &= Answer.of((option.name[-3:].upper() in actual) != inverted)
            else:
                result &= Answer.of(option.kind.contains(value, actual) != inverted)
        return result
