"""The shape of the package: which stage may import which, how long a module may be, how none is named."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "iptexplain"
MODULES = sorted(PACKAGE.rglob("*.py"))

# The order in which data passes; a stage imports from itself and from those before it.
STAGES = (
    "errors",
    "rules",
    "host",
    "walk",
    "sets",
    "recognise",
    "explain",
    "lint",
    "generate",
    "outputs",
    "commands",
    "__main__",
)


def imported(module: Path) -> Iterator[str]:
    """Dotted names of this package that a module imports anywhere in it, relative ones resolved."""
    package = ("iptexplain", *module.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(module.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join((*base, *([node.module] if node.module else [])))
            names = [f"{source}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name for name in names if name.split(".")[0] == "iptexplain")


def stage_of(dotted: str) -> str | None:
    """The stage that a dotted name lies in; None for what __init__.py itself defines."""
    second = dotted.split(".")[1] if "." in dotted else ""
    return second if (PACKAGE / second).is_dir() or (PACKAGE / f"{second}.py").is_file() else None


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_imports_only_from_earlier_stages(module: Path) -> None:
    own = module.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        assert not list(imported(module)), "the package itself imports no stage, so that any stage can be had alone"
        return
    assert own in STAGES, f"{own} has no place in the order of the stages"
    upward = [
        name for name in imported(module) if (stage := stage_of(name)) and STAGES.index(stage) > STAGES.index(own)
    ]
    assert not upward


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_module_is_small_and_named_after_its_noun(module: Path) -> None:
    length = len(module.read_text(encoding="utf-8").splitlines())
    assert length < 300
    assert module.stem not in {"utils", "helpers", "manager", "base"}
