"""-j NFLOG"""

from __future__ import annotations

from collections.abc import Iterator

from iptexplain.rules.answer import Backend
from iptexplain.rules.extension import Option, Target
from iptexplain.rules.model import Rule
from iptexplain.rules.nft import quoted
from iptexplain.rules.targets.log import Cut, cut
from iptexplain.rules.values import Family, Number

LEGACY_PREFIX = 63
"""How many bytes of the prefix iptables-legacy keeps; nf_tables keeps 127."""


class Nflog(Target):
    """Hands a copy of the packet to a logging program that listens to a netlink group (ulogd); the next rule is asked.

    ``--nflog-size`` is how many bytes of the packet are copied (0: as the program asks), ``--nflog-threshold`` how many
    packets the kernel collects before it sends them. ``--nflog-range`` has never worked: iptables-nft forgets it
    (net/netfilter/xt_NFLOG.c, nfnetlink_log.c).
    """

    name = "NFLOG"
    options = (
        Option("--nflog-prefix", Cut(127)),
        Option("--nflog-group", Number(0, 65535), default=0, hide_default=True),
        Option("--nflog-range", Number(), group="size"),
        Option("--nflog-size", Number(), group="size"),
        Option("--nflog-threshold", Number(0, 65535), default=0, hide_default=True),
    )
    __slots__ = ()

    def nft(self, rule: Rule, family: Family) -> str:
        names = {"nflog_size": "snaplen", "nflog_threshold": "queue-threshold"}
        prefix = f" prefix {quoted(self.value('nflog_prefix'))}" if self.get("nflog_prefix") else ""
        numbers = "".join(
            f" {names[s.option.key]} {s.value}" for s in self.settings if s.option.key in names and s.value
        )
        return f"log{prefix} group {self.value('nflog_group')}{numbers}"

    def save_options(self, backend: Backend) -> str:
        return " ".join(self._saved(backend))

    def _saved(self, backend: Backend) -> Iterator[str]:
        for setting in self.settings:
            option, value, _ = setting
            if option.key == "nflog_range" and (backend is Backend.NFT or not value):
                continue
            if option.key == "nflog_prefix" and backend is Backend.LEGACY:
                setting = setting._replace(value=cut(value, LEGACY_PREFIX))
            if not (option.hide_default and value == option.default):
                yield setting.save()
