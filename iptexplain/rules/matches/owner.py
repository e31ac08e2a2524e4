"""-m owner"""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import compared, no_form
from iptexplain.rules.values import Family, NumberRange, Range


class IdRange(NumberRange):
    """A name that this machine knows, a number, or ``FIRST-LAST``."""

    def __init__(self, number_of: Callable[[str], int]) -> None:
        super().__init__(0, 0xFFFFFFFE, "-")
        self.number_of = number_of

    def parse(self, text: str, family: Family) -> Range:
        if not text[:1].isdecimal():
            try:
                number = self.number_of(text)
            except KeyError:
                raise OptionError(f"'{text}' is neither a number nor a name that this machine knows") from None
            return Range(number, number)
        if text.endswith("-"):
            raise OptionError(f"range '{text}' has no end")
        return super().parse(text, family)


class Owner(Match):
    """Who made the packet: the user or group of the program that has the socket open.

    Only packets of this host have a socket, and not all of them: those that the kernel makes itself (answers to pings,
    resets) and the last ones of a closed connection have none. A packet without a socket matches when all options are
    inverted, and else never; ``--socket-exists`` asks for just that. The group is the one that the program works as,
    with ``--suppl-groups`` any of its other groups counts too (net/netfilter/xt_owner.c).
    """

    name = "owner"
    chains = frozenset({"OUTPUT", "POSTROUTING"})
    options = (
        Option("--socket-exists", invert=True),
        Option("--uid-owner", IdRange(lambda name: pwd.getpwnam(name).pw_uid), "uid", invert=True),
        Option("--gid-owner", IdRange(lambda name: grp.getgrnam(name).gr_gid), "gid", invert=True),
        Option("--suppl-groups"),
    )
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> list[str]:
        """A packet without a socket meets what is inverted, and nft would say no."""
        for setting in self.settings:
            if setting.inverted or setting.option.field is None:
                raise no_form(setting.save())
        return [" ".join(compared(s, family, f"meta sk{s.option.field}") for s in self.settings)]

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        if not given:
            raise OptionError("owner: one of --socket-exists, --uid-owner, --gid-owner must be given")
        if "suppl_groups" in given and "gid_owner" not in given:
            raise OptionError("owner: --suppl-groups needs --gid-owner before it")

    def answer(self, packet: Packet) -> Answer:
        """A packet that came in has no socket here; one of this host has one when ``uid`` or ``gid`` is given."""
        if packet.field("iif") not in ("", Answer.UNKNOWN):
            return Answer.of(all(s.inverted or s.option.key == "suppl_groups" for s in self.settings))
        return super().answer(packet)

    def holds(self, setting: Setting, packet: Packet) -> Answer:
        match setting.option.key:
            case "socket_exists":
                unknown = packet.field("uid") is Answer.UNKNOWN and packet.field("gid") is Answer.UNKNOWN
                return Answer.UNKNOWN if unknown else Answer.of(not setting.inverted)
            case "suppl_groups":
                return Answer.YES
            case "gid_owner" if self.get("suppl_groups"):
                found = super().holds(setting._replace(inverted=False), packet)
                found = found if found is Answer.YES else Answer.UNKNOWN
                return ~found if setting.inverted else found
        return super().holds(setting, packet)
