"""One table of a dump: its chains and rules, and what must hold between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Extension, Match, Target
from iptexplain.rules.find import find_match, find_target
from iptexplain.rules.model import BASE_CHAINS, VERDICTS, Chain, Counters, Generated, Jump, Rule, Table, Verdict
from iptexplain.rules.parameters import Parameters
from iptexplain.rules.parse_rule import ParsedRule, RuleError, add_setting
from iptexplain.rules.values import Family
from iptexplain.rules.words import split_words

Report = Callable[[str, int, str, int], None]
"""Takes an error: message, line, the line's text, column (0: none)."""

CHAIN_NAME_LIMIT = 28


class TableParser:
    """Reads the lines of one table. Equal clauses of rules are read once and shared."""

    def __init__(self, name: str, line: int, family: Family, generated: Generated | None, report: Report) -> None:
        self.name, self.line, self.family, self.generated, self.report = name, line, family, generated, report
        self.policies: dict[str, tuple[str | None, Counters, int]] = {}
        self.rules: dict[str, list[Rule]] = {}
        self.targets: dict[str, Target | None] = {f" {v}": Verdict(v) for v in VERDICTS}
        self.matches: dict[str, Match] = {}
        self.heads: dict[str, Parameters] = {}
        self.lines: list[tuple[int, str]] = []

    def parse(self, lines: list[tuple[int, str]]) -> Table:
        base = BASE_CHAINS[self.name]
        self.lines = lines
        self.rules = {name: [] for name in base}
        for number, line in lines:
            text = line.strip()
            if text[0] == ":" or text.startswith(("-N ", "-P ")):
                self._chain(number, text)
        for number, line in lines:
            if line[0] != ":" and not (line[:3] == "-A " and self._fast(number, line, None)):
                self._rule(number, line)
        self._check_loops()
        chains = {}
        for name, rules in self.rules.items():
            policy, counters, number = self.policies.get(name, ("ACCEPT" if name in base else None, Counters(), 0))
            chains[name] = Chain(name, policy, counters, tuple(rules), number)
        counted = any(r.counters is not None for rules in self.rules.values() for r in rules)
        return Table(self.name, chains, self.line, self.generated, counted)

    # -- chains

    def _chain(self, number: int, text: str) -> None:
        words = text.split()
        name = words[0][1:] if text[0] == ":" else (words[1] if len(words) > 1 else "")
        rest = words[1:] if text[0] == ":" else words[2:]
        policy = "-" if text.startswith("-N") else (rest[0] if rest else "")
        counters = Counters()
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
        """A rule as iptables-save prints it: its clauses are looked up as text. False: anything unusual, nothing was done."""
        if "\\" in line:
            return False
        _, _, spec = line.partition(" ")
        chain, _, spec = spec.partition(" ")
        rules = self.rules.get(chain)
        if rules is None:
            return False
        spec, dash, jump = (" " + spec).rpartition(" -j")
        if not dash:
            spec, jump = jump, ""
        head, *clauses = spec.split(" -m ")
        parameters = self.heads.get(head) or self._head(head)
        if parameters is None:
            return False
        matches = []
        for clause in clauses:
            match = self.matches.get(clause) or self._match(clause)
            if match is None:
                return False
            matches.append(match)
        target = self.targets.get(jump) if jump else None
        if target is None and jump:
            target = self._target(jump)
            if target is None:
                return False
        rule = Rule(number, chain, parameters, tuple(matches), target, counters)
        if self._accept(rule, line):
            rules.append(rule)
        return True

    def _accept(self, rule: Rule, line: str) -> bool:
        """Ask the extensions whether they may stand in this rule."""
        for extension in (*rule.matches, rule.target):
            if extension is not None and extension.checks_rule:
                problem = extension.refuse(rule, self.name, self.family)
                if problem:
                    word = extension.settings[0].option.name if extension.settings else f" {extension.name}"
                    self.report(problem, rule.line, line, line.find(word.lstrip()) + 1)
                    return False
        return True

    def _head(self, text: str) -> Parameters | None:
        found = self._plain(Parameters, text.split())
        if found is not None:
            self.heads[text] = found  # type: ignore[assignment]
        return found  # type: ignore[return-value]

    def _match(self, text: str) -> Match | None:
        words = plain_words(text)
        kind = find_match(words[0]) if words else None
        found = self._plain(kind, words[1:]) if kind and words else None
        if found is not None:
            self.matches[text] = found  # type: ignore[assignment]
        return found  # type: ignore[return-value]

    def _target(self, text: str) -> Target | None:
        words = plain_words(text)
        if not words:
            return None
        if len(words) == 1 and words[0] in self.rules and words[0] not in VERDICTS:
            found: Extension | None = Jump(words[0])
        else:
            kind = find_target(words[0])
            found = self._plain(kind, words[1:]) if kind else None
        if found is not None:
            self.targets[text] = found  # type: ignore[assignment]
        return found  # type: ignore[return-value]

    def _plain(self, kind: type[Extension], words: list[str]) -> Extension | None:
        """An extension from words that are just its own options in full; None for anything else, errors included."""
        names = kind.names
        given: dict[str, object] = {}
        i, end = 0, len(words)
        try:
            while i < end:
                inverted = words[i] == "!"
                i += inverted
                option = names.get(words[i])
                if option is None:
                    return None
                count = option.kind.words if option.kind else 0
                values = words[i + 1 : i + 1 + count]
                if len(values) < count or "!" in values or (kind is Parameters and count and "," in values[0]):
                    return None
                add_setting(kind, given, option, inverted, values, self.family)  # type: ignore[arg-type]
                i += 1 + count
            return kind.build(given, self.family)  # type: ignore[arg-type]
        except (OptionError, IndexError):
            return None

    # -- the whole table

    def _check_loops(self) -> None:
        """Follow the jumps depth first: a way back into a chain that is being followed is a loop (the kernel refuses it)."""
        jumps = {
            name: {r.target.chain: r for r in reversed(rules) if isinstance(r.target, Jump)}
            for name, rules in self.rules.items()
        }
        state: dict[str, str] = {}
        for start in self.rules:
            stack: list[tuple[str, Iterator[str]]] = [(start, iter(jumps[start]))] if start not in state else []
            state.setdefault(start, "open")
            while stack:
                name, following = stack[-1]
                target = next(following, None)
                if target is None:
                    state[name] = "done"
                    stack.pop()
                elif target not in jumps:
                    continue
                elif state.get(target) == "open":
                    rule = jumps[name][target]
                    way = [n for n, _ in stack]
                    loop = " -> ".join([*way[way.index(target) :], target])
                    self.report(f"a loop of jumps: {loop}", rule.line, dict(self.lines)[rule.line], 0)
                elif target not in state:
                    state[target] = "open"
                    stack.append((target, iter(jumps[target])))


def plain_words(text: str) -> list[str] | None:
    """The words of a clause without backslashes; None when a quote is not closed or stands within a word."""
    if '"' not in text:
        return text.split()
    pieces = text.split('"')
    if not len(pieces) % 2:
        return None
    words: list[str] = []
    for i, piece in enumerate(pieces):
        if i % 2:
            words.append(piece)
        elif (i and piece[:1] not in ("", " ")) or (i + 1 < len(pieces) and piece[-1:] not in ("", " ")):
            return None
        else:
            words += piece.split()
    return words
