"""One table of a dump: its chains and rules, and what must hold between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from iptexplain.rules.clauses import Clauses
from iptexplain.rules.model import BASE_CHAINS, Chain, Counters, Generated, Jump, Rule, Table
from iptexplain.rules.parse_rule import ParsedRule, RuleError
from iptexplain.rules.values import Family
from iptexplain.rules.words import split_words

Report = Callable[[str, int, str, int], None]
"""Takes an error: message, line, the line's text, column (0: none)."""

CHAIN_NAME_LIMIT = 28
ZERO = Counters()


class TableParser:
    """Reads the lines of one table. Equal clauses of rules are read once and shared."""

    def __init__(self, name: str, line: int, family: Family, generated: Generated | None, report: Report) -> None:
        self.name, self.line, self.family, self.generated, self.report = name, line, family, generated, report
        self.policies: dict[str, tuple[str | None, Counters, int]] = {}
        self.rules: dict[str, list[Rule]] = {chain: [] for chain in BASE_CHAINS[name]}
        self.clauses = Clauses(name, family, self.rules)
        self.lines: list[tuple[int, str]] = []
        self.counted = False

    def parse(self, lines: list[tuple[int, str]]) -> Table:
        base = BASE_CHAINS[self.name]
        self.lines = lines
        rules_of, read = self.rules, self.clauses.rule
        for number, line in lines:
            if line[:3] == "-A " and "\\" not in line:
                end = line.find(" ", 3)
                chain, spec = (line[3:end], line[end:]) if end > 0 else (line[3:], "")
                rule = read(number, chain, spec, None) if chain in rules_of else None
                if rule is not None:
                    rules_of[chain].append(rule)
                    continue
            if line[0] == ":" or line[:3] in ("-N ", "-P "):
                self._chain(number, line)
            else:
                self._rule(number, line)
        self._check_loops()
        chains = {}
        for name, rules in self.rules.items():
            policy, counters, number = self.policies.get(name, ("ACCEPT" if name in base else None, ZERO, 0))
            chains[name] = Chain(name, policy, counters, tuple(rules), number)
        return Table(self.name, chains, self.line, self.generated, self.counted)

    # -- chains

    def _chain(self, number: int, line: str) -> None:
        name = line[1:-8]
        if (
            line[-8:] == " - [0:0]"
            and name not in self.rules
            and len(name) <= CHAIN_NAME_LIMIT
            and name.isascii()
            and " " not in name
        ):
            self.policies[name] = (None, ZERO, number)
            self.rules[name] = []
            return
        self._unusual_chain(number, line.strip())

    def _unusual_chain(self, number: int, text: str) -> None:
        words = text.split()
        name = words[0][1:] if text[0] == ":" else (words[1] if len(words) > 1 else "")
        rest = words[1:] if text[0] == ":" else words[2:]
        policy = "-" if text.startswith("-N") else (rest[0] if rest else "")
        counters = ZERO
        if rest[1:]:
            numbers = rest[1].strip("[]").split(":") if text[0] == ":" else rest[2:4]
            if len(numbers) != 2 or not all(n.isdecimal() for n in numbers):
                return self.report(
                    f"the counters of a chain are [PACKETS:BYTES], not '{rest[1]}'",
                    number,
                    text,
                    text.find(rest[1]) + 1,
                )
            counters = Counters(int(numbers[0]), int(numbers[1]))
        is_base = name in BASE_CHAINS[self.name]
        problem = None
        if not name or not policy:
            problem = "a chain's line is ':NAME POLICY [PACKETS:BYTES]'"
        elif name in self.policies:
            problem = f"chain {name} is declared twice in table {self.name} (line {self.policies[name][2]})"
        elif len(name.encode(errors="surrogateescape")) > CHAIN_NAME_LIMIT:
            problem = f"chain name '{name}' is longer than {CHAIN_NAME_LIMIT} characters"
        elif not is_base and policy != "-":
            problem = f"{name} is a user chain of table {self.name}: it cannot have the policy {policy}, write '-'"
        elif is_base and policy not in ("ACCEPT", "DROP", "-"):
            problem = f"the policy of {name} is ACCEPT or DROP, not '{policy}'"
        if problem:
            self.report(problem, number, text, 2 if text[0] == ":" else 4)
        self.policies.setdefault(name, (("ACCEPT" if policy == "-" else policy) if is_base else None, counters, number))
        self.rules.setdefault(name, [])
        return None

    # -- rules

    def _rule(self, number: int, line: str) -> None:
        """A rule with counters, quotes or in an unusual spelling."""
        line = line.rstrip()
        start = len(line) - len(line.lstrip())
        counters = None
        if line[start] == "[":
            end = line.find("] ")
            numbers = line[start + 1 : end].split(":")
            if end < 0 or len(numbers) != 2 or not all(n.isdecimal() for n in numbers):
                self.report("the counters before a rule are [PACKETS:BYTES]", number, line, start + 1)
                return None
            counters = Counters(int(numbers[0]), int(numbers[1]))
            self.counted = True
            start = end + 2
        if line[start : start + 3] == "-A " and self._fast(number, line[start:], counters):
            return None
        command = line[start : start + 3]
        if command in ("-N ", "-P "):
            return None
        words = split_words(line, start)
        if len(words) < 2 or words[0].text not in ("-A", "--append", "-I", "--insert"):
            self.report("not a line of iptables-save: rules begin with -A CHAIN", number, line, start + 1)
            return None
        chain, rest = words[1], words[2:]
        position = None
        if words[0].text in ("-I", "--insert"):
            position = 0
            if rest and rest[0].text.isdecimal():
                position = int(rest.pop(0).text) - 1
        if chain.text not in self.rules:
            self.report(f"there is no chain '{chain.text}' in table {self.name}", number, line, chain.column)
            return None
        try:
            parsed = ParsedRule(rest, self.family, self.rules)
        except RuleError as e:
            self.report(e.message, number, line, e.word.column if e.word else 0)
            return None
        if parsed.other_family:
            return None
        for i, parameters in enumerate(parsed.parameters):
            rule = Rule(
                number, chain.text, parameters, tuple(parsed.matches), parsed.target, counters or parsed.counters
            )
            if not self._accept(rule, line):
                return None
            rules = self.rules[chain.text]
            rules.insert(len(rules) if position is None else position + i, rule)
        return None

    def _fast(self, number: int, line: str, counters: Counters | None) -> bool:
        """A rule as iptables-save prints it. False: anything unusual, nothing was done."""
        end = line.find(" ", 3)
        chain, spec = (line[3:end], line[end:]) if end > 0 else (line[3:], "")
        rules = self.rules.get(chain)
        if rules is None or "\\" in line:
            return False
        rule = self.clauses.rule(number, chain, spec, counters)
        if rule is None:
            return False
        rules.append(rule)
        return True

    def _accept(self, rule: Rule, line: str) -> bool:
        """Ask the extensions whether they may stand in this rule."""
        for extension in (*rule.matches, rule.target):
            problem = extension and extension.checks_rule and extension.refuse(rule, self.name, self.family)
            if extension and problem:
                word = extension.settings[0].option.name if extension.settings else extension.name
                self.report(problem, rule.line, line, line.find(word) + 1)
                return False
        return True

    # -- the whole table

    def _check_loops(self) -> None:
        """A chain that is jumped to from within itself is a loop, which the kernel refuses."""
        jumps = {
            n: {r.target.chain for r in rules if r.target.__class__ is Jump} for n, rules in self.rules.items() if rules
        }
        for _ in range(4):  # what leads only to chains without jumps is in no loop: that settles most rulesets
            jumps = {n: targets for n, targets in jumps.items() if not jumps.keys().isdisjoint(targets)}
        state: dict[str, str] = {}
        for start in jumps:
            stack: list[tuple[str, Iterator[str]]] = [(start, iter(sorted(jumps[start])))] if start not in state else []
            state.setdefault(start, "open")
            while stack:
                name, following = stack[-1]
                target = next(following, None)
                if target is None:
                    state[name] = "done"
                    stack.pop()
                elif state.get(target) == "open":
                    self._report_loop([n for n, _ in stack], target)
                elif target in jumps and target not in state:
                    state[target] = "open"
                    stack.append((target, iter(sorted(jumps[target]))))

    def _report_loop(self, way: list[str], target: str) -> None:
        """The last chain of ``way`` jumps back to ``target``."""
        rule = next(r for r in self.rules[way[-1]] if isinstance(r.target, Jump) and r.target.chain == target)
        loop = " -> ".join([*way[way.index(target) :], target])
        self.report(f"a loop of jumps: {loop}", rule.line, dict(self.lines)[rule.line], 0)
