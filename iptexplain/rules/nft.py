"""What nft(8) calls the conditions of a rule, as nftables 1.0.6 reads them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from iptexplain.errors import OptionError
from iptexplain.rules.addresses import Network, format_address
from iptexplain.rules.values import Family, Masked

if TYPE_CHECKING:
    from iptexplain.rules.extension import Match, Setting

FULL_MARK = 0xFFFFFFFF
EXPRESSION = {4: "ip", 6: "ip6"}


def no_form(what: str) -> OptionError:
    """The error of what nft cannot say; the place is added by whoever knows the rule."""
    return OptionError(f"nft has no form of {what}")


def conditions(match: Match, family: Family, one: Callable[[Setting, Family], str] | None = None) -> list[str]:
    """The options of a match, one after the other, each by ``one``; raises OptionError where there are none to compare."""
    if not match.settings and match.name in ("tcp", "udp"):
        return [f"{match.name} sport 0-65535"]  # fragments after the first have no ports, and do not match
    if not match.settings:
        raise no_form(f"-m {match.called} alone")
    for setting in match.settings if one is None else ():
        if setting.option.nft is None:
            raise no_form(f"-m {match.called} {setting.option.name}")
    return [" ".join((one or compared)(s, family) for s in match.settings)]


def compared(setting: Setting, family: Family, called: str | None = None) -> str:
    """``FIELD VALUE`` for one option; ``called``: the field, where it is not the option's own.

    Raises OptionError where nft has no such field, and for a value that no packet has.
    """
    field = called or setting.option.nft
    if field is None:
        raise no_form(setting.option.name)
    field = field.format(ip=EXPRESSION[family])
    value = getattr(setting.value, "network", setting.value)
    if isinstance(value, Masked) and value.mask != FULL_MARK:
        return masked(field, hex(value.value), hex(value.mask), setting.inverted)
    if isinstance(value, Network) and value.prefix is None:
        number, mask = (format_address(value.family, n) for n in (value.number, value.mask))
        return masked(field, number, mask, setting.inverted)
    return f"{field} {'!= ' if setting.inverted else ''}{_spelled(setting, value)}"


def masked(field: str, value: str, mask: str, inverted: bool) -> str:
    """A comparison of some bits."""
    return f"{field} & {mask} {'!=' if inverted else '=='} {value}"


def _spelled(setting: Setting, value: Any) -> str:
    """A value as nft writes it: a name, an address, a number, a range, or a set of them."""
    if isinstance(value, Masked):
        return hex(value.value)
    if isinstance(value, Network):
        return format_address(value.family, value.number) if value.is_host else str(value)
    if isinstance(value, str):
        return setting.text.lower()
    if hasattr(value, "first"):
        return spelled_range(value.first, value.last) if value.first.number <= value.last.number else _empty(setting)
    intervals = setting.option.kind.as_set(value) if setting.option.kind else ()
    return spelled_set([spelled_range(*pair) for pair in intervals]) if intervals else _empty(setting)


def spelled_range(low: Any, high: Any) -> str:
    return str(low) if low == high else f"{low}-{high}"


def spelled_set(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{{ {', '.join(names)} }}"


def _empty(setting: Setting) -> str:
    raise no_form(f"{setting.option.name} {setting.text}, which no packet meets")


def interface(name: str) -> str:
    """An interface's name in quotes; ``+`` at its end is ``*`` there. Raises OptionError for what quotes cannot hold."""
    if set('"*\\') & set(name) or not name.isprintable():
        raise no_form(f"an interface that is called '{name}'")
    return f'"{name[:-1]}*"' if name.endswith("+") else f'"{name}"'


def quoted(text: str) -> str:
    """A text in quotes, which nft reads up to the next one; it takes ``$`` for a variable. Raises OptionError."""
    if set('"$') & set(text) or not text.isprintable():
        raise no_form(f"the text '{text}': it holds a quote, a dollar sign or a control character")
    return f'"{text}"'


def protocol(name: str, numbers: dict[int, str]) -> str:
    """A protocol, by the name that nft knows or by its number."""
    if name in ("tcp", "udp", "icmp", "sctp", "dccp", "esp", "ah"):
        return name
    if name == "ipv6-icmp":
        return "icmpv6"
    return next((str(number) for number, known in numbers.items() if known == name), name)


STATES = {
    "NEW": "new",
    "RELATED": "related",
    "ESTABLISHED": "established",
    "INVALID": "invalid",
    "UNTRACKED": "untracked",
}


def states(setting: Setting) -> list[str]:
    """The alternatives of a connection's states: nft knows DNAT and SNAT as bits of its status, which a second rule asks.

    The alternatives exclude each other, so that no packet meets two of the rules. What belongs to no connection has no status: a
    rule that asks for it does not hold.
    """
    names = [STATES[n] for n in setting.value if n in STATES]
    bits = [n.lower() for n in setting.value if n not in STATES]
    if bits and setting.inverted:
        lone = [n for n in ("invalid", "untracked") if n not in names]
        known = spelled_set([n for n in STATES.values() if n in {*names, *lone}])
        of_none = [f"ct state {spelled_set(lone)}"] * bool(lone)
        return [*of_none, f"ct state != {known} ct status & ({' | '.join(bits)}) == 0"]
    found = [f"ct state {'!= ' if setting.inverted else ''}{spelled_set(names)}"] if names else []
    others = f"ct state != {spelled_set(names)} " if names else ""
    return found + [f"{others}ct status {','.join(bits)}"] * bool(bits)


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SAFE = re.compile(r"[A-Z]|_")


def names_for(wanted: Iterable[str]) -> dict[str, str]:
    """The names of chains or sets in nft: their own where it takes them. A name in small letters could be one of nft's words, so
    it gets a ``_`` before it; what no name may hold becomes ``_`` and a number makes it unlike others."""
    names: dict[str, str] = {}
    for one in wanted:
        own = one if _NAME.fullmatch(one) else re.sub(r"[^A-Za-z0-9_-]", "_", f"_{one}")
        own = own if _SAFE.search(own) else f"_{own}"
        taken = set(names.values())
        names[one] = next(n for n in chain((own,), (f"{own}_{i}" for i in count(2))) if n not in taken)
    return names
