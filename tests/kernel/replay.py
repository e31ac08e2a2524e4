"""A program for the inside of a namespace: loads dumps with iptables-restore, gives back what iptables-save prints then.

Standard input is JSON, a list of ``[family, dump, more …]``: each of ``more`` is restored after the dump, with ``--noflush``.
Standard output is a list of answers in the same order, each ``[error or null, text of save, text of save -c]``. The argument is
the backend, ``nft`` or ``legacy``. One program for many dumps, because entering a namespace for each costs more than the
loading. Bytes that are no UTF-8 travel as surrogates.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys

TABLES = {
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
    "raw": ("PREROUTING", "OUTPUT"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}
EMPTY = "".join(
    "\n".join([f"*{table}", *(f":{chain} ACCEPT [0:0]" for chain in chains), "COMMIT\n"])
    for table, chains in TABLES.items()
)
SETS = re.compile(r"--(?:match|add|del|map)-set ([^\s-]\S*)|-m set (?:! )?--set ([^\s-]\S*)")


def run(program: str, *arguments: str, text: str = "") -> tuple[str | None, str]:
    """(what it said when it failed, what it printed)"""
    done = subprocess.run([program, *arguments], input=text.encode("utf-8", "surrogateescape"), capture_output=True)
    said = done.stderr.decode("utf-8", "surrogateescape")
    return said or program if done.returncode else None, done.stdout.decode("utf-8", "surrogateescape")


def replay(backend: str, family: int, dump: str, *more: str) -> tuple[str | None, str, str]:
    program = f"ip{'6' if family == 6 else ''}tables-{backend}"
    run(f"{program}-restore", "-c", text=EMPTY)
    error, _ = run(f"{program}-restore", "-c", text=dump)
    for text in more:
        error = error or run(f"{program}-restore", "-c", "--noflush", text=text)[0]
    return error, run(f"{program}-save")[1], run(f"{program}-save", "-c")[1]


def main() -> None:
    backend = sys.argv[1]
    jobs = json.load(sys.stdin)
    sets = {a or b for _, *dumps in jobs for dump in dumps for a, b in SETS.findall(dump)}
    run("ipset", "-exist", "restore", text="".join(f"create {name} list:set\n" for name in sorted(sets)))
    json.dump([replay(backend, family, *dumps) for family, *dumps in jobs], sys.stdout)


if __name__ == "__main__":
    main()
