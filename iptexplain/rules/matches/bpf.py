"""-m bpf"""

from __future__ import annotations

import re
from typing import NamedTuple

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Match, Option
from iptexplain.rules.values import Family, Kind, Text

MAX_INSTRUCTIONS = 64

_numbers = re.compile(r"\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*", re.ASCII).fullmatch


class Instruction(NamedTuple):
    """One instruction of classic BPF: operation, jump when true, jump when false, operand."""

    code: int
    jt: int
    jf: int
    k: int


class Bytecode(Kind):
    """``COUNT,CODE JT JF K,…`` in decimal, as nfbpf_compile and tcpdump -ddd print it; saved in quotes."""

    def parse(self, text: str, family: Family) -> tuple[Instruction, ...]:
        count, comma, rest = text.partition(",")
        if not count.strip().isdecimal() or not comma:
            raise OptionError("a program begins with the number of its instructions and a comma")
        program = tuple(self._instruction(word) for word in rest.removesuffix(",").split(",") if rest)
        if not 0 < int(count) <= MAX_INSTRUCTIONS:
            raise OptionError(f"a program has 1 to {MAX_INSTRUCTIONS} instructions, not {count.strip()}")
        if len(program) != int(count):
            raise OptionError(f"the program has {len(program)} instructions, but says {count.strip()}")
        return program

    def _instruction(self, text: str) -> Instruction:
        found = _numbers(text)
        numbers = [int(n) for n in found.groups()] if found else []
        if not numbers or any(n > limit for n, limit in zip(numbers, (0xFFFF, 0xFF, 0xFF, 0xFFFFFFFF), strict=True)):
            raise OptionError(f"'{text}' is not an instruction: four numbers of 16, 8, 8 and 32 bits")
        return Instruction(*numbers)

    def save(self, value: tuple[Instruction, ...]) -> str:
        return '"' + ",".join([str(len(value)), *(" ".join(map(str, i)) for i in value)]) + '"'


class Bpf(Match):
    """What a BPF program says of the packet, beginning at the IP header: it matches when the program returns not 0.

    The program stands in the rule as classic BPF (``--bytecode``), or it is an eBPF program that was pinned to a path
    of the BPF file system (``--object-pinned``, since Linux 4.10). The kernel also refuses programs that are not
    valid, such as one that does not end by returning. Since Linux 3.9 (net/netfilter/xt_bpf.c).
    """

    name = "bpf"
    needs = ("program",)
    options = (
        Option("--bytecode", Bytecode(), group="program"),
        Option("--object-pinned", Text(limit=511, quoted=False), group="program"),
    )
    __slots__ = ()
