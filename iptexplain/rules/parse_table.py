"""One table of a dump: its chains and rules, and what must hold between them."""

from __future__ import annotations

import re
from collections.abc import Callable

from iptexplain.rules.check_table import loops, misplaced
from iptexplain.rules.clauses import Clauses
from iptexplain.rules.command import Command, read_command
from iptexplain.rules.model import BASE_CHAINS, VERDICTS, Chain, Counters, Generated, Jump, Rule, Table, Verdict
from iptexplain.rules.parse_rule import ParsedRule
from iptexplain.rules.values import Family
from iptexplain.rules.words import RuleError, Word, split_words

Report = Callable[[str, int, str, int], None]
"""Takes an error: message, line, the line's text, column (0: none)."""

CHAIN_NAME_LIMIT = 28
ZERO = Counters()
_CHAIN_COUNTERS = re.compile(r"\[(-?\d+):(-?\d+)", re.ASCII)
_RULE_COUNTERS = re.compile(r"\[(-?\d+):(-?\d+)\]\s*", re.ASCII)


class TableParser:
    """Reads the lines of one table. Equal clauses of rules are read once and shared."""

    def __init__(self, name: str, line: int, family: Family, generated: Generated | None, report: Report) -> None:
        self.name, self.line, self.family, self.generated, self.report = name, line, family, generated, report
        self.policies: dict[str, tuple[str | None, Counters, int]] = {}
        self.rules: dict[str, list[Rule]] = {chain: [] for chain in BASE_CHAINS[name]}
        self.clauses = Clauses(name, family, self.rules)
        self.counted = False

    def parse(self, lines: list[tuple[int, str]]) -> Table:
        base = BASE_CHAINS[self.name]
        rules_of, read = self.rules, self.clauses.rule
        for number, line in lines:
            if line[:3] == "-A " and "\\" not in line:
                end = line.find(" ", 3)
                chain, spec = (line[3:end], line[end:]) if end > 0 else (line[3:], "")
                rule = read(number, chain, spec, None) if chain in rules_of else None
                if rule is not None:
                    rules_of[chain].append(rule)
                    continue
            if line[0] == ":":
                self._chain(number, line)
            else:
                self._rule(number, line)
        for rule, message, word in (*loops(self.rules, base), *misplaced(self.rules, base)):
            text = dict(lines)[rule.line]
            self.report(message, rule.line, text, text.find(word) + 1 if word else 0)
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
            and name not in VERDICTS
            and len(name) <= CHAIN_NAME_LIMIT
            and name.isascii()
            and " " not in name
        ):
            self.policies[name] = (None, ZERO, number)
            self.rules[name] = []
            return
        self._unusual_chain(number, line.rstrip())

    def _unusual_chain(self, number: int, text: str) -> None:
        """``:NAME POLICY [PACKETS:BYTES]``; of a base chain that comes twice the later policy counts."""
        words = text[1:].split()
        name, policy, counted = [*words, "", "", ""][:3]
        if policy[:1] == "[" and name not in BASE_CHAINS[self.name]:  # iptables-nft-restore does not look at it
            policy, counted = "-", policy
        counters = ZERO
        if counted:
            found = _CHAIN_COUNTERS.match(counted)
            if found is None:
                message = f"the counters of a chain are [PACKETS:BYTES], not '{counted}'"
                return self.report(message, number, text, text.find(counted) + 1)
            counters = Counters.read(found[1], found[2])
        problem = self._declare(name, policy, counters, number)
        if problem:
            self.report(problem, number, text, 2)
        return None

    def _declare(self, name: str, policy: str, counters: Counters, number: int) -> str | None:
        """Take a chain, declared or given a policy; gives back what is wrong with it."""
        is_base = name in BASE_CHAINS[self.name]
        problem = None
        if not name or not policy:
            problem = "a chain's line is ':NAME POLICY [PACKETS:BYTES]'"
        elif name in self.policies and not is_base:
            problem = f"chain {name} is declared twice in table {self.name} (line {self.policies[name][2]})"
        elif len(name.encode(errors="surrogateescape")) > CHAIN_NAME_LIMIT:
            problem = f"chain name '{name}' is longer than {CHAIN_NAME_LIMIT} characters"
        elif name in VERDICTS:
            problem = f"a chain cannot be named {name}: that is a target"
        elif not is_base and policy != "-":
            problem = f"{name} is a user chain of table {self.name}: it cannot have the policy {policy}, write '-'"
        elif is_base and policy not in ("ACCEPT", "DROP", "-"):
            problem = f"the policy of {name} is ACCEPT or DROP, not '{policy}'"
        if is_base:
            self.policies[name] = ("ACCEPT" if policy == "-" else policy, counters, number)
        else:
            self.policies.setdefault(name, (None, ZERO, number))
        self.rules.setdefault(name, [])
        return problem

    # -- rules

    def _rule(self, number: int, line: str) -> None:
        """A rule with counters, quotes or in an unusual spelling, or another command."""
        line = line.rstrip()
        start = len(line) - len(line.lstrip())
        counters = None
        if line[start] == ":":
            return self._unusual_chain(number, line[start:])
        if line[start] == "[":
            found = _RULE_COUNTERS.match(line, start)
            if not found:
                return self.report("the counters before a rule are [PACKETS:BYTES]", number, line, start + 1)
            counters = Counters.read(found[1], found[2])
            self.counted = True
            start = found.end()
        if line[start : start + 3] == "-A " and self._fast(number, line[start:], counters):
            return None
        try:
            words = split_words(line, start)
            if not words or not words[-1].closed:
                raise RuleError("this quote is not closed" if words else "there is no rule here", *words[-1:])
            self._obey(read_command(words), number, line, counters)
        except RuleError as e:
            self.report(e.message, number, line, e.word.column if e.word else 0)
        return None

    def _obey(self, command: Command, number: int, line: str, counters: Counters | None) -> None:
        letter, word, chain = command.letter, command.word, command.chain
        name = chain.text if chain else ""
        if letter == "N" or letter == "P":
            self._new(command, number)
            return
        if chain and name not in self.rules:
            raise RuleError(f"there is no chain '{name}' in table {self.name} (no line ':{name} - [0:0]' above)", chain)
        if letter == "F":
            for rules in [self.rules[name]] if chain else self.rules.values():
                rules.clear()
        elif letter == "X":
            for each in [name] if chain else [c for c in self.rules if c not in BASE_CHAINS[self.name]]:
                self._delete_chain(each, word)
        elif letter in "AIDR":
            self._place(command, self._read(command, number, line, counters))

    def _new(self, command: Command, number: int) -> None:
        """``-N CHAIN`` or ``-P CHAIN POLICY``; ``iptables -S -v`` adds ``-c PACKETS BYTES``."""
        assert command.chain
        rest = [w.text for w in command.rest if w.text not in ("-v", "--verbose")]
        policy = rest.pop(0) if command.letter == "P" and rest else "-"
        counters = ZERO
        if rest[:1] == ["-c"] and len(rest) == 3 and all(n.isdecimal() for n in rest[1:]):
            counters = Counters.read(rest[1], rest[2])
        elif rest:
            raise RuleError(f"'{rest[0]}' does not belong here: a chain's name is one word", command.word)
        name = command.chain.text
        problem = None if name.split() == [name] else f"'{name}' cannot be the name of a chain"
        problem = problem or self._declare(name, policy, counters, number)
        if problem:
            raise RuleError(problem, command.chain)

    def _delete_chain(self, name: str, word: Word) -> None:
        used = any(
            isinstance(r.target, Jump) and r.target.chain == name for rules in self.rules.values() for r in rules
        )
        if self.rules[name] or used or name in BASE_CHAINS[self.name]:
            raise RuleError(f"chain {name} cannot be deleted: it is a base chain, has rules or is jumped to", word)
        del self.rules[name], self.policies[name]
        self.clauses.targets.pop(f" {name}", None)

    def _read(self, command: Command, number: int, line: str, counters: Counters | None) -> list[Rule]:
        """The rules that the words of a line are: more than one when they list addresses, none for the other family."""
        assert command.chain
        if command.number and command.letter == "D" and not command.rest:
            return []
        parsed = ParsedRule(command.rest, self.family, self.rules)
        if parsed.other_family:
            return []
        if parsed.counters:
            if counters:
                raise RuleError("counters are given twice: [PACKETS:BYTES] and -c", command.word)
            counters = parsed.counters
            self.counted = True
        chain, matches = command.chain.text, tuple(parsed.matches)
        rules = [Rule(number, chain, p, matches, parsed.target, counters) for p in parsed.parameters]
        for rule in rules:
            self._accept(rule, line)
        return rules

    def _place(self, command: Command, new: list[Rule]) -> None:
        """Append, insert, delete or replace."""
        assert command.chain
        rules = self.rules[command.chain.text]
        at = int(command.number.text) if command.number else 1
        if command.number and not 0 < at <= len(rules) + (command.letter == "I"):
            raise RuleError(f"chain {command.chain.text} has no rule {at}: it has {len(rules)} here", command.number)
        if command.letter == "A":
            rules.extend(new)
        elif command.letter == "I":
            for rule in new:
                rules.insert(at - 1, rule)
        elif command.letter == "R":
            if len(new) != 1 or not command.number:
                raise RuleError("-R CHAIN NUMBER needs the one new rule", command.word)
            rules[at - 1] = new[0]
        elif command.number:
            del rules[at - 1]
        for rule in new if command.letter == "D" else ():
            same = [i for i, r in enumerate(rules) if r[1:5] == rule[1:5]]
            if not same:
                raise RuleError(f"there is no such rule in chain {rule.chain} to delete", command.word)
            del rules[same[0]]

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

    def _accept(self, rule: Rule, line: str) -> None:
        """Ask the extensions whether they may stand in this rule; raises RuleError."""

        def at(text: str) -> Word:
            return Word(text, line.rfind(text) + 1, text)

        for extension in (*rule.matches, rule.target):
            problem = extension and extension.checks_rule and extension.refuse(rule, self.name, self.family)
            if extension and problem:
                options = [s.option.name for s in extension.settings if s.option.name in line]
                raise RuleError(problem, at([*options, extension.name][0]))
        if isinstance(rule.target, Jump) and rule.target.chain in BASE_CHAINS[self.name]:
            name = rule.target.chain
            raise RuleError(f"{name} is a base chain: a rule can jump to user chains only", at(name))
        if self.name == "nat" and rule.target == Verdict("DROP"):
            raise RuleError("DROP is not allowed in the nat table: packets are filtered in table filter", at("DROP"))
