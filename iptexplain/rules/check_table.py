"""What must hold between the rules of a table, found when all of them are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from iptexplain.rules.model import Jump, Rule

Problem = tuple[Rule, str, str]
"""A rule, what is wrong with it, and the word of its line that a caret goes under (empty: none)."""

_WITHOUT_OUTPUT = ("PREROUTING", "INPUT")
_WITHOUT_INPUT = ("OUTPUT", "POSTROUTING")


def loops(rules: Mapping[str, Sequence[Rule]], base: Sequence[str]) -> Iterator[Problem]:
    """A chain that is jumped to from within itself: the kernel refuses it, where a base chain leads there."""
    jumps = {n: {r.target.chain for r in own if r.target.__class__ is Jump} for n, own in rules.items() if own}
    for _ in range(4):  # what leads only to chains without jumps is in no loop: that settles most rulesets
        jumps = {n: targets for n, targets in jumps.items() if not jumps.keys().isdisjoint(targets)}
    state: dict[str, str] = {}
    for start in base:
        if start not in jumps:
            continue
        stack: list[tuple[str, Iterator[str]]] = [(start, iter(sorted(jumps[start])))]
        state[start] = "open"
        while stack:
            name, following = stack[-1]
            target = next(following, None)
            if target is None:
                state[name] = "done"
                stack.pop()
            elif state.get(target) == "open":
                way = [n for n, _ in stack]
                rule = next(r for r in rules[name] if isinstance(r.target, Jump) and r.target.chain == target)
                yield rule, f"a loop of jumps: {' -> '.join([*way[way.index(target) :], target])}", ""
            elif target in jumps and target not in state:
                state[target] = "open"
                stack.append((target, iter(sorted(jumps[target]))))


def misplaced(rules: Mapping[str, Sequence[Rule]], base: Sequence[str]) -> Iterator[Problem]:
    """A packet has no output interface yet on its way in, and no input interface any more on its way out.

    Of the rules of a base chain that share their parameters only the first is named.
    """
    for chain in base:
        first = {id(r.parameters): r for r in reversed(rules[chain])}
        for rule in first.values():
            if chain in _WITHOUT_OUTPUT and rule.parameters.get("o"):
                yield rule, f"-o cannot be used in {chain}: there is no output interface at that point", "-o "
            if chain in _WITHOUT_INPUT and rule.parameters.get("i"):
                yield rule, f"-i cannot be used in {chain}: there is no input interface at that point", "-i "
