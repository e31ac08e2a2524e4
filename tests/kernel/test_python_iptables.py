"""python-iptables as a second opinion: what it reads from the kernel's legacy tables is what we read from the dump.

It is always asked in a child process, because it swaps file descriptor 1 and has been seen to crash.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from iptexplain.host.scratch import loaders
from iptexplain.rules.find import UnknownTarget
from iptexplain.rules.model import Jump, Rule, Ruleset, Table, Verdict
from iptexplain.rules.parse import parse
from iptexplain.rules.values import Family
from tests.kernel.namespace import Namespace
from tests.kernel.test_save import whole
from tests.test_dumps import DOCKER, FIXTURES, read

DUMPS = [FIXTURES / "dumps" / name / "dump.txt" for name in ("five-tables", "ipv6", "goto", "inverted", "docker-29",
         "docker-29-ipv6", "docker-embedded-dns", "several-addresses", "legacy-order")] + DOCKER  # fmt: skip
READER = """
import json, os, sys
import iptc
out = os.fdopen(os.dup(1), "w")
Table = iptc.Table6 if sys.argv[1] == "6" else iptc.Table
found = {}
for name in sys.argv[2:]:
    table = Table(name)
    table.refresh()
    found[name] = {}
    for chain in table.chains:
        rules = []
        for rule in chain.rules:
            rules.append({
                "src": rule.src, "dst": rule.dst, "in": rule.in_interface, "out": rule.out_interface,
                "proto": rule.protocol, "matches": [m.name for m in rule.matches],
                "target": rule.target.name if rule.target else None,
            })
        policy = chain.get_policy() if chain.is_builtin() else None
        found[name][chain.name] = {"policy": policy.name if policy else None, "rules": rules}
json.dump(found, out)
out.flush()
os._exit(0)
"""


def network(rule: Rule, key: str, family: Family) -> str:
    """An address as python-iptables writes it: the mask of IPv4 in full, ``!`` attached."""
    setting = rule.parameters.get(key)
    if setting is None:
        return "::/0" if family == 6 else "0.0.0.0/0.0.0.0"
    value = setting.value
    if value.family == 6:
        text = str(value)
    else:
        mask = ".".join(str(value.mask >> shift & 255) for shift in (24, 16, 8, 0))
        text = f"{str(value).partition('/')[0]}/{mask}"
    return f"!{text}" if setting.inverted else text


def word(rule: Rule, key: str) -> str | None:
    """An interface; python-iptables does not tell ``! -i +``, which no packet meets, from no interface."""
    setting = rule.parameters.get(key)
    return None if setting is None or setting.text == "+" else f"{'!' if setting.inverted else ''}{setting.text}"


def protocol(rule: Rule) -> str:
    """python-iptables has a name of its own for any protocol, and for ICMPv6."""
    return (word(rule, "p") or "ip").replace("ipv6-icmp", "icmpv6")


def target(rule: Rule) -> str | None:
    """A rule without a target has one in the kernel, with an empty name."""
    match rule.target:
        case None:
            return ""
        case Jump():
            return rule.target.chain
        case Verdict():
            return rule.target.word
        case UnknownTarget():
            return rule.target.given_name
    return rule.target.name


def ours(table: Table, family: Family) -> dict[str, Any]:
    return {
        chain.name: {
            "policy": chain.policy,
            "rules": [
                {
                    "src": network(r, "s", family), "dst": network(r, "d", family), "in": word(r, "i"), "out": word(r, "o"),
                    "proto": protocol(r), "matches": [m.name for m in r.matches], "target": target(r),
                }
                for r in chain.rules
            ],
        }
        for chain in table.chains.values()
    }  # fmt: skip


def theirs(ruleset: Ruleset) -> dict[str, Any]:
    """The ruleset's tables as python-iptables reads them, after iptables-legacy-restore loaded the dump."""
    restore = f"ip{6 if ruleset.family == 6 else ''}tables-legacy-restore"
    with Namespace() as namespace:
        loaded = namespace.run([restore], input=whole(ruleset))
        assert loaded.returncode == 0, loaded.stderr
        done = namespace.run([sys.executable, "-c", READER, str(ruleset.family), *ruleset.tables])
    if done.returncode:
        pytest.fail(f"python-iptables broke off: status {done.returncode}\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.usefixtures("iptc")
@pytest.mark.parametrize("path", DUMPS, ids=lambda p: str(p.relative_to(FIXTURES)))
def test_python_iptables_writes_the_same(path: Path) -> None:
    """Read back, each rule is the one that was meant; only a chain with a target's name is beyond it."""
    [ruleset] = parse(read(path), path.name).rulesets
    rules = whole(ruleset)
    by_python = loaders(ruleset.family)[-1]
    tried = by_python.load(rules)
    assert tried.refusal is None
    assert [rules.split("\n")[rule.line - 1] for rule in tried.unwritten] == (
        ["-A INPUT -j LOG"] if "goto" in path.parts else []
    )


@pytest.mark.usefixtures("iptc")
@pytest.mark.parametrize("path", DUMPS, ids=lambda p: str(p.relative_to(FIXTURES)))
def test_python_iptables_reads_the_same(path: Path) -> None:
    [ruleset] = parse(read(path), path.name).rulesets
    found = theirs(ruleset)
    for name, table in ruleset.tables.items():
        mine = ours(table, ruleset.family)
        assert set(found[name]) == set(mine)
        for chain, expected in mine.items():
            assert found[name][chain] == expected, f"{name}/{chain}"
