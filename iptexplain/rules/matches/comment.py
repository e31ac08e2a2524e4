"""-m comment"""

from __future__ import annotations

from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option
from iptexplain.rules.values import Text


class Comment(Match):
    """A remark of up to 255 bytes; every packet matches."""

    name = "comment"
    options = (Option("--comment", Text(limit=255), required=True),)
    __slots__ = ()

    def answer(self, packet: Packet) -> Answer:
        return Answer.YES
