"""-m socket"""

from __future__ import annotations

from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Match, Option


class Socket(Match):
    """Whether this host has an open TCP or UDP socket for the packet; which ones it has, no dump says.

    A connection's socket is found first, then one that listens; a listener on every address (0.0.0.0 or ::) counts only
    with ``--nowildcard``. ``--transparent`` wants a socket that may use foreign addresses (IP_TRANSPARENT), as proxies
    do, and ``--restore-skmark`` copies the socket's mark to the packet. Only in PREROUTING and INPUT
    (net/netfilter/xt_socket.c).
    """

    name = "socket"
    chains = frozenset({"PREROUTING", "INPUT"})
    options = (
        Option("--transparent"),
        Option("--nowildcard"),
        Option("--restore-skmark"),
    )
    __slots__ = ()

    def answer(self, packet: Packet) -> Answer:
        return Answer.UNKNOWN
