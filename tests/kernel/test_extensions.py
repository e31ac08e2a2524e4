"""The stanzas' rule, save and error, held against the real iptables-restore and iptables-save, on both backends."""

from __future__ import annotations

import pytest

from tests.kernel.namespace import Namespace
from tests.stanzas import Stanza, ruleset
from tests.test_extensions import CASES

BACKENDS = ("nft", "legacy")


def restored(namespace: Namespace, stanza: Stanza, backend: str) -> tuple[str | None, str]:
    """The rule as the kernel's tables give it back (None: refused), and what the restore said."""
    program = f"ip{'6' if stanza.family == 6 else ''}tables-{backend}"
    if stanza.has("setup"):
        namespace.run(["sh", "-c", stanza.get("setup")])
    table = stanza.get("table", "filter")
    for name in ("filter", "nat", "raw", "mangle", "security"):
        namespace.run([f"{program}", "-t", name, "-F"])
    loaded = namespace.run([f"{program}-restore"], input=ruleset(stanza))
    if loaded.returncode:
        return None, loaded.stderr
    saved = namespace.run([f"{program}-save", "-t", table]).stdout
    rules = [line for line in saved.splitlines() if line.startswith("-A")]
    return "\n".join(" ".join(line.split(" ")[2:]) for line in rules), loaded.stderr


@pytest.fixture(scope="module")
def namespace():
    with Namespace() as made:
        yield made


def asked() -> list[pytest.param]:
    """Stanza and backend; ``kernel: nft``, ``legacy`` or ``no`` says that the others cannot take it (the stanza says why)."""
    return [
        pytest.param(stanza, backend, id=f"{stanza.id}-{backend}")
        for stanza in CASES
        for backend in BACKENDS
        if stanza.get("kernel", backend) == backend
    ]


@pytest.mark.parametrize(("stanza", "backend"), asked())
def test_real_iptables_agrees(namespace: Namespace, stanza: Stanza, backend: str) -> None:
    saved, said = restored(namespace, stanza, backend)
    if stanza.has("error"):
        assert saved is None, f"iptables-{backend}-restore takes what we refuse: {saved}"
        return
    assert saved is not None, f"iptables-{backend}-restore refuses {stanza.rule}: {said}"
    assert saved == stanza.get(f"save-{backend}", stanza.get("save", stanza.rule))
