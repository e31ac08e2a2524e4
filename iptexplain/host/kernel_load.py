"""Rules put into the kernel's legacy tables with python-iptables: what it cannot write, and what the kernel refuses.

It is only ever loaded in a child process (``python -m iptexplain.host.kernel_load FAMILY``, a restore file on standard input) and in a
network namespace of its own (host/scratch.py): python-iptables creates all tables that it has a name for, and has been seen to crash.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from iptexplain.host.kernel import FRAGMENT, INVERTED, dump
from iptexplain.rules.answer import Backend
from iptexplain.rules.extension import Extension
from iptexplain.rules.model import Jump, Rule, Ruleset, Table, Verdict
from iptexplain.rules.parameters import PROTOCOLS
from iptexplain.rules.parse import parse
from iptexplain.rules.save import in_order, save_rule
from iptexplain.rules.values import Family
from iptexplain.rules.words import split_words

ATTRIBUTES = {"s": "src", "d": "dst", "i": "in_interface", "o": "out_interface", "p": "protocol"}
"""Options of every rule → what python-iptables calls them."""

NUMBERS = {name: str(number) for number, name in PROTOCOLS.items()}
"""python-iptables has names of its own for some protocols, and none for others."""


class Loaded(NamedTuple):
    """``unwritten``: (line, why) of each rule that python-iptables cannot write, or writes as another; ``refused``: the line of the
    COMMIT that failed, and what the kernel says."""

    unwritten: list[tuple[int, str]]
    refused: tuple[int, str] | None


def load(text: str, family: Family) -> Loaded:
    """Load a restore file, table by table, without the rules that cannot be written."""
    import iptc

    [ruleset] = parse(text).rulesets
    unwritten: list[tuple[int, str]] = []
    for table in ruleset.tables.values():
        kernel = (iptc.Table6 if family == 6 else iptc.Table)(table.name, autocommit=False)
        unwritten += _write(kernel, table, family)
        try:
            kernel.commit()
        except iptc.IPTCError as e:
            commit = text.split("\n").index("COMMIT", table.line)
            return Loaded(unwritten, (commit + 1, str(e).replace("b'", "'")))
        kernel.refresh()
    left = {line for line, _ in unwritten}
    return Loaded(unwritten + list(_misread(ruleset, family, left)), None)


def _write(kernel: Any, table: Table, family: Family) -> Iterator[tuple[int, str]]:
    """Fill one table; it is not committed yet."""
    chains = in_order(table)
    for chain in chains:
        if chain.policy is None:
            kernel.create_chain(chain.name)
        else:
            kernel.set_policy(chain.name, chain.policy)
    for chain in chains:
        for rule in chain.rules:
            try:
                kernel.append_entry(chain.name, _rule(rule, family).rule)
            except Exception as e:  # whatever it is, this rule is the reason
                yield rule.line, f"{type(e).__name__}: {e}"


def _rule(rule: Rule, family: Family) -> Any:
    import iptc

    made = (iptc.Rule6 if family == 6 else iptc.Rule)()
    for setting in rule.parameters.settings:
        if setting.option.key == "f":
            # python-iptables takes ``! -f`` for no option at all.
            made.get_ip().flags |= FRAGMENT[family]
            made.get_ip().invflags |= INVERTED["f"] * setting.inverted
        else:
            sign = "!" if setting.inverted else ""
            setattr(made, ATTRIBUTES[setting.option.key], sign + NUMBERS.get(setting.text, setting.text))
    for match in rule.matches:
        _options(made.create_match(match.name), match)
    if isinstance(rule.target, Jump):
        if rule.target.chain in iptc.Target.STANDARD_TARGETS:
            raise ValueError(f"it takes the chain {rule.target.chain} for the target of that name")
        made.target = iptc.Target(made, rule.target.chain, goto=rule.target.goto)
    elif rule.target is None or isinstance(rule.target, Verdict):
        made.create_target(rule.target.word if rule.target else "")
    else:
        _options(made.create_target(rule.target.name), rule.target)
    return made


def _options(made: Any, extension: Extension) -> None:
    """Set the options. (python-iptables' own append_rule reads them back first, as a shell would, and spoils apostrophes.)"""
    for setting in extension.settings:
        values = [word.text for word in split_words(setting.text)]
        made.set_parameter(setting.option.name.lstrip("-"), ["!", *values] if setting.inverted else values)
    made._final_check()


def _misread(ruleset: Ruleset, family: Family, left_out: set[int]) -> Iterator[tuple[int, str]]:
    """The rules that the kernel has otherwise than they were meant."""
    [read] = parse("".join(f"{line}\n" for line in dump(family, list(ruleset.tables)))).rulesets
    for name, table in ruleset.tables.items():
        for chain in table.chains.values():
            meant = [rule for rule in chain.rules if rule.line not in left_out]
            for rule, found in zip(meant, read.tables[name].chains[chain.name].rules, strict=True):
                wanted, made = (save_rule(each, Backend.LEGACY) for each in (rule, found))
                if wanted != made:
                    yield rule.line, f"it makes another of it: {made}"


if __name__ == "__main__":
    try:
        given = sys.stdin.buffer.read().decode("utf-8", "surrogateescape")
        answer = load(given, 6 if sys.argv[1] == "6" else 4)
    except Exception as e:  # whatever it is, one line of it is told
        sys.exit(f"{type(e).__name__}: {e}")
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)  # what python-iptables does when it is collected has been seen to crash
