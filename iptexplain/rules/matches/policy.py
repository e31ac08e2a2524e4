"""-m policy"""

from __future__ import annotations

from typing import Self

from iptexplain.errors import OptionError
from iptexplain.rules.addresses import HostNetworkKind
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option, Setting
from iptexplain.rules.model import Rule
from iptexplain.rules.parameters import Protocol
from iptexplain.rules.values import Choice, Family, Number

MAX_ELEMENTS = 4


class IpsecProtocol(Protocol):
    """One of the protocols of IPsec, by name or number."""

    def parse(self, text: str, family: Family) -> str:
        name = super().parse(text, family)
        if name not in ("ah", "esp", "ipcomp"):
            raise OptionError(f"'{text}' is none of ah, esp, ipcomp")
        return name


class Policy(Match):
    """How IPsec treats the packet: with ``--dir in`` how it was unpacked, with ``--dir out`` how it will be packed.

    ``--pol none`` matches packets that IPsec leaves alone, ``--pol ipsec`` the others; the further options describe the
    IPsec states that the packet went through. Several of them are separated by ``--next``, at most four, and need
    ``--strict``: then the description must fit state for state, else one of the packet's states must fit. ``--dir in``
    is for PREROUTING, INPUT and FORWARD, ``--dir out`` for FORWARD, OUTPUT and POSTROUTING (net/netfilter/xt_policy.c).
    """

    name = "policy"
    options = (
        Option("--dir", Choice("in", "out"), required=True),
        Option("--pol", Choice("none", "ipsec"), default="ipsec"),
        Option("--strict"),
        Option("--reqid", Number(), invert=True),
        Option("--spi", Number(base=16), invert=True),
        Option("--proto", IpsecProtocol(), invert=True),
        Option("--mode", Choice("transport", "tunnel"), invert=True),
        Option("--tunnel-dst", HostNetworkKind(), invert=True),
        Option("--tunnel-src", HostNetworkKind(), invert=True),
        Option("--next"),
    )
    __slots__ = ()

    # The settings are those that iptables-save prints, in its order: --next stands between those of two elements.

    @classmethod
    def take(cls, given: dict[str, Setting], setting: Setting) -> None:
        """The options of an element are told apart by the ``--next`` before them."""
        key = setting.option.key
        if key not in ("dir", "pol", "strict"):
            key = f"{key} {sum(k.startswith('next') for k in given)}"
        if key in given:
            raise OptionError("given twice for one element")
        given[key] = setting

    @classmethod
    def build(cls, given: dict[str, Setting], family: Family) -> Self:
        if "dir" not in given:
            raise OptionError("policy: --dir must be given")
        given.setdefault("pol", cls.setting("pol", "ipsec"))
        head = [given[k] for k in ("dir", "pol", "strict") if k in given]
        following = [s for k, s in given.items() if k.startswith("next")]
        keys = [o.key for o in cls.options[3:-1]]
        elements = [[given[f"{k} {n}"] for k in keys if f"{k} {n}" in given] for n in range(len(following) + 1)]
        if following and "strict" not in given:
            raise OptionError("policy: --next needs --strict")
        if len(elements) > MAX_ELEMENTS:
            raise OptionError(f"policy: at most {MAX_ELEMENTS} elements can be described")
        if given["pol"].value == "none":
            if "strict" in given:
                raise OptionError("policy: --strict describes a policy, but --pol none says that there is none")
            return cls(tuple(head))
        for element in elements:
            cls._check(element, "strict" in given)
        body = [s for n, element in enumerate(elements) for s in (*following[:n][-1:], *element)]
        return cls((*head, *body))

    @classmethod
    def _check(cls, element: list[Setting], strict: bool) -> None:
        if strict and not element:
            raise OptionError("policy: --strict needs an option for each element")
        mode = next((s for s in element if s.option.key == "mode"), None)
        tunnel = mode is not None and (mode.value == "tunnel") != mode.inverted
        if not tunnel and any(s.option.key.startswith("tunnel") for s in element):
            raise OptionError("policy: --tunnel-src and --tunnel-dst are only valid with --mode tunnel")

    @property
    def elements(self) -> list[list[Setting]]:
        """What is said of each IPsec state."""
        found: list[list[Setting]] = [[]]
        for setting in self.settings:
            if setting.option.key == "next":
                found.append([])
            elif setting.option.key not in ("dir", "pol", "strict"):
                found[-1].append(setting)
        return [element for element in found if element]

    def refuse(self, rule: Rule, table: str, family: Family) -> str | None:
        direction = self.value("dir")
        if rule.chain in {"in": ("OUTPUT", "POSTROUTING"), "out": ("PREROUTING", "INPUT")}[direction]:
            return f"--dir {direction} is not valid in {rule.chain}"
        return super().refuse(rule, table, family)

    def answer(self, packet: Packet) -> Answer:
        ipsec = packet.field(f"ipsec_{self.value('dir')}")
        if ipsec is Answer.UNKNOWN:
            return Answer.UNKNOWN
        if self.value("pol") == "none" or not ipsec:
            return Answer.of((self.value("pol") == "ipsec") == ipsec)
        return Answer.UNKNOWN if self.elements else Answer.YES
