"""Expectations held against what becomes of the packets."""

from __future__ import annotations

from typing import Any, NamedTuple

from iptexplain.errors import UsageError
from iptexplain.explain.expectations import Expectation
from iptexplain.explain.nodes import Written
from iptexplain.explain.question import Answered, Asker
from iptexplain.explain.situation import decider, is_strange, verdict
from iptexplain.explain.values import place_json
from iptexplain.explain.way import trace_facts, trace_json
from iptexplain.explain.words import environment
from iptexplain.rules.model import Place
from iptexplain.walk.outcome import Trace


class Result(NamedTuple):
    """An expectation and what became of the packet; ``answer``: the way of its answer, where there is one to follow."""

    expectation: Expectation
    answered: Answered
    answer: Trace | None

    @property
    def verdict(self) -> str:
        return verdict(self.answered.way)

    @property
    def decided(self) -> Place | str | None:
        """The rule or policy that decided, or the kernel's reason; None where none of them had to, or nobody can tell which."""
        return _decided(self.answered.way)

    @property
    def answer_verdict(self) -> str | None:
        """None: no answer is followed. One that comes from another address than the one that was asked is as good as dropped."""
        if self.answer and is_strange(self.answered.way, self.answer):
            return "dropped"
        return verdict(self.answer) if self.answer else None

    @property
    def answer_decided(self) -> Place | str | None:
        return _decided(self.answer) if self.answer else None

    @property
    def problem(self) -> str | None:
        """None when the expectation holds, else what does not: unknown, verdict, by, by-unknown or answer.

        What the rules do not settle is never what was expected.
        """
        expected = self.expectation
        if self.verdict == "unknown":
            return "unknown"
        if self.verdict != expected.verdict:
            return "verdict"
        if expected.by and not self.answered.way.settled:
            return "by-unknown"
        if expected.by and expected.by not in _names(self.decided):
            return "by"
        if expected.answer and expected.answer != self.answer_verdict:
            return "answer"
        return None

    @property
    def is_one_way(self) -> bool:
        """Whether the answer does not get back, or may not, and nothing was said of it."""
        return self.expectation.answer is None and self.answer_verdict not in (None, "accepted")

    @property
    def trace(self) -> str:
        """The trace as ``iptexplain trace`` shows it, as Markdown."""
        facts = trace_facts(self.answered.situation, self.answered.way, self.answered.notes)
        return environment().get_template("documents/trace.j2").render(**facts).lstrip()


def judge(asker: Asker, expected: Expectation) -> Result:
    """Raises UsageError for an end that nobody knows, or rules that were not given."""
    answered = asker.ask(expected.source, expected.target, expected.given, expected.ipv6)
    return Result(expected, answered, answered.situation.answer_to(answered.way))


def judge_all(asker: Asker, expectations: list[Expectation], written: Written) -> list[Result]:
    """The results in order. Ends that nobody knows are errors of ``written``, at the line that names them."""
    results = []
    for expected in expectations:
        try:
            results.append(judge(asker, expected))
        except UsageError as e:
            ends = _wrong_ends(asker, expected) or {"to": e.message}
            for key, message in ends.items():
                written.wrong(expected.places.get(key, expected.location), message)
    return results


def _wrong_ends(asker: Asker, expected: Expectation) -> dict[str, str]:
    """The ends that cannot be asked about at all, not even by themselves, and why."""
    found = {}
    for key, end in {"from": expected.source, "to": expected.target}.items():
        try:
            if end:
                asker.ask(end, end, {}, expected.ipv6)
        except UsageError as e:
            found[key] = e.message
    return found


def _decided(way: Trace) -> Place | str | None:
    if not way.settled:
        return None
    by = way.outcome.by
    return by if isinstance(by, str) else decider(way)


def _names(decided: Place | str | None) -> set[str]:
    """What ``by`` may call the place that decided."""
    if decided is None:
        return set()
    if isinstance(decided, str):
        return {"kernel", f"kernel/{decided}"}
    chain, rule = decided.chain, f"{decided.chain}/{decided.rule}"
    return {chain, rule, f"{decided.table}/{chain}", f"{decided.table}/{rule}", f"line {decided.line}"}


def result_json(result: Result) -> dict[str, Any]:
    """One expectation with its result and the trace, as ``test -o json`` prints it."""
    expected, answered = result.expectation, result.answered
    return {
        "line": expected.location.line,
        "name": expected.name,
        "from": expected.source,
        "to": expected.target,
        "packet": expected.given,
        "ipv6": expected.ipv6,
        "expected": {"verdict": expected.verdict, "by": expected.by, "answer": expected.answer},
        "holds": result.problem is None,
        "problem": result.problem,
        "verdict": result.verdict,
        "by": place_json(result.decided),
        "answer": result.answer_verdict,
        "trace": trace_json(answered.situation, answered.way, answered.notes),
    }
