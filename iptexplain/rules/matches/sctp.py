"""-m sctp"""

from __future__ import annotations

from typing import NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Answer, Packet
from iptexplain.rules.extension import Option, Setting
from iptexplain.rules.headers import TransportMatch
from iptexplain.rules.values import Choice, Family, Kind, PortRange

CHUNKS = {
    "DATA": 0, "INIT": 1, "INIT_ACK": 2, "SACK": 3, "HEARTBEAT": 4, "HEARTBEAT_ACK": 5, "ABORT": 6, "SHUTDOWN": 7,
    "SHUTDOWN_ACK": 8, "ERROR": 9, "COOKIE_ECHO": 10, "COOKIE_ACK": 11, "ECN_ECNE": 12, "ECN_CWR": 13,
    "SHUTDOWN_COMPLETE": 14, "I_DATA": 64, "ASCONF_ACK": 128, "RE_CONFIG": 130, "PAD": 132, "FORWARD_TSN": 192,
    "ASCONF": 193, "I_FORWARD_TSN": 194,
}  # fmt: skip
"""The types of chunks, the pieces of an SCTP packet, in the order in which iptables-save prints them."""

FLAGS = {"DATA": "IUBE", "I_DATA": "IUBE", "ABORT": "T", "SHUTDOWN_COMPLETE": "T"}


class Chunk(NamedTuple):
    """A type of chunk; of its flags, those in capitals must be set and those in small letters must not be."""

    name: str
    flags: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.flags}" if self.flags else self.name


class Chunks(NamedTuple):
    """``how``: any, all or only; ``chunks`` is a single ALL or NONE where that was written."""

    how: str
    chunks: tuple[Chunk, ...]


class ChunkTypes(Kind):
    """``any|all|only CHUNK[:FLAGS][,…]``."""

    words = 2
    _how = Choice("any", "all", "only", any_case=True)

    def parse(self, text: str, family: Family) -> Chunks:
        how, _, names = text.partition(" ")
        if names.upper() in ("ALL", "NONE"):
            return Chunks(self._how.parse(how, family), (Chunk(names.upper()),))
        flags: dict[str, str] = {}
        for word in filter(None, names.split(",")):
            name, _, letters = word.partition(":")
            name = name.upper()
            if name not in CHUNKS:
                raise OptionError(f"unknown SCTP chunk '{word}'")
            flags[name] = self._merged(name, flags.get(name, "") + letters)
        chunks = tuple(Chunk(n, flags[n]) for n in CHUNKS if n in flags) or (Chunk("NONE"),)
        return Chunks(self._how.parse(how, family), chunks)

    def _merged(self, name: str, letters: str) -> str:
        """The flags in their order, each once; a capital wins. Those of I_DATA get lost in iptables 1.8.9."""
        known = FLAGS.get(name, "")
        if not set(letters.upper()) <= set(known):
            raise OptionError(f"chunk {name} has no such flags: '{letters}'")
        if name == "I_DATA":
            return ""
        return "".join(f if f in letters else f.lower() for f in known if f in letters.upper())

    def save(self, value: Chunks) -> str:
        return f"{value.how} {','.join(map(str, value.chunks))}"

    def contains(self, value: Chunks, actual: frozenset[str]) -> bool:
        names = {c.name for c in value.chunks} - {"NONE"}
        listed = frozenset(CHUNKS) if "ALL" in names else frozenset(names)
        if value.how == "any":
            return not listed.isdisjoint(actual)
        return listed <= actual if value.how == "all" else actual <= listed


class Sctp(TransportMatch):
    """The ports and chunks of an SCTP packet; loaded by ``-p sctp`` itself when one of its options is used.

    ``--chunk-types any`` wants at least one chunk of a type that is listed, ``all`` one of each, and ``only`` that the
    type of every chunk is listed; flags belong to the type (net/netfilter/xt_sctp.c).
    """

    name = "sctp"
    protocols = frozenset({"sctp"})
    options = (
        Option("--sport", PortRange(), "sport", invert=True, aliases=("--source-port",), nft="sctp sport"),
        Option("--dport", PortRange(), "dport", invert=True, aliases=("--destination-port",), nft="sctp dport"),
        Option("--chunk-types", ChunkTypes(), "chunks", invert=True),
    )
    __slots__ = ()

    def holds(self, setting: Setting, packet: Packet) -> Answer:
        """The field ``chunks`` is a set of types; their flags are not known."""
        found = super().holds(setting, packet)
        if setting.option.key == "chunk_types" and found is not Answer.UNKNOWN:
            asked = {c.name for c in setting.value.chunks if c.flags}
            return Answer.UNKNOWN if asked & packet.field("chunks") else found
        return found
