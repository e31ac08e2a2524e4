"""The commands and the text for iptables-restore, given to the real programs: both make the rules that were proved."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from iptexplain.commands import program
from iptexplain.host.snapshot import read_snapshot
from tests.kernel.namespace import Namespace
from tests.test_dumps import FIXTURES
from tests.test_wish import CALLS


@pytest.mark.parametrize("call", CALLS)
def test_commands_and_restore_make_the_same_rules(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)
    words = [word for word in CALLS[call]["words"] if word not in ("--format", "restore")]
    name = next(word for word in words if word.endswith((".json", ".txt")))
    snapshot = read_snapshot((FIXTURES / name).read_text(), name)
    family = "6" if snapshot.families[0] == 6 else ""
    saved = []
    for syntax, load in (("commands", ["sh", "-e"]), ("restore", [f"ip{family}tables-restore", "--noflush"])):
        made = CliRunner().invoke(program, ["generate", *words, "--format", syntax])
        with Namespace() as namespace:
            dump = snapshot.dumps[0].text
            assert namespace.run([f"ip{family}tables-restore"], input=dump).returncode == 0
            before = namespace.run([f"ip{family}tables-save"]).stdout.splitlines()
            done = namespace.run(load, input=made.stdout)
            assert (done.returncode, done.stderr) == (0, "")
            saved.append([x for x in namespace.run([f"ip{family}tables-save"]).stdout.splitlines() if x[:1] != "#"])
    added = [x for x in saved[0] if x.startswith("-A") and x not in before]
    assert saved[0] == saved[1] and added
    assert [x for x in saved[0] if x not in added and x[:1] != ":"] == [x for x in before if x[:1] not in "#:"]
