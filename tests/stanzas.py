"""The stanza files of fixtures/: cases of ``key: value`` lines, separated by blank lines."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

KEYS = {"rule", "save", "save-nft", "save-legacy", "says", "nft", "nft-error", "yes", "no", "unknown", "error", "changes",
        "table", "chain", "family", "kernel", "setup"}  # fmt: skip


class Stanza(NamedTuple):
    """One case: the rule and the promises about it. ``line`` is where it begins."""

    file: Path
    line: int
    rule: str
    promises: list[tuple[str, str]]

    def get(self, key: str, default: str = "") -> str:
        return next((v for k, v in self.promises if k == key), default)

    def all(self, key: str) -> list[str]:
        return [v for k, v in self.promises if k == key]

    def has(self, key: str) -> bool:
        return any(k == key for k, _ in self.promises)

    @property
    def family(self) -> int:
        return int(self.get("family", "4"))

    @property
    def id(self) -> str:
        return f"{self.file.stem}:{self.line}"


def read_stanzas(path: Path) -> list[Stanza]:
    """The cases of one file; a key that nobody knows is an error, so that no promise is skipped by a typing error."""
    found: list[Stanza] = []
    fresh = True
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("#"):
            continue
        if not line.strip():
            fresh = True
            continue
        key, colon, value = line.partition(":")
        value = value.strip()
        if not colon or key not in KEYS:
            raise ValueError(f"{path}:{number}: unknown key in {line!r}")
        if fresh:
            if key != "rule":
                raise ValueError(f"{path}:{number}: a case begins with 'rule:'")
            found.append(Stanza(path, number, value, []))
        else:
            found[-1].promises.append((key, value))
        fresh = False
    return found


def stanzas(folder: Path) -> list[Stanza]:
    return [s for path in sorted(folder.glob("*.t")) for s in read_stanzas(path)]


def ruleset(stanza: Stanza, target_table: str = "filter") -> str:
    """The rule in a dump of its own, in the table and chain that it names."""
    table = stanza.get("table", target_table)
    chain = stanza.get(
        "chain",
        {"filter": "INPUT", "raw": "PREROUTING", "nat": "PREROUTING", "mangle": "PREROUTING"}.get(table, "INPUT"),
    )
    return f"*{table}\n-A {chain} {stanza.rule}\nCOMMIT\n"
