"""-j CONNMARK"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Option, Setting, Target
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import no_form
from iptexplain.rules.targets.mark import BitChange, BitChangeKind, MarkTarget, fold
from iptexplain.rules.values import Family, Number

FULL = 0xFFFFFFFF


class Connmark(Target):
    """Sets bits of the connection's mark, or copies the packet's mark to the connection (save) or back (restore).

    All packets of a connection, answers included, find the same mark there; a packet that belongs to no connection
    (INVALID, UNTRACKED) changes nothing. ``--set-xmark`` and its other spellings are those of MARK. When copying, the
    bits of the other side's mask are taken, shifted by ``--left-shift-mark`` or ``--right-shift-mark`` (since Linux
    4.17), and flipped into the receiving side, whose own mask says what is cleared before; ``--mask`` stands for both
    masks (net/netfilter/xt_connmark.c).
    """

    name = "CONNMARK"
    needs = ("mark",)
    options = (
        Option("--set-xmark", BitChangeKind(), group="mark"),
        *(o for o in MarkTarget.options if o.key != "set_xmark"),
        Option("--save-mark", group="mark"),
        Option("--restore-mark", group="mark"),
        Option("--nfmask", Number(base=16)),
        Option("--ctmask", Number(base=16)),
        Option("--left-shift-mark", Number(0, 31)),
        Option("--right-shift-mark", Number(0, 31)),
        Option("--mask", Number()),
    )
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> str:
        """nft copies one mark to the other as a whole: what the receiving side keeps it cannot say."""
        if any(s.option.key.endswith("shift_mark") for s in self.settings):
            raise no_form("-j CONNMARK with a shift")
        change: BitChange | None = self.value("set_xmark")
        if change is not None:
            return change.nft("ct mark")
        to, source, keeps, taken = (
            ("meta", "ct", "nfmask", "ctmask") if self.get("restore_mark") else ("ct", "meta", "ctmask", "nfmask")
        )
        if self.value(keeps) != FULL:
            raise no_form(f"--{keeps} {hex(self.value(keeps))}")
        mask = f" & {hex(self.value(taken))}" if self.value(taken) != FULL else ""
        return f"{to} mark set {source} mark{mask}"

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        order = list(given)
        fold(cls, given, "set_xmark")
        if "mask" in given:
            if "nfmask" in given or "ctmask" in given:
                raise OptionError("CONNMARK: --mask cannot be used together with --nfmask or --ctmask")
            mask = given.pop("mask").value
            given["nfmask"], given["ctmask"] = cls.setting("nfmask", mask), cls.setting("ctmask", mask)
        if "set_xmark" in given:
            cls._mask_of_set(given, order)
        else:
            for key in ("nfmask", "ctmask"):
                given.setdefault(key, cls.setting(key, FULL))
        shifts = [k for k in order if k.endswith("shift_mark")]
        for key in shifts:
            if key != shifts[-1] or not given[key].value:
                del given[key]

    @classmethod
    def _mask_of_set(cls, given: dict[str, Setting], order: list[str]) -> None:
        """A mask that comes after --set-xmark replaces its mask; one that comes before is forgotten."""
        given.pop("nfmask", None)
        mask = given.pop("ctmask", None)
        setting = next(i for i, key in enumerate(order) if key.partition("_")[0] in ("set", "and", "or", "xor"))
        if mask is not None and {"mask", "ctmask"} & set(order[setting:]):
            given["set_xmark"] = cls.setting("set_xmark", BitChange(given["set_xmark"].value.value, mask.value))

    def changes(self, packet: Packet) -> Mapping[str, Any]:
        state = packet.field("ctstate")
        if state in ("INVALID", "UNTRACKED"):
            return {}
        mark, connmark = packet.field("mark"), packet.field("connmark")
        restores = self.get("restore_mark") is not None
        if state is Answer.UNKNOWN:
            new: Any = Answer.UNKNOWN
        elif (change := self.value("set_xmark")) is not None:
            new = self._shifted(change.of(connmark))
        elif restores:
            new = self._copied(connmark, self.value("ctmask"), mark, self.value("nfmask"))
        else:
            new = self._copied(mark, self.value("nfmask"), connmark, self.value("ctmask"))
        return {"mark" if restores else "connmark": new}

    def _copied(self, source: Any, taken: int, old: Any, cleared: int) -> Any:
        if source is Answer.UNKNOWN:
            return Answer.UNKNOWN
        return BitChange(self._shifted(source & taken), cleared).of(old)

    def _shifted(self, number: Any) -> Any:
        if number is Answer.UNKNOWN:
            return number
        left, right = self.value("left_shift_mark") or 0, self.value("right_shift_mark") or 0
        return number << left >> right & FULL
