"""python -m tests.kernel.lab CASE.json: the kernel's answer to each packet of a case, and the trace's beside it. Needs root."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from tests.kernel.compare import ENDS, Compared, compared
from tests.kernel.lab.laboratory import BACKENDS, run_case

WIDTH = 76


def lines(answer: dict[str, Any]) -> Iterator[str]:
    """One answer, of the kernel's or of the trace's: its steps and its end, and those of the host's own replies."""
    for step in answer["steps"]:
        yield f"{step['table']} {step['chain']} {step['rule']} {step['action']}"
    outcome = answer["outcome"]
    by = outcome.get("by") or {}
    decider = by.get("kernel") or " ".join(str(by[key]) for key in ("table", "chain", "rule") if key in by)
    words = [outcome["kind"], decider and f"by {decider}", outcome.get("iface"), outcome.get("with")]
    yield "=> " + " ".join(str(word) for word in words if word)
    yield "   " + " ".join(f"{key}={outcome['tuple'][key]}" for key in ENDS if key in outcome.get("tuple", {}))
    for reply in answer.get("replies", []):
        yield f"reply: {reply['type']} {reply['src']} > {reply['dst']}"
        yield from (f"  {line}" for line in lines(reply))


def shown(one: Compared) -> Iterator[str]:
    """Both answers to a packet side by side, then where they differ."""
    sent = one.result["packet"]
    yield f"packet {one.number}: " + " ".join(f"{key}={value}" for key, value in sent.items())
    states = [f"{answer.get('ctstate')} {answer.get('ctdir', '')}" for answer in (one.result, one.answer)]
    left, right = [states[0], *lines(one.result)], [states[1], *lines(one.answer)]
    for ours, theirs in zip_longest(left, right, fillvalue=""):
        yield f"  {'!' if ours != theirs else ' '} {ours:<{WIDTH}} {theirs}".rstrip()
    for difference in one.differences:
        yield f"  DIFFERS {difference}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kernel.lab", description=__doc__)
    parser.add_argument("case", type=Path)
    parser.add_argument("--backend", choices=BACKENDS, help="instead of the one that the case names, else nft")
    arguments = parser.parse_args()
    case = json.loads(arguments.case.read_text())
    case.setdefault("name", arguments.case.stem)
    results, facts = run_case(case, arguments.backend or case.get("backend", "nft"))
    answers = compared(case | {"results": results, "facts": facts})
    for one in answers:
        print("\n".join(shown(one)))
    return int(any(one.differences for one in answers))


if __name__ == "__main__":
    sys.exit(main())
