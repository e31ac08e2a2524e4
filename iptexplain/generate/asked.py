"""What a wish means for packets: which they are, and whether they are to arrive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from iptexplain.rules.addresses import Network
from iptexplain.rules.values import Interval

Addresses = Sequence[Interval]
"""Sorted, separate ranges of addresses, as numbers."""


class Packets(NamedTuple):
    """First packets of connections (or, ``answers``, the answers to such), as they come in. None: any.

    ``interfaces``: those by which they come, ``src`` and ``dst``: their addresses; ``but_from``: networks from which they are not;
    ``to_host``: they were sent to an address of this host; ``port``: ``sport`` or ``dport``, and its number; ``but``: packets that
    are not among them.
    """

    interfaces: Sequence[str] | None = None
    src: Addresses | None = None
    but_from: Sequence[Network] = ()
    dst: Addresses | None = None
    to_host: bool = False
    proto: str | None = None
    port: tuple[str, int] | None = None
    answers: bool = False
    but: Sequence[Packets] = ()


class Landing(NamedTuple):
    """Where packets are to arrive, or must not: at the host itself ("", then as they were sent), or behind ``interface`` (None: any),
    at ``addresses`` (None: any)."""

    interface: str | None
    addresses: Addresses | None = None


class Asked(NamedTuple):
    """``name`` and ``values``: for templates/documents/wish.j2; ``arrives``: whether all of the packets are to arrive, or none;
    ``noted``: where it is not so, that is told, but it is no fault: no rule in DOCKER-USER can help it."""

    name: str
    values: Mapping[str, str]
    packets: Packets
    landing: Landing
    arrives: bool = False
    noted: bool = False
