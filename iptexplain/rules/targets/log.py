"""-j LOG"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Option, Target
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import quoted
from iptexplain.rules.values import Family, Kind, Text

LEVELS = ("emerg", "alert", "crit", "error", "warning", "notice", "info", "debug")
"""The names of syslog's levels 0 to 7."""

LEVELS_IN_NFT = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug")
FLAGS_IN_NFT = {
    "log_tcp_sequence": "tcp sequence", "log_tcp_options": "tcp options", "log_ip_options": "ip options",
    "log_uid": "skuid", "log_macdecode": "ether",
}  # fmt: skip


class Cut(Text):
    """A text of which iptables keeps the first ``limit`` bytes without a word."""

    def parse(self, text: str, family: Family) -> str:
        if not text:
            raise OptionError("the text is empty")
        return cut(text, self.limit)


def cut(text: str, limit: int) -> str:
    """The first ``limit`` bytes of ``text``."""
    return text.encode(errors="surrogateescape")[:limit].decode(errors="surrogateescape")


class Level(Kind):
    """A syslog level by number or name; saved as a number."""

    _numbers = {name: number for number, name in enumerate(LEVELS)} | {"panic": 0} | {str(n): n for n in range(8)}

    def parse(self, text: str, family: Family) -> int:
        try:
            return self._numbers[text]
        except KeyError:
            raise OptionError(f"'{text}' is none of the log levels 0 to 7, {', '.join(LEVELS)}") from None


class Log(Target):
    """Writes a line about the packet into the kernel log; the next rule is asked.

    The line names interfaces, addresses and the fields of the headers, after a prefix of up to 29 bytes; what is longer
    is cut. Without ``--log-level`` it is a warning (net/netfilter/xt_LOG.c, nf_log_syslog.c). Packets of other network
    namespaces (containers) are only logged when net.netfilter.nf_log_all_netns is 1.
    """

    name = "LOG"
    options = (
        Option("--log-prefix", Cut(29)),
        Option("--log-level", Level(), default=4, hide_default=True),
        Option("--log-tcp-sequence"),
        Option("--log-tcp-options"),
        Option("--log-ip-options"),
        Option("--log-uid"),
        Option("--log-macdecode"),
    )
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> str:
        flags = [form for key, form in FLAGS_IN_NFT.items() if self.get(key)]
        tcp = [f[len("tcp ") :] for f in flags if f.startswith("tcp ")]
        named = [*([f"tcp {','.join(tcp)}"] if tcp else []), *(f for f in flags if not f.startswith("tcp "))]
        prefix = f" prefix {quoted(self.value('log_prefix'))}" if self.get("log_prefix") else ""
        level = LEVELS_IN_NFT[self.value("log_level")]
        return f"log{prefix} level {level}" + "".join(f" flags {each}" for each in named)

    @property
    def level_name(self) -> str:
        """The name of the level."""
        return LEVELS[self.value("log_level")]
