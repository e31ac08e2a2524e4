"""ufw: chains around the administrator's rules, asked from INPUT, OUTPUT and FORWARD (ufw-framework(8))."""

from __future__ import annotations

from iptexplain.recognise.program import Fact, Line, Part, Program, Writes, written_by
from iptexplain.rules.model import Jump, Place, Rule, Ruleset, Verdict

HOOK = "(?P<hook>input|forward|output)"

WRITES = Writes(
    parts=(
        Part("before", f"filter ufw6?-before-{HOOK}", has=".* -j ufw6?-user-(input|forward|output)", loose=True),
        Part("user", f"filter ufw6?-user-{HOOK}", own=True),
        Part("after", f"filter ufw6?-after-{HOOK}", loose=True),
        Part("logging", f"filter ufw6?-(before|after)-logging-{HOOK}", loose=True),
        Part("logging", f"filter ufw6?-user-logging-{HOOK}", loose=True),
        Part("logging", "filter ufw6?-logging-(allow|deny)", loose=True),
        Part("default", f"filter ufw6?-(reject|track|skip-to-policy)-{HOOK}", loose=True),
        Part("limit", "filter ufw6?-user-limit(-accept)?", loose=True),
        Part("not-local", "filter ufw6?-not-local", loose=True),
    ),
    lines=(Line("filter (INPUT|FORWARD|OUTPUT) -j ufw6?-[a-z-]+"),),
    signs=(("filter INPUT -j ufw6?-before-input",),),
)

VERDICTS = {"ACCEPT": "allow", "DROP": "deny"}


def recognise(ruleset: Ruleset) -> Program | None:
    """ufw's chains, the rules that the administrator gave it, and what it does with the rest."""
    program = written_by("ufw", WRITES, ruleset)
    if program is None or not any(p.part == "before" for p in program.pieces):
        return None
    return program._replace(facts=(*_user_rules(program), *_defaults(program, ruleset)))


def _user_rules(program: Program) -> list[Fact]:
    """The user rules by direction and by what they do."""
    found: dict[tuple[str, str], list[tuple[Place, Rule]]] = {}
    for place, rule in program.of("user"):
        if does := _does(rule):
            found.setdefault((place.chain.rpartition("-")[2], does), []).append((place, rule))
    return [
        Fact("user", {"hook": hook, "does": does}, tuple(p.line for p, _ in some), tuple(r for _, r in some))
        for (hook, does), some in found.items()
    ]


def _does(rule: Rule) -> str | None:
    """allow, deny, reject or limit; None for the helpers of a rule (what logs and what counts)."""
    if isinstance(rule.target, Jump):
        return "limit" if rule.target.chain.endswith("-user-limit-accept") else None
    if isinstance(rule.target, Verdict):
        return VERDICTS.get(rule.target.word)
    return "reject" if rule.target and rule.target.name == "REJECT" else None


def _defaults(program: Program, ruleset: Ruleset) -> list[Fact]:
    """What becomes of packets that no rule decides: the policies, unless ufw refuses before they are asked."""
    found = []
    for hook in ("INPUT", "FORWARD", "OUTPUT"):
        refusing = program.inside(rf"filter ufw6?-reject-{hook.lower()} .*-j REJECT.*")
        chain = ruleset.chain("filter", hook)
        if chain:
            does = "reject" if refusing else VERDICTS.get(chain.policy or "", "deny")
            lines = tuple(p.line for p, *_ in refusing) or (chain.line,)
            found.append(Fact("default", {"hook": hook.lower(), "does": does}, lines))
    return found
