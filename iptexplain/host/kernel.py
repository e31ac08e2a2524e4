"""The legacy tables as python-iptables reads them, for hosts without iptables-legacy-save.

It is only ever loaded in a child process (``python -m iptexplain.host.kernel FAMILY TABLE…``), because it swaps file descriptor 1
and has been seen to crash.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from iptexplain.errors import DumpError
from iptexplain.host.programs import NotInstalled, Unread, output
from iptexplain.rules.addresses import format_address
from iptexplain.rules.parse import parse
from iptexplain.rules.save import save_ruleset
from iptexplain.rules.values import Family

PR_CAPBSET_DROP, CAP_SYS_MODULE = 24, 16
"""From linux/prctl.h and linux/capability.h."""

INVERTED = {"i": 0x01, "o": 0x02, "s": 0x08, "d": 0x10, "f": 0x20, "p": 0x40}
"""The bits of ``invflags``, the same for both families (IPT_INV_* and IP6T_INV_*)."""

FRAGMENT, GOTO = {4: 0x01}, {4: 0x02, 6: 0x04}
"""The bits of ``flags`` (IPT_F_FRAG, IPT_F_GOTO, IP6T_F_GOTO)."""


def read_legacy(family: Family, tables: Sequence[str]) -> str:
    """The tables as iptables-legacy-save prints them. ``tables``: those that exist, for to ask for another creates it.

    Raises Unread when python-iptables is not there or breaks off.
    """
    if importlib.util.find_spec("iptc") is None:
        raise NotInstalled("neither iptables-legacy-save nor python-iptables is installed: install one of them")
    child = (sys.executable, "-m", __name__, str(family), *tables)
    try:
        text = output(child, {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)})
        [ruleset] = parse(text).rulesets
    except (Unread, DumpError, ValueError) as e:
        raise Unread(f"iptables-legacy-save is not installed, and python-iptables breaks off ({e})") from None
    lines = (text.partition("\n")[0], *save_ruleset(ruleset))
    return "".join(f"{line}\n" for line in lines)


def dump(family: Family, tables: Iterable[str]) -> Iterator[str]:
    """The lines of a dump, with numbers where iptables-save has names. Asks the kernel of the process that it runs in."""
    # iptc calls modprobe for both families, and to read one rule it opens, and so makes, every table that it has not yet found missing.
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, ctypes.c_ulong(CAP_SYS_MODULE))
    import iptc

    kind = iptc.Table6 if family == 6 else iptc.Table
    kind.existing_table_names.update({name: name in tables for name in kind.ALL})
    yield f"# ip{6 if family == 6 else ''}tables-legacy-save, read with python-iptables"
    for name in tables:
        table = kind(name, autocommit=False)
        yield f"*{name}"
        for chain in table.chains:
            policy = chain.get_policy() if chain.is_builtin() else None
            counters = "{}:{}".format(*chain.get_counters()) if policy else "0:0"
            yield f":{chain.name} {policy.name if policy else '-'} [{counters}]"
        for chain in table.chains:
            for rule in chain.rules:
                yield f"-A {chain.name} {' '.join(_words(rule, family))}"
        yield "COMMIT"


def _words(rule: Any, family: Family) -> Iterator[str]:
    """One rule's parameters, matches and target."""
    ip = rule.get_ip()
    for key, option, value in _parameters(ip, family):
        yield f"{'! ' if ip.invflags & INVERTED[key] else ''}{option} {value}".rstrip()
    for match in rule.matches:
        yield f"-m {match.name} {_saved(match, ip)}".rstrip()
    target = rule.target
    if target is not None and target.name:
        jump = "-g" if ip.flags & GOTO[family] else "-j"
        yield f"{jump} {target.name} {_saved(target, ip)}".rstrip()


def _parameters(ip: Any, family: Family) -> Iterator[tuple[str, str, str]]:
    """What is set of -s, -d, -i, -o, -p and -f: its letter, the option and its value."""
    for key, address, mask in (("s", ip.src, ip.smsk), ("d", ip.dst, ip.dmsk)):
        if any(bytes(mask)) or ip.invflags & INVERTED[key]:
            numbers = (int.from_bytes(bytes(a), "big") for a in (address, mask))
            yield key, f"-{key}", "/".join(format_address(family, number) for number in numbers)
    for key, name, mask in (("i", ip.iniface, ip.iniface_mask), ("o", ip.outiface, ip.outiface_mask)):
        if mask or ip.invflags & INVERTED[key]:
            # Of a whole name the mask covers the zero behind it, too.
            yield key, f"-{key}", name.decode() if len(mask) > len(name) else f"{name[: len(mask)].decode()}+"
    if ip.proto or ip.invflags & INVERTED["p"]:
        yield "p", "-p", str(ip.proto)
    if ip.flags & FRAGMENT.get(family, 0):
        yield "f", "-f", ""


def _saved(extension: Any, ip: Any) -> str:
    """The options as the extension's own library prints them; python-iptables takes no more than 1024 bytes of them."""
    printed = extension._get_saved_buf(ip) or b"\n"
    if not printed.endswith(b"\n"):
        raise ValueError(f"the options of {extension.name} are too long for python-iptables")
    return printed.decode(errors="surrogateescape").strip()


if __name__ == "__main__":
    try:
        lines = list(dump(6 if sys.argv[1] == "6" else 4, sys.argv[2:]))
    except Exception as e:  # whatever it is, one line of it is told
        sys.exit(f"{type(e).__name__}: {e}")
    sys.stdout.buffer.write("".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))
    sys.stdout.flush()
    os._exit(0)  # what python-iptables does when it is collected has been seen to crash
