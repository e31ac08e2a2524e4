"""-m comment"""

from __future__ import annotations

from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option
from iptexplain.rules.model import Rule
from iptexplain.rules.values import Family, Text

LIMIT = 255


class Remark(Text):
    """A text; of a longer one iptables takes the first 255 bytes (XT_MAX_COMMENT_LEN in xt_comment.h)."""

    def parse(self, text: str, family: Family) -> str:
        if len(text) > LIMIT // 4 and len(text.encode(errors="surrogateescape")) > LIMIT:
            return text.encode(errors="surrogateescape")[:LIMIT].decode(errors="surrogateescape")
        return text


class Comment(Match):
    """A remark of up to 255 bytes; every packet matches."""

    name = "comment"
    options = (Option("--comment", Remark(), required=True),)
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> list[str]:
        """No condition: the remark is told beside the rule."""
        return [""]

    def answer(self, packet: Packet) -> Answer:
        return Answer.YES
