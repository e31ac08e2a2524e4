"""What belongs together is there together: an extension, its words and its cases; a recogniser and its words."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def stems(folder: str, suffix: str) -> set[str]:
    """File names without suffix; a leading underscore marks what the others share."""
    return {file.stem for file in (ROOT / folder).glob(f"*{suffix}") if not file.name.startswith("_")}


@pytest.mark.parametrize("kind", ["matches", "targets"])
def test_extension_has_words_and_cases(kind: str) -> None:
    parts = {
        f"iptexplain/rules/{kind}/{{}}.py": stems(f"iptexplain/rules/{kind}", ".py"),
        f"templates/{kind}/{{}}.j2": stems(f"templates/{kind}", ".j2"),
        f"fixtures/{kind}/{{}}.t": stems(f"fixtures/{kind}", ".t"),
    }
    wanted = set().union(*parts.values())
    missing = sorted(path.format(name) for path, there in parts.items() for name in wanted - there)
    assert not missing


def test_recogniser_has_words() -> None:
    recognisers = {
        name
        for name in stems("iptexplain/recognise", ".py")
        if any(
            isinstance(node, ast.FunctionDef) and node.name == "recognise"
            for node in ast.parse((ROOT / f"iptexplain/recognise/{name}.py").read_bytes()).body
        )
    }
    assert recognisers == stems("templates/recognise", ".j2")


def test_lint_has_words() -> None:
    lints = {
        name
        for name in stems("iptexplain/lint", ".py")
        if any(
            isinstance(node, ast.FunctionDef) and node.name == "find"
            for node in ast.parse((ROOT / f"iptexplain/lint/{name}.py").read_bytes()).body
        )
    }
    assert lints == stems("templates/lint", ".j2")
