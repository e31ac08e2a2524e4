"""What an iptables extension is: a name and a table of options. Parsing, saving, refusing and answering follow from the table.

A match lives in ``rules/matches/NAME.py``, a target in ``rules/targets/NAME.py`` (lower case, ``-`` as ``_``); the file is
found by its name, no list is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from iptexplain.errors import OptionError
from iptexplain.rules.answer import Answer, Backend, Packet
from iptexplain.rules.nft import conditions, no_form
from iptexplain.rules.values import Family, Kind

if TYPE_CHECKING:
    from iptexplain.rules.model import Rule


HOOKS = frozenset({"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"})


class _OptionFields(NamedTuple):
    name: str
    kind: Kind | None = None
    field: str | None = None
    invert: bool = False
    aliases: tuple[str, ...] = ()
    required: bool = False
    default: Any = None
    hide_default: bool = False
    group: str | None = None
    nft: str | None = None


class Option(_OptionFields):
    """One option of an extension.

    ``kind`` reads and writes its value (None: a flag without a value); ``field`` is the packet's field that the value is
    held against; ``invert``: ``!`` may stand before it; ``default``: the value when it is not given, ``hide_default``:
    iptables-save leaves that value out; ``group``: at most one option of a group may be given; ``nft``: nft's name of the
    field ({ip}: ip or ip6).
    """

    @cached_property
    def key(self) -> str:
        """The name as the tables of settings know it: ``--tcp-flags`` is ``tcp_flags``."""
        return self.name.lstrip("-").replace("-", "_")


class Setting(NamedTuple):
    """An option as a rule gives it."""

    option: Option
    value: Any
    inverted: bool = False

    def save(self) -> str:
        """``[! ]--option[ value]`` in iptables-save's spelling."""
        head = f"! {self.option.name}" if self.inverted else self.option.name
        return f"{head} {self.option.kind.save(self.value)}" if self.option.kind else head

    @property
    def text(self) -> str:
        """The value alone, in iptables-save's spelling."""
        return self.option.kind.save(self.value) if self.option.kind else ""


class Extension:
    """A match or target of one rule: its options as given, in the order of the option table. Never changed after parsing."""

    name: ClassVar[str]
    options: ClassVar[tuple[Option, ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ()
    """Groups of options of which one must be given."""
    needs_any: ClassVar[bool] = False
    """Whether at least one option must be given."""
    protocols: ClassVar[frozenset[str]] = frozenset()
    """The rule must say ``-p`` one of these (not inverted); empty: any rule."""
    families: ClassVar[tuple[Family, ...]] = (4, 6)
    tables: ClassVar[frozenset[str]] = frozenset()
    """The kernel takes it in these tables only; empty: in all."""
    chains: ClassVar[frozenset[str]] = frozenset()
    """The kernel takes it from these base chains only (a user chain is not asked here); empty: from all."""
    names: ClassVar[Mapping[str, Option]] = {}
    """Every way to write an option, aliases included; made from ``options``."""
    checks_rule: ClassVar[bool] = False
    """Whether ``refuse`` has something to say about the rest of the rule."""
    checks_protocol_only: ClassVar[bool] = False
    """Whether ``protocols`` is all that ``refuse`` looks at."""
    single: ClassVar[str | None] = None
    """The option that makes a clause by itself: the only required one, and nothing else is to be checked."""
    takes_oddly: ClassVar[bool] = False
    """Whether ``take`` is its own."""
    converts: ClassVar[bool] = False
    """Whether ``complete`` does something."""
    demanding: ClassVar[tuple[Option, ...]] = ()
    """The options that are required or have a default."""
    grouped: ClassVar[bool] = False
    """Whether options exclude each other."""

    __slots__ = ("settings",)

    def __init__(self, settings: tuple[Setting, ...] = ()) -> None:
        self.settings = settings

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.names = {name: o for o in cls.options for name in (o.name, *o.aliases)}
        cls.takes_oddly = cls.take.__func__ is not Extension.take.__func__  # type: ignore[attr-defined]
        cls.converts = cls.complete.__func__ is not Extension.complete.__func__  # type: ignore[attr-defined]
        cls.demanding = tuple(o for o in cls.options if o.required or o.default is not None)
        cls.grouped = any(o.group for o in cls.options)
        plain = not (cls.converts or cls.takes_oddly or cls.grouped or cls.needs_any or cls.needs)
        cls.single = cls.demanding[0].name if plain and len(cls.demanding) == 1 and cls.demanding[0].required else None
        overridden = cls.refuse is not Extension.refuse
        elsewhere = overridden or bool(cls.tables or cls.chains) or len(cls.families) == 1
        cls.checks_rule = elsewhere or bool(cls.protocols)
        cls.checks_protocol_only = bool(cls.protocols) and not elsewhere

    # -- parsing

    @classmethod
    def setting(cls, key: str, value: Any = True, inverted: bool = False) -> Setting:
        """A setting of the option ``key``, for ``complete``."""
        return Setting(cls.option(key), value, inverted)

    @classmethod
    def option(cls, key: str) -> Option:
        return next(o for o in cls.options if o.key == key)

    @classmethod
    def take(cls, given: dict[str, Setting], setting: Setting) -> None:
        """Take one option into ``given``, in the order of the rule; raises OptionError when it stands there already."""
        if setting.option.key in given:
            raise OptionError("given twice")
        given[setting.option.key] = setting

    @classmethod
    def complete(cls, given: dict[str, Setting], family: Family) -> None:
        """Turn options that are only another way of writing (``--syn``) into the real ones, in place; may raise OptionError."""

    @classmethod
    def build(cls, given: dict[str, Setting], family: Family) -> Self:
        """The extension with the options ``given`` (key → setting); raises OptionError for what iptables refuses."""
        if cls.needs_any and not given:
            raise OptionError(f"{cls.name}: one of {', '.join(o.name for o in cls.options)} must be given")
        if cls.converts:
            cls.complete(given, family)
        for option in cls.demanding:
            if option.key not in given:
                if option.required:
                    raise OptionError(f"{cls.name}: {option.name} must be given")
                given[option.key] = Setting(option, option.default)
        if cls.grouped:
            cls._check_groups(given)
        if len(given) == 1:
            return cls(tuple(given.values()))
        return cls(tuple(given[o.key] for o in cls.options if o.key in given))

    @classmethod
    def _check_groups(cls, given: dict[str, Setting]) -> None:
        groups = [s.option.group for s in given.values() if s.option.group]
        for group in groups:
            if groups.count(group) > 1:
                both = " and ".join(s.option.name for s in given.values() if s.option.group == group)
                raise OptionError(f"{cls.name}: {both} cannot be used together")
        for group in cls.needs:
            if group not in groups:
                names = ", ".join(o.name for o in cls.options if o.group == group)
                raise OptionError(f"{cls.name}: one of {names} must be given")

    def refuse(self, rule: Rule, table: str, family: Family) -> str | None:
        """Why iptables would not take this extension in this rule, or None."""
        if self.protocols and (rule.parameters.protocol not in self.protocols):
            wanted = " or ".join(f"-p {p}" for p in sorted(self.protocols))
            options = " ".join(s.option.name for s in self.settings) or self.name
            return f"{options} needs {wanted}"
        if self.tables and table not in self.tables:
            return f"{self.name} is only valid in table {' or '.join(sorted(self.tables))}, not in {table}"
        if self.chains and rule.chain in HOOKS and rule.chain not in self.chains:
            return f"{self.name} is only valid in {' or '.join(sorted(self.chains))}, not in {rule.chain}"
        if family not in self.families:
            return f"{self.name} is for IPv{self.families[0]} only"
        return None

    # -- reading

    @property
    def called(self) -> str:
        """The name by which the rule calls it."""
        return self.name

    def get(self, key: str) -> Setting | None:
        """The setting of the option ``key``, or None when the rule does not give it."""
        for setting in self.settings:
            if setting.option.key == key:
                return setting
        return None

    def value(self, key: str) -> Any:
        """The value of the option ``key``, or None when the rule does not give it."""
        setting = self.get(key)
        return None if setting is None else setting.value

    def words(self) -> Mapping[str, Setting | None]:
        """Every option of the table by its key, for the templates."""
        given = {s.option.key: s for s in self.settings}
        return {o.key: given.get(o.key) for o in self.options}

    # -- saving

    def save_options(self, backend: Backend) -> str:
        """The options as iptables-save prints them, without the leading space."""
        shown = [s for s in self.settings if s.inverted or not s.option.hide_default or s.value != s.option.default]
        return " ".join(s.save() for s in shown)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.settings == other.settings

    def __hash__(self) -> int:
        return hash((type(self), self.settings))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.save_options(Backend.NFT)!r})"


class Match(Extension):
    """A condition of a rule (``-m NAME …``)."""

    reads_header: ClassVar[bool] = False
    """It reads the transport protocol's header: fragments after the first have none, and never match."""

    __slots__ = ()

    def save(self, backend: Backend) -> str:
        options = self.save_options(backend)
        return f"-m {self.name} {options}" if options else f"-m {self.name}"

    def nft(self, rule: Rule, family: Family) -> list[str]:
        """As nft writes the condition: alternatives that exclude each other, mostly one; raises OptionError without any."""
        return conditions(self, family)

    def answer(self, packet: Packet) -> Answer:
        """Whether ``packet`` meets the condition: all of the options hold."""
        if self.reads_header and packet.field("fragment") is True:
            return Answer.NO
        result = Answer.YES
        for setting in self.settings:
            answer = self.holds(setting, packet)
            if answer is Answer.NO:
                return answer
            if answer is Answer.UNKNOWN:
                result = answer
        return result

    def holds(self, setting: Setting, packet: Packet) -> Answer:
        """Whether ``packet`` meets one option (``!`` included): the option's field is held against its value."""
        option, value, inverted = setting
        actual = packet.field(option.field) if option.field else Answer.UNKNOWN
        if actual is Answer.UNKNOWN or option.kind is None:
            return Answer.UNKNOWN
        return Answer.YES if option.kind.contains(value, actual) != inverted else Answer.NO

    def within(self) -> Answer:
        """The answer while what the match counts is within its bound; UNKNOWN: it has no such bound."""
        return Answer.UNKNOWN

    def assumed(self, word: str) -> Answer:
        """The answer under what somebody assumes of it: yes, no, within or beyond its bound; UNKNOWN: the word says nothing."""
        answers = {"yes": Answer.YES, "no": Answer.NO, "within": self.within(), "beyond": ~self.within()}
        return answers.get(word, Answer.UNKNOWN)


class Target(Extension):
    """What a rule does with a packet (``-j NAME …``)."""

    verdict: ClassVar[str | None] = None
    """ACCEPT or DROP: the packet leaves the table so; UNKNOWN: a program decides; None: the next rule is asked."""

    __slots__ = ()

    def save(self, backend: Backend) -> str:
        options = self.save_options(backend)
        return f"-j {self.name} {options}" if options else f"-j {self.name}"

    def nft(self, rule: Rule, family: Family) -> str:
        """As nft writes the statement; raises OptionError without any."""
        raise no_form(f"-j {self.called}")

    def decide(self, packet: Packet) -> str | None:
        """The verdict for ``packet``, where it is not the same for all."""
        return self.verdict

    def changes(self, packet: Packet) -> Mapping[str, Any]:
        """The fields that later rules see changed, with their new values (Answer.UNKNOWN where nobody can tell)."""
        return {}
