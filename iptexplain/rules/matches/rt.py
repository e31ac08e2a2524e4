"""-m rt"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.addresses import Address, to_address
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Option, Setting
from iptexplain.rules.headers import RangeMatch
from iptexplain.rules.matches.esp import SPIS
from iptexplain.rules.values import Family, Kind, Number

MAX_ADDRESSES = 16


class Addresses(Kind):
    """A comma list of up to sixteen addresses."""

    def parse(self, text: str, family: Family) -> tuple[Address, ...]:
        addresses = tuple(to_address(word, 6) for word in text.split(","))
        if len(addresses) > MAX_ADDRESSES:
            raise OptionError(f"too many addresses: {MAX_ADDRESSES} at most")
        return addresses

    def save(self, value: tuple[Address, ...]) -> str:
        return ",".join(map(str, value))


class Rt(RangeMatch):
    """IPv6's routing header, with which a sender says over which hosts the packet shall go.

    ``--rt-segsleft`` is how many of them are still to come, ``--rt-len`` the header's length in bytes. Only for type 0,
    which hosts ignore since RFC 5095: whether its reserved field is 0, and its addresses, just these in this order or,
    with ``--rt-0-not-strict``, at least these in this order (net/ipv6/netfilter/ip6t_rt.c).
    """

    name = "rt"
    families = (6,)
    options = (
        Option("--rt-type", Number(), invert=True, nft="rt type"),
        Option("--rt-segsleft", SPIS, invert=True),
        Option("--rt-len", Number(), invert=True),
        Option("--rt-0-res"),
        Option("--rt-0-addrs", Addresses()),
        Option("--rt-0-not-strict"),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """iptables wants the options in this order."""
        order = list(given)
        for key in ("rt_0_res", "rt_0_addrs"):
            if key in given:
                kind = given.get("rt_type")
                if kind is None or kind.value != 0 or kind.inverted or order.index("rt_type") > order.index(key):
                    raise OptionError(f"rt: {given[key].option.name} needs --rt-type 0 before it")
        if "rt_0_not_strict" in given and "rt_0_addrs" not in order[: order.index("rt_0_not_strict")]:
            raise OptionError("rt: --rt-0-not-strict needs --rt-0-addrs before it")

    def answer(self, packet: Packet) -> Answer:
        return Answer.UNKNOWN
