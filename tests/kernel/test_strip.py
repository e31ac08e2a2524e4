"""A dump that is restored without Docker's rules, and Docker's rules added to that, are in the kernel what the dump is."""

from __future__ import annotations

import re

import pytest

from iptexplain.rules.parse import parse
from tests.kernel.test_save import BACKENDS, replay, tables
from tests.test_dumps import FIXTURES, name, read
from tests.test_strip import RECORDED, WITH_OTHERS, parts


def recordings() -> list[tuple[str, int, str, str, str]]:
    """(name, family, dump, without Docker's rules, Docker's rules) of every recording with rules of Docker's."""
    found = []
    for path in (*RECORDED, *WITH_OTHERS, FIXTURES / "strip/leftovers/dump.txt"):
        stripped, kept = parts(path)
        if kept:
            found.append((name(path), parse(read(path)).rulesets[0].family, read(path), stripped, kept))
    return found


def loaded(saved: str) -> dict[str, list[str]]:
    """The tables without the policies' own counters: iptables-legacy-restore sets them to zero with --noflush."""
    return tables(re.sub(r"^(:\S+ \S+) .*", r"\1", saved, flags=re.MULTILINE).split("\n"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_both_together_are_the_dump(backend: str) -> None:
    """With the rules' counters, and whether or not rules of others stand between Docker's."""
    work = [(n, family, dump.replace("$ sudo iptables-save -c\n", ""), s, k) for n, family, dump, s, k in recordings()]
    whole = replay(backend, [(family, dump) for _, family, dump, _, _ in work])
    added = replay(backend, [(family, stripped, kept) for _, family, _, stripped, kept in work])
    wrong = [
        f"{case}: {after[0] or 'another ruleset'}"
        for (case, *_), before, after in zip(work, whole, added, strict=True)
        if not before[0] and (after[0] or loaded(before[2]) != loaded(after[2]))
    ]
    assert not wrong, f"{len(wrong)} of {len(work)}\n" + "\n".join(wrong[:20])
    assert sum(not before[0] for before in whole) > 400
