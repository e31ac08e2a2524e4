"""What somebody assumes of the host and of conditions that no dump decides: ``NAME=VALUE``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from iptexplain.errors import UsageError
from iptexplain.host.snapshot import Snapshot
from iptexplain.host.sysctls import SHORT, largest
from iptexplain.rules.answer import Answer
from iptexplain.rules.extension import Extension, Match, Target
from iptexplain.rules.model import Verdict

ORDER, FIRST = "order", ("nft", "legacy")
"""The assumption which of two backends the kernel asks first, and what can be assumed of it."""


def assume(snapshot: Snapshot, texts: Iterable[str]) -> Snapshot:
    """``snapshot`` with what ``texts`` assume; sysctls count more than those of the snapshot.

    Raises UsageError for what is no assumption, has no effect on these rules, or says a word that means nothing there.
    """
    words: dict[str, str] = {}
    sysctls: dict[str, int] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--assume {text}: write NAME=VALUE, such as limit=within or bridge-nf-call-iptables=0")
        setting = SHORT.get(name, name)
        most = largest(setting)
        if most is not None:
            sysctls[setting] = _number(text, value, most)
        else:
            _check_word(snapshot, text, name, value)
            words[name] = value
    given = {**snapshot.facts.get("sysctls", {}), **sysctls}
    facts = {**snapshot.facts, "sysctls": given} if given else snapshot.facts
    return snapshot._replace(facts=facts, assumed={**words, **{k: str(v) for k, v in sysctls.items()}})


def _number(text: str, value: str, most: int) -> int:
    allowed = [str(number) for number in range(most + 1)]
    if value not in allowed:
        name = text.partition("=")[0]
        raise UsageError(f"--assume {text}: a sysctl is a number, and of {name} one can assume {', '.join(allowed)}")
    return int(value)


def _check_word(snapshot: Snapshot, text: str, name: str, word: str) -> None:
    if name == ORDER and any(snapshot.others(r) for _, r in snapshot.halves()):
        if word not in FIRST:
            raise UsageError(f"--assume {text}: of {ORDER} one can assume {', '.join(FIRST)}")
        return
    asked = _undecided(snapshot)
    if name not in asked:
        near = difflib.get_close_matches(name, [*asked, *SHORT], 3)
        hint = f": did you mean {' or '.join(near)}?" if near else f"; there are {', '.join(sorted({*asked, *SHORT}))}"
        raise UsageError(f"--assume {text}: no rule here asks for '{name}', and no sysctl is called so{hint}")
    allowed = words_for(asked[name])
    if word not in allowed:
        raise UsageError(f"--assume {text}: of {name} one can assume {', '.join(allowed)}")


def words_for(about: Extension | None) -> tuple[str, ...]:
    """What can be assumed of a condition, or of a program's verdict."""
    if not isinstance(about, Match):
        return "accept", "drop"
    return ("yes", "no") if about.within() is Answer.UNKNOWN else ("within", "beyond", "yes", "no")


def _undecided(snapshot: Snapshot) -> dict[str, Extension | None]:
    """The matches of the rules, and the targets whose verdict a program gives, by name."""
    found: dict[str, Extension | None] = {}
    for _, ruleset in snapshot.rulesets():
        for table in ruleset.tables.values():
            for rule in table.rules():
                found.update({m.called: m for m in rule.matches})
                target = rule.target
                if isinstance(target, Verdict) and target.word == "QUEUE":
                    found["QUEUE"] = target
                elif isinstance(target, Target) and target.verdict == "UNKNOWN":
                    found[target.called] = target
    return found
