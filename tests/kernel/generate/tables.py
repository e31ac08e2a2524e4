"""Tables of random rules."""

from __future__ import annotations

from typing import NamedTuple

from tests.kernel.generate.matches import conditions
from tests.kernel.generate.scene import Scene, Wish
from tests.kernel.generate.targets import target

CHAINS = {
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
}
LIKELY = {"raw": 0.35, "mangle": 0.45, "nat": 0.65, "filter": 0.95, "security": 0.08}
MOSTLY_NAT = {"mangle": 0.1, "nat": 1, "filter": 0.4}
USER_CHAINS = ["f2b-sshd", "SVC", "in_public", "LOGDROP", "KUBE-FW", "ufw-user"]
NAT_USES = [("PREROUTING", "OUTPUT"), ("PREROUTING",), ("POSTROUTING",)]


class Wanted(NamedTuple):
    """What a rule wishes for, and the base chains by which a packet can come to it."""

    hooks: frozenset[str]
    wish: Wish


class UserChain(NamedTuple):
    name: str
    hooks: frozenset[str]


def ruleset(scene: Scene, likely: dict[str, float] = LIKELY) -> tuple[str, list[Wanted]]:
    """The text for iptables-restore, and what its rules wish for."""
    tables = [name for name, chance in likely.items() if scene.chance(chance)] or ["filter"]
    lines, wanted = [], []
    for name in tables:
        made, wishes = _table(scene, name)
        lines += made
        wanted += wishes
    return "\n".join(lines) + "\n", wanted


def _table(scene: Scene, name: str) -> tuple[list[str], list[Wanted]]:
    users = _user_chains(scene, name)
    lines = [f"*{name}", *(f":{chain} {_policy(scene, name, chain)} [0:0]" for chain in CHAINS[name])]
    lines += [f":{user.name} - [0:0]" for user in users]
    wanted: list[Wanted] = []
    for chain in CHAINS[name]:
        callable_ = [user.name for user in users if chain in user.hooks]
        _chain(scene, name, UserChain(chain, frozenset([chain])), callable_, lines, wanted)
    for number, user in enumerate(users):
        callable_ = [later.name for later in users[number + 1 :] if user.hooks <= later.hooks]
        _chain(scene, name, user, callable_, lines, wanted)
    return [*lines, "COMMIT"], wanted


def _user_chains(scene: Scene, table: str) -> list[UserChain]:
    count = scene.pick([0, 1, 2, 3]) if table in ("filter", "nat") else scene.pick([0, 0, 1])
    made = []
    for number in range(count):
        several = scene.random.sample(CHAINS[table], scene.random.randint(1, 2))
        hooks = scene.pick(NAT_USES) if table == "nat" else several
        made.append(UserChain(f"{scene.pick(USER_CHAINS)}-{number}", frozenset(hooks)))
    return made


def _policy(scene: Scene, table: str, chain: str) -> str:
    likely = {"filter": 0.12 if chain == "OUTPUT" else 0.4, "mangle": 0.02, "raw": 0.02}
    return "DROP" if scene.chance(likely.get(table, 0)) else "ACCEPT"


def _chain(
    scene: Scene, table: str, chain: UserChain, callable_: list[str], lines: list[str], wanted: list[Wanted]
) -> None:
    user = chain.name not in CHAINS[table]
    scene.table, scene.hooks, scene.user_chain = table, chain.hooks, user
    counts = [1, 2, 3, 5] if user else [0, 1, 2, 3, 4, 6, 9] if table in ("filter", "nat") else [0, 1, 2, 3]
    for _ in range(scene.pick(counts)):
        does = target(scene, callable_)
        says = conditions(scene, does.protocol)
        if not says.text and scene.chance(0.7):
            says = conditions(scene, does.protocol)
        lines.append(" ".join(words for words in (f"-A {chain.name}", says.text, does.text) if words))
        wanted.append(Wanted(chain.hooks, says.wish))
    if callable_ and not user and scene.chance(0.7):
        lines.append(f"-A {chain.name} -j {scene.pick(callable_)}")
