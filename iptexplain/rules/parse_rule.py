"""One rule from its words: which extension owns which option, what may be left out, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable

from iptexplain.errors import OptionError
from iptexplain.rules.extension import Match, Option, Setting, Target
from iptexplain.rules.find import OUT_OF_TREE, find_match, find_target, owners
from iptexplain.rules.loaded import Loaded
from iptexplain.rules.model import VERDICTS, Counters, Jump, Verdict
from iptexplain.rules.parameters import Parameters
from iptexplain.rules.values import Family
from iptexplain.rules.words import RuleError, Word

NOT_IN_A_RULE = frozenset(
    ("-t", "--table", "-n", "--numeric", "-w", "--wait", "-W", "--wait-interval", "-x", "--exact", "--line-numbers")
)
"""Options of the command line that iptables-restore refuses."""

LONG_OPTIONS = frozenset(n for n in Parameters.names if n.startswith("--")) | frozenset(
    ("--match", "--jump", "--goto", "--set-counters", "--ipv4", "--ipv6", "--verbose")
)


class ParsedRule:
    """What the words of one rule say. ``parameters`` has more than one entry when -s or -d list several addresses."""

    def __init__(self, words: Iterable[Word], family: Family, chains: Iterable[str] | None) -> None:
        self.family = family
        self.chains = chains
        self.words = list(words)
        self.i = 0
        self.clauses: list[Loaded] = []
        self.target_clause: Loaded | None = None
        self.verdict: Target | None = None
        self.basic = Loaded(Parameters, "", Word("", 0, ""))
        self.lists: dict[str, list[Setting]] = {}
        self.counters: Counters | None = None
        self.other_family = False
        while self.i < len(self.words):
            self._option()
        self.parameters = self._parameters()
        self.matches: list[Match] = [c.build(family) for c in self.clauses]  # type: ignore[misc]
        self.target: Target | None = self.verdict
        if self.target_clause:
            self.target = self.target_clause.build(family)

    # -- one option after the other

    def _next(self, after: Word, what: str) -> Word:
        if self.i >= len(self.words):
            raise RuleError(f"{after.text} needs {what}", after)
        self.i += 1
        return self.words[self.i - 1]

    def _option(self) -> None:
        word = self._next(Word("", 0, ""), "")
        bang = None
        if word.text == "!" and not word.quoted:
            bang, word = word, self._next(word, "an option after it")
        if len(word.text) < 2 or word.text[0] != "-" or word.text == "--":
            raise RuleError(
                f"'{word.text}' is not an option: does it need quotes, or is an option missing before it?", word
            )
        word = self._in_full(self._split_attached(word))
        name = word.text
        if name in ("-m", "--match"):
            self._load(word)
        elif name in ("-j", "--jump", "-g", "--goto"):
            self._jump(word)
        elif name in ("-c", "--set-counters"):
            self._count(word)
        elif name in ("-4", "--ipv4", "-6", "--ipv6"):
            self.other_family = name.strip("-").replace("ipv", "") != str(self.family)
        elif name in ("-v", "--verbose"):
            pass
        elif name in NOT_IN_A_RULE:
            raise RuleError(f"{name} cannot stand in a line of a dump", word)
        elif name in Parameters.names and not self._is_of_extension(name):
            self._parameter(Parameters.names[name], bang is not None, word)
        else:
            self._extension_option(word, bang)

    def _count(self, word: Word) -> None:
        """``-c PACKETS BYTES`` or ``-c PACKETS,BYTES``."""
        if self.counters:
            raise RuleError("-c given twice", word)
        first = self._next(word, "two numbers, PACKETS BYTES")
        packets, comma, size = first.text.partition(",")
        second = first._replace(text=size) if comma else self._next(word, "two numbers, PACKETS BYTES")
        try:
            self.counters = Counters.read(packets, second.text)
        except OptionError as e:
            raise RuleError(e.message, first) from None

    def _is_of_extension(self, name: str) -> bool:
        """Whether an extension has an option of this name too, or may have: iptables-save writes ``-p``, not ``--proto``."""
        newest = next(iter(self._loaded()), None)
        if newest is not None and newest.kind is None and name.startswith("--"):
            return True
        return any(c.kind and name in c.kind.names for c in self.clauses)

    def _in_full(self, word: Word) -> Word:
        """iptables' own long options may be shortened (``--in-int``), unless an extension has one that begins so."""
        if not word.text.startswith("--") or len(word.text) < 4:
            return word
        loaded = self._loaded()
        if loaded and loaded[0].kind is None:
            return word
        own = {name for clause in loaded if clause.kind for name in clause.kind.names}
        begun = [name for name in {*own, *LONG_OPTIONS} if name.startswith(word.text)]
        full = len(begun) == 1 and begun[0] not in own and word.text not in LONG_OPTIONS
        return word._replace(text=begun[0]) if full else word

    def _split_attached(self, word: Word) -> Word:
        """``--dport=80`` and ``-ptcp`` are two words each."""
        name, sep, value = word.text.partition("=")
        if name.startswith("--") and sep:
            self.words.insert(self.i, Word(value, word.column + len(name) + 1, value, True))
            return word._replace(text=name)
        if not name.startswith("--") and len(name) > 2 and name[1] in "sdiopjgm":
            self.words.insert(self.i, Word(word.text[2:], word.column + 2, word.text[2:], True))
            return word._replace(text=name[:2])
        return word

    def _values(self, option: Option, word: Word) -> tuple[bool, list[Word]]:
        """The words of the option's value, and whether a ``!`` stands before them, where old iptables wanted it."""
        if option.kind is None or (option.kind.optional and self._at_option()):
            return False, []
        first = self._next(word, "a value")
        old_bang = first.text == "!" and not first.quoted and option.invert
        if old_bang:
            first = self._next(first, "a value")
            if first.text == "!":
                raise RuleError(f"{word.text} needs a value, and one '!' at most", first)
        return old_bang, [
            first,
            *(self._next(word, f"{option.kind.words} values") for _ in range(option.kind.words - 1)),
        ]

    def _at_option(self) -> bool:
        """Whether no value can follow here: an option or a ``!`` does, or nothing."""
        following = self.words[self.i] if self.i < len(self.words) else None
        return following is None or following.is_option() or (following.text == "!" and not following.quoted)

    def _parameter(self, option: Option, inverted: bool, word: Word) -> None:
        old_bang, values = self._values(option, word)
        inverted = inverted or old_bang
        if option.key in "sd" and "," in values[0].text:
            if inverted:
                raise RuleError("! is not allowed with several addresses", values[0])
            self.lists[option.key] = []
            for text in values[0].text.split(","):
                part = Loaded(Parameters, "", word)
                part.add(option, False, [values[0]._replace(text=text)], word, self.family)
                self.lists[option.key].append(part.given[option.key])
        else:
            self.basic.add(option, inverted, values, word, self.family)

    def _load(self, word: Word) -> None:
        name = self._next(word, "a match's name")
        if name.text[:1] == "-":
            raise RuleError(f"{word.text} needs the name of a match before {name.text}", name)
        kind = find_match(name.text)
        self.clauses.append(Loaded(kind, name.text if kind else name.raw, word))

    def _jump(self, word: Word) -> None:
        if self.target_clause or self.verdict:
            raise RuleError("a rule has one target only", word)
        name = self._next(word, "a target")
        goto = word.text in ("-g", "--goto")
        known = self.chains is not None and name.text in self.chains
        kind = None if goto or known else find_target(name.text)
        if name.text in VERDICTS and not goto:
            self.verdict = Verdict(name.text)
        elif kind is not None:
            self.target_clause = Loaded(kind, name.text, word)
        elif known or self.chains is None:
            self.verdict = Jump(name.text, goto)
        elif goto:
            raise RuleError(f"there is no chain '{name.text}' in this table to go to", name)
        elif name.text in OUT_OF_TREE or any(w.text.startswith("--") and not w.quoted for w in self.words[self.i :]):
            self.target_clause = Loaded(None, name.raw, word)
        else:
            hint = f": did you mean {name.text.upper()}?" if find_target(name.text.upper()) else ""
            missing = f"there is no chain '{name.text}' in this table (no line ':{name.text} - [0:0]' above)"
            raise RuleError(f"{missing}, and no such target{hint}", name)

    # -- options of extensions

    def _loaded(self) -> list[Loaded]:
        """The newest first: getopt finds an option in the extension that was loaded last."""
        both = [*self.clauses, *([self.target_clause] if self.target_clause else [])]
        return sorted(both, key=lambda c: -c.word.column)

    def _extension_option(self, word: Word, bang: Word | None) -> None:
        newest = next(iter(self._loaded()), None)
        if newest is not None and newest.kind is None:
            return self._keep_raw(newest, word, bang)
        owner, option = self._owner(word)
        if owner is None or option is None:
            if newest is None:
                hint = owners(word.text)
                if hint:
                    raise RuleError(f"{word.text} needs {hint}", word)
                newest = Loaded(None, "", word)
                self.clauses.append(newest)
            newest.kind = None
            return self._keep_raw(newest, word, bang)
        first = self.i
        old_bang, values = self._values(option, word)
        owner.raw += [*(["!"] if bang else []), word.raw, *(w.raw for w in self.words[first : self.i])]
        owner.add(option, bang is not None or old_bang, values, word, self.family)
        return None

    def _owner(self, word: Word) -> tuple[Loaded | None, Option | None]:
        loaded = self._loaded()
        for clause in loaded:
            option = clause.kind.names.get(word.text) if clause.kind else None
            if option:
                return clause, option
        begun = [
            (c, o)
            for c in loaded
            for n, o in (c.kind.names.items() if c.kind else ())
            if n.startswith(word.text) and word.text.startswith("--")
        ]
        if len({id(o) for _, o in begun}) == 1:
            return begun[0]
        if begun:
            names = ", ".join(dict.fromkeys(o.name for _, o in begun))
            raise RuleError(f"{word.text} is short for more than one option: {names}", word)
        protocol = self.basic.given.get("p")
        name = (
            {"ipv6-icmp": "icmp6", "mobility-header": "mh"}.get(protocol.value, protocol.value)
            if protocol and not protocol.inverted
            else ""
        )
        kind = find_match(name) if name and all(c.name != name for c in self.clauses) else None
        if kind is None or word.text not in {n[: len(word.text)] for n in kind.names}:
            return None, None
        self.clauses.append(Loaded(kind, name, word))
        return self._owner(word)

    def _keep_raw(self, clause: Loaded, word: Word, bang: Word | None) -> None:
        """An option that nobody knows: its words are kept up to the next option."""
        clause.raw += ["!", word.raw] if bang else [word.raw]
        while not self._at_option():
            clause.raw.append(self.words[self.i].raw)
            self.i += 1

    def _parameters(self) -> list[Parameters]:
        """One for each pair of the listed sources and destinations, in iptables' order."""
        combinations = [dict(self.basic.given)]
        for key, settings in sorted(self.lists.items(), reverse=True):
            if key in self.basic.given:
                raise RuleError(f"-{key} given twice", settings[0] and self.basic.values[key])
            combinations = [{**c, key: s} for c in combinations for s in settings]
        try:
            return [Parameters.build(given, self.family) for given in combinations]
        except OptionError as e:
            raise RuleError(e.message, next(iter(self.basic.values.values()), None)) from None
