"""-j NFQUEUE"""

from __future__ import annotations

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Option, Setting, Target
from iptexplain.rules.values import Family, Number, NumberRange, Range


class Queues(NumberRange):
    """``FIRST:LAST``, two queues or more, and fewer than 65536."""

    def parse(self, text: str, family: Family) -> Range:
        queues = super().parse(text, family)
        if queues.low == queues.high:
            raise OptionError(f"'{text}' is not a range FIRST:LAST of queues")
        if queues == (self.low, self.high):
            raise OptionError("at most 65535 queues can be balanced")
        return queues


class Nfqueue(Target):
    """Hands the packet to a program that decides: it accepts, drops or changes it (an intrusion detection, say).

    The program listens to the queue of that number; with several queues a connection's packets all go to one of them
    (``--queue-cpu-fanout``: to the one of the processor). Where no program listens the packet is dropped, with
    ``--queue-bypass`` it is accepted by this table (net/netfilter/xt_NFQUEUE.c, nf_queue.c).
    """

    name = "NFQUEUE"
    verdict = "UNKNOWN"
    options = (
        Option("--queue-num", Number(0, 65535), group="queue"),
        Option("--queue-balance", Queues(0, 65535), group="queue"),
        Option("--queue-bypass"),
        Option("--queue-cpu-fanout"),
    )
    __slots__ = ()

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        if "queue_balance" not in given:
            if "queue_cpu_fanout" in given:
                raise OptionError("NFQUEUE: --queue-cpu-fanout needs --queue-balance")
            given.setdefault("queue_num", cls.setting("queue_num", 0))
