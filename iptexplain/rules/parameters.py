"""The parameters of a rule that need no extension: -s -d -i -o -p -f (PARAMETERS in iptables(8))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from iptexplain.errors import OptionError
from iptexplain.rules.addresses import NetworkKind
from iptexplain.rules.answer import Backend
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.nft import compared, conditions, interface, protocol
from iptexplain.rules.values import Family, InterfaceName, Kind

if TYPE_CHECKING:
    from iptexplain.rules.model import Rule

PROTOCOLS: dict[int, str] = {
    0: "ip", 1: "icmp", 2: "igmp", 3: "ggp", 4: "ipencap", 5: "st", 6: "tcp", 8: "egp", 9: "igp", 12: "pup", 17: "udp",
    20: "hmp", 22: "xns-idp", 27: "rdp", 29: "iso-tp4", 33: "dccp", 36: "xtp", 37: "ddp", 38: "idpr-cmtp", 41: "ipv6",
    43: "ipv6-route", 44: "ipv6-frag", 45: "idrp", 46: "rsvp", 47: "gre", 50: "esp", 51: "ah", 57: "skip",
    58: "ipv6-icmp", 59: "ipv6-nonxt", 60: "ipv6-opts", 73: "rspf", 81: "vmtp", 88: "eigrp", 89: "ospf", 93: "ax.25",
    94: "ipip", 97: "etherip", 98: "encap", 103: "pim", 108: "ipcomp", 112: "vrrp", 115: "l2tp", 124: "isis",
    132: "sctp", 133: "fc", 135: "mobility-header", 136: "udplite", 137: "mpls-in-ip", 138: "manet", 139: "hip",
    140: "shim6", 141: "wesp", 142: "rohc", 143: "ethernet",
}  # fmt: skip
"""Protocol numbers and the names that iptables-save prints for them (/etc/protocols of Debian 12)."""

_NUMBERS = {name: number for number, name in PROTOCOLS.items()} | {
    "icmpv6": 58, "icmp6": 58, "ipv6-mh": 135, "mh": 135, "all": 0, "ospfigp": 89, "ipip": 94, "ipv4": 4,
}  # fmt: skip


_SAVED = frozenset(PROTOCOLS.values()) - {PROTOCOLS[0]}


class Protocol(Kind):
    """A protocol by name or number; its value is the name that iptables-save prints, or the number as text."""

    def parse(self, text: str, family: Family) -> str:
        if text in _SAVED:
            return text
        name = text.lower()
        number = int(name) if name.isdecimal() and name.isascii() else _NUMBERS.get(name, -1)
        if not 0 <= number <= 255:
            raise OptionError(f"unknown protocol '{text}'")
        return PROTOCOLS.get(number, str(number)) if number else "all"


class Parameters(Match):
    """What every rule may say of a packet without an extension."""

    name = "parameters"
    options = (
        Option("-s", NetworkKind(), "src", invert=True, aliases=("--source", "--src"), nft="{ip} saddr"),
        Option("-d", NetworkKind(), "dst", invert=True, aliases=("--destination", "--dst"), nft="{ip} daddr"),
        Option("-i", InterfaceName(), "iif", invert=True, aliases=("--in-interface",)),
        Option("-o", InterfaceName(), "oif", invert=True, aliases=("--out-interface",)),
        Option("-p", Protocol(), "proto", invert=True, aliases=("--protocol", "--proto")),
        Option("-f", field="fragment", invert=True, aliases=("--fragment",)),
    )
    __slots__ = ("is_plain", "protocol")

    def __init__(self, settings: tuple[Setting, ...] = ()) -> None:
        self.settings = settings
        self.protocol: str | None = None
        """The one protocol that the rule is about, by name; None when it is about several."""
        self.is_plain = True
        """Whether ``protocol`` tells all that the rule says about protocols (no ``! -p``)."""
        for option, value, inverted in settings:
            if option.key == "p":
                self.protocol = None if inverted else value
                self.is_plain = not inverted

    def save_options(self, backend: Backend) -> str:
        """iptables-legacy-save does not print ``! -i +``, a rule that never matches."""
        if backend is Backend.LEGACY and any(s.value == "+" for s in self.settings):
            return Parameters(tuple(s for s in self.settings if s.value != "+")).save_options(backend)
        return super().save_options(backend)

    def nft(self, rule: Rule, family: Family) -> list[str]:
        return conditions(self, family, _nft)

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """Leave out what says nothing: any address, any interface, any protocol (iptables-save does not print them)."""
        for key, (_, value, inverted) in tuple(given.items()):
            if value == "all" or (value == "+" and not inverted) or (key in "sd" and value.mask == 0 and not inverted):
                if inverted and key == "p":
                    raise OptionError("rule would never match protocol")
                del given[key]
        if "f" in given and family == 6:
            raise OptionError("-f is for IPv4 only: use -m frag")


def _nft(setting: Setting, family: Family) -> str:
    option, value, inverted = setting
    sign = "!= " if inverted else ""
    match option.key:
        case "i" | "o":
            return f"{option.key}ifname {sign}{interface(value)}"
        case "p":
            return f"meta l4proto {sign}{protocol(value, PROTOCOLS)}"
        case "f":
            return f"ip frag-off & 0x1fff {'==' if inverted else '!='} 0"
    return compared(setting, family)
