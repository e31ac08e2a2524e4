"""The laboratory with a case's rules in the language of nftables: what becomes of its packets must be the same."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from iptexplain.outputs.nft import nft
from iptexplain.rules.parse import parse
from tests.kernel.lab.laboratory import DUMPS, Backend, Laboratory
from tests.kernel.lab.listening import Listening
from tests.kernel.lab.netlink import Netlink
from tests.kernel.lab.nft_trace import CHAIN, DROP, KIND, POLICY_EVENT, NftTrace, text
from tests.kernel.lab.rules import Tables
from tests.kernel.lab.visits import OWN_TABLE, Step, Visit

PREFIX = "iptexplain-"


def translated(case: dict[str, Any]) -> str:
    """The case's rules as nft reads them; raises DumpError where a rule has no form there."""
    return nft([parse(case[key], key) for key in DUMPS.values() if case.get(key)], case.get("ipset", ""))


class Forms(NftTrace):
    """The trace of tables that no dump describes: where each step was, and whether it dropped the packet."""

    def _visit(self, event: dict[int, bytes]) -> Visit | None:
        visit = super()._visit(event)
        return replace(visit, table=visit.table.removeprefix(PREFIX)) if visit else None

    def _add(self, visit: Visit, event: dict[int, bytes], family: int) -> None:
        if visit.table != OWN_TABLE:
            is_policy = int.from_bytes(event[KIND], "big") == POLICY_EVENT
            drops = self._verdict(event) == DROP
            number = "policy" if is_policy else 0
            visit.steps.append(Step(visit.table, text(event[CHAIN]), number, "DROP" if drops else "", drops))


class NftLaboratory(Laboratory):
    """A case's host; ``rules`` are given to nft."""

    def __init__(self, case: dict[str, Any], rules: str) -> None:
        self.rules = rules
        super().__init__(case | dict.fromkeys(DUMPS.values(), ""))

    def _load(self, case: dict[str, Any], tables: dict[int, Tables], ipv6: bool, backend: Backend) -> None:
        super()._load(case, tables, ipv6, backend)
        self.topology.namespace.run(["nft", "-f", "-"], self.rules)

    def _listen(self, tables: dict[int, Tables], backend: Backend, stack: ExitStack) -> None:
        with self.topology.namespace.enter():
            self._netlink = Netlink()
            stack.callback(self._netlink.close)
            trace = Forms({}, self.topology.links, {})
        with self.topology.peers.enter():
            self._listening = Listening(trace, None)
        stack.callback(self._listening.close)
