"""The package as people get it: sdist, wheel and a bare checkout, each used from another folder."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DUMP = ROOT / "fixtures/docker/20.10/two-networks/rules.v4"

# One worker, so that what is built is built once.
pytestmark = [pytest.mark.packaging, pytest.mark.xdist_group("packaging")]


def run(*argv: str | Path, cwd: Path) -> str:
    # PYTHONPATH would let a checkout stand in for what was installed.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree as git would hand it out, so that building leaves nothing in the real one."""
    generated = shutil.ignore_patterns(".git", ".venv*", "*_cache", "__pycache__", "*.egg-info", "build", "dist")
    copy = tmp_path_factory.mktemp("copy") / "iptexplain"
    return Path(shutil.copytree(ROOT, copy, symlinks=True, ignore=generated))


@pytest.fixture(scope="module")
def distributions(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("distributions")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, cwd=checkout)
    return folder


@pytest.fixture(scope="module")
def installed(distributions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the wheel in it."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    [wheel] = distributions.glob("*.whl")
    run(folder / "bin/python", "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    return folder


def test_sdist_has_what_the_tests_need(distributions: Path) -> None:
    [sdist] = distributions.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"Makefile", "LICENSE", "tests/conftest.py", "tests/kernel/namespace.py", str(DUMP.relative_to(ROOT))}
    wanted |= {str(file.relative_to(ROOT)) for file in (ROOT / "templates").rglob("*.j2")}
    wanted |= {str(file.relative_to(ROOT)) for file in (ROOT / "man").iterdir()}
    assert wanted - names == set()


def test_wheel_explains_from_another_folder(installed: Path, tmp_path: Path) -> None:
    assert run(installed / "bin/iptexplain", DUMP, cwd=tmp_path).strip()


def test_wheel_has_the_templates_and_types(installed: Path) -> None:
    [package] = installed.glob("lib/python*/site-packages/iptexplain")
    templates = ROOT / "templates"
    missing = [
        file.relative_to(templates)
        for file in templates.rglob("*.j2")
        if not (package / "templates" / file.relative_to(templates)).is_file()
    ]
    assert not missing
    assert (package / "py.typed").is_file()


def test_wheel_installs_the_manual(installed: Path) -> None:
    for page in ("iptexplain.1", "iptexplain-docker.7"):
        there = installed / "share/man" / f"man{page[-1]}"
        assert [file.name for file in there.iterdir()] == [page]
        assert (there / page).read_bytes() == (ROOT / "man" / page).read_bytes()
    assert len(list((ROOT / "man").iterdir())) == 2


def test_bare_checkout_runs(checkout: Path) -> None:
    origin = run(sys.executable, "-c", "import iptexplain; print(iptexplain.__file__)", cwd=checkout)
    assert Path(origin.strip()).is_relative_to(checkout)
    assert run(sys.executable, "-m", "iptexplain", DUMP, cwd=checkout).strip()
