import difflib
import importlib.util
import os
import sys
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.kernel.namespace import why_not

ROOT = Path(__file__).parent.parent
KERNEL_TESTS = Path(__file__).parent / "kernel"
Golden = Callable[[str | Path, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="write what the program prints now into the golden files")
    parser.addoption("--kernel-cases", type=int, default=200, help="how many random cases the kernel is asked")
    parser.addoption(
        "--kernel-style", help="cases of this style alone, such as routes6; each run has the usual ones without it"
    )
    seed = os.environ.get("IPTEXPLAIN_KERNEL_SEED")
    parser.addoption(
        "--kernel-seed",
        type=int,
        default=int(seed) if seed else None,
        help="the seed of the first of them (or IPTEXPLAIN_KERNEL_SEED); each run has its own without it",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if KERNEL_TESTS in item.path.parents:
            item.add_marker("kernel")


@pytest.fixture(autouse=True)
def _recursion_limit() -> Generator[None]:
    """A test's analysis may go deep; what later tests read must not go as deep, for C code has no room for that."""
    limit = sys.getrecursionlimit()
    yield
    sys.setrecursionlimit(limit)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("kernel") and (reason := why_not()):
        cannot(reason)


def cannot(reason: object) -> NoReturn:
    """End a test that cannot run here: it is skipped, but with IPTEXPLAIN_REQUIRE_KERNEL=1 it fails."""
    if os.environ.get("IPTEXPLAIN_REQUIRE_KERNEL") == "1":
        pytest.fail(f"this test must run here but cannot: {reason}", pytrace=False)
    pytest.skip(str(reason))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None]:
    yield
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "kernel" in report.keywords]
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, count in reasons.items():
        terminalreporter.write_line(f"kernel: {count} {'test' if count == 1 else 'tests'} skipped: {reason}")
    reports = [r for key in ("passed", "failed") for r in terminalreporter.stats.get(key, []) if r.when == "call"]
    counted = [value for report in reports for name, value in report.user_properties if name == "kernel-random"]
    if counted:
        packets, undecided, unsent = (sum(each[key] for each in counted) for key in ("packets", "undecided", "skipped"))
        terminalreporter.write_line(
            f"kernel: {packets} packets in random rulesets (--kernel-seed {counted[0]['seed']}), of which the kernel itself"
            f" answered {undecided} once so and once otherwise; {unsent} more were not sent, or could not be followed"
        )


@pytest.fixture
def iptc() -> None:
    """For a test that needs python-iptables."""
    if importlib.util.find_spec("iptc") is None:
        cannot("python-iptables is not installed")


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update"))


@pytest.fixture
def golden(update: bool) -> Golden:
    """golden(path, text): text must be what the file at path holds; a relative path starts at the top of the tree."""

    def compare(path: str | Path, text: str) -> None:
        file = ROOT / path
        if update:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            return
        name = str(path)
        if not file.exists():
            pytest.fail(f"there is no golden {name}; --update writes it", pytrace=False)
        expected = file.read_bytes().decode()
        if text != expected:
            lines = difflib.unified_diff(
                expected.splitlines(), text.splitlines(), f"{name} (golden)", f"{name} (now)", lineterm=""
            )
            pytest.fail("\n".join(lines) or f"{name}: only line ends differ", pytrace=False)

    return compare
