"""Matches that ask for a packet's connection."""

from __future__ import annotations

from tests.kernel.generate.pools import PORTS
from tests.kernel.generate.scene import Clause, Scene

STATES = ["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED", "DNAT", "SNAT"]
USUAL = ["RELATED,ESTABLISHED", "NEW", "INVALID", "ESTABLISHED", "NEW,UNTRACKED", "DNAT", "SNAT"]
OLD = ["NEW", "ESTABLISHED", "RELATED,ESTABLISHED", "INVALID", "UNTRACKED", "NEW,ESTABLISHED"]
STATUSES = ["NONE", "SEEN_REPLY", "ASSURED", "CONFIRMED", "EXPECTED", "SEEN_REPLY,ASSURED"]
SIDES = {"ctorigsrc": "src", "ctorigdst": "dst", "ctreplsrc": None, "ctrepldst": None}


def _tracked(scene: Scene) -> bool:
    """Raw comes before conntrack: there the matches see nothing."""
    return scene.table != "raw"


def ctstate(scene: Scene) -> Clause | None:
    if not _tracked(scene):
        return None
    several = ",".join(scene.random.sample(STATES, scene.random.randint(1, 3)))
    return Clause(f"-m conntrack {scene.inverted()}--ctstate {scene.pick(USUAL) if scene.chance(0.6) else several}")


def state(scene: Scene) -> Clause | None:
    return Clause(f"-m state {scene.inverted()}--state {scene.pick(OLD)}") if _tracked(scene) else None


def address(scene: Scene) -> Clause | None:
    if not _tracked(scene):
        return None
    (option, side), network, no = scene.pick(list(SIDES.items())), scene.network(), scene.inverted()
    return Clause(f"-m conntrack {no}--{option} {network}", {side: network} if side and not no else {})


def details(scene: Scene) -> Clause | None:
    if not _tracked(scene):
        return None
    no, port = scene.inverted(), scene.pick(PORTS)
    return scene.weighted([
        (3, Clause(f"-m conntrack --ctproto {scene.pick([6, 17])} {no}--ctorigdstport {port}", {"dport": port})),
        (3, Clause(f"-m conntrack --ctdir {scene.pick(['ORIGINAL', 'REPLY'])}")),
        (3, Clause(f"-m conntrack {no}--ctstatus {scene.pick(STATUSES)}")),
        (2, Clause(f"-m conntrack {no}--ctproto {scene.pick([1, 6, 17])}")),
    ])  # fmt: skip


def connmark(scene: Scene) -> Clause | None:
    mark = scene.pick(["0x1", "0x2", "0x1/0xff", "0x0"])
    return Clause(f"-m connmark {scene.inverted()}--mark {mark}") if _tracked(scene) else None
